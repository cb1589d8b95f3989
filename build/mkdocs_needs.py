"""What a site is built from, by its mkdocs.yml."""

from __future__ import annotations

from pathlib import Path


def needs(configuration: Path) -> tuple[str, ...]:
    """The paths, relative to the folder of an mkdocs.yml, that a build of its site reads."""
    return (configuration.name, "docs", "overrides")
