"""Selecting the services that a command applies to."""

from __future__ import annotations

from collections.abc import Sequence

from build.config.manifest import Manifest
from build.errors import ManifestError
from build.typed import suggest


def chosen(manifest: Manifest, services: Sequence[str]) -> list[str]:
    """Return the services named, without duplicates, or all. Raises ManifestError for an unknown name."""
    for name in services:
        if name not in manifest.services:
            hint = f"services: {', '.join(manifest.services)}"
            raise ManifestError(f"unknown service '{name}'{suggest(name, manifest.services)}", hint=hint)
    return list(dict.fromkeys(services)) or list(manifest.services)
