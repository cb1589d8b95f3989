"""The changelog: Markdown, or one JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from build import console
from build.config.manifest import Manifest
from build.git import changelog, releases
from build.git.changelog import Section


def sections(manifest: Manifest, found: Sequence[Section], *, json: bool) -> None:
    """Print the sections."""
    if json:
        console.result({"sections": [_document(section, manifest) for section in found]})
    else:
        console.text(releases.text(manifest, found))


def written(*, changed: bool) -> None:
    """Print whether the file had to be written."""
    console.note(f"{releases.FILE}: {'written' if changed else 'already current'}")


def _document(section: Section, manifest: Manifest) -> dict[str, Any]:
    groups = {
        kind: [
            {
                "type": commit.type, "scope": commit.scope, "description": commit.description,
                "breaking": commit.breaking, "notes": commit.notes, "commit": commit.commit,
            }
            for commit in commits
        ]
        for kind, commits in changelog.entries(section, manifest.release.types).items()
    }  # fmt: skip
    return {
        "title": section.title, "line": section.line, "version": section.version, "tag": section.tag,
        "before": section.before, "date": section.date, "changes": groups,
    }  # fmt: skip
