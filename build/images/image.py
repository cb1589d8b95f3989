"""An image of a service, identified by its digest."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """An image, in the engine's store, in a layout or in a registry.

    `tag` is its version. `fingerprint` is that of the sources it was built from, "" when they changed during the
    build. `size` is in bytes; None for an image that is known by its digest alone. `pushed`: the registry of the
    manifest has this digest. `bases` has the source of each base by key, where the build is known.
    """

    service: str
    name: str
    tag: str
    digest: str
    fingerprint: str
    size: int | None
    pushed: bool
    bases: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def repository(self) -> str:
        """The repository in its registry: NAMESPACE/SERVICE."""
        return self.name.partition("/")[2]

    @property
    def reference(self) -> str:
        """NAME@DIGEST: what containers run and scans read; a tag is never used for that."""
        return f"{self.name}@{self.digest}"


def short(digest: str) -> str:
    """The digest as people see it: the algorithm and twelve digits, as docker shows them."""
    return digest[: len("sha256:") + 12]
