"""An image of a service, named by its digest."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """A built image: `reference` is name@digest, `size` compressed bytes, `fingerprint` of what it was built from.

    The fingerprint is "" when that changed meanwhile. `pushed`: the registry at the manifest's address has this digest.
    """

    service: str
    name: str
    tag: str
    digest: str
    fingerprint: str
    size: int
    pushed: bool
    bases: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The one name that containers, scans and tags use."""
        return f"{self.name}@{self.digest}"
