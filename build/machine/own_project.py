"""Looks into a user's own project for what can be a source: modules, agents, documentation, the tree itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_GRAPHS = ("agents.toml", "langgraph.json", "roles.toml")


def candidates(project: Path) -> dict[str, list[str]]:
    """For each source what could be it, best first, as paths relative to the project's folder."""
    return {
        "modules": list(_modules(project)),
        "agents": list(_agents(project)),
        "docs": list(_docs(project)),
        "watched": ["."],
        "nupkgs": [name for name in ("nupkgs", "packages") if any((project / name).glob("*.nupkg"))],
    }


def _modules(project: Path) -> Iterator[str]:
    for name in ("Modules", "modules", "src/Modules"):
        if any(any((project / name).glob(pattern)) for pattern in ("*/*.psd1", "*/*.psm1", "*.psm1")):
            yield name


def _agents(project: Path) -> Iterator[str]:
    for name in ("agents", "Agents", "."):
        if any((project / name / file).is_file() for file in _GRAPHS):
            yield name


def _docs(project: Path) -> Iterator[str]:
    """A mkdocs project before a site that is built; mkdocs.yml in the root is named itself: the root is no source."""
    names = ("docs", "documentation", "doc")
    yield from (name for name in names if (project / name / "mkdocs.yml").is_file())
    if (project / "mkdocs.yml").is_file():
        yield "mkdocs.yml"
    yield from (name for name in (*names, "site") if (project / name / "index.html").is_file())
