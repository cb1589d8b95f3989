"""Which services a command is about."""

from __future__ import annotations

from collections.abc import Sequence

from build.config.manifest import Manifest
from build.errors import ManifestError
from build.typed import suggest


def chosen(manifest: Manifest, services: Sequence[str]) -> list[str]:
    """The services named, or all. Raises ManifestError for a name that is not in the manifest."""
    for name in services:
        if name not in manifest.services:
            hint = f"services: {', '.join(manifest.services)}"
            raise ManifestError(f"no service is called '{name}'{suggest(name, manifest.services)}", hint=hint)
    return list(dict.fromkeys(services)) or list(manifest.services)
