"""The current and the next versions of each line: a few lines or a table of text, or one JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from build import console
from build.columns import Column
from build.config.manifest import Manifest
from build.git.next_versions import NextVersions
from build.git.status import described
from build.git.versions import History
from build.views import commits


def versions(manifest: Manifest, history: History, lines: Sequence[NextVersions], *, json: bool) -> None:
    """Print the versions: lockstep as a few lines, independent as a table."""
    if json:
        console.result(_document(history, lines))
        return
    if history.dirty:
        console.warn(f"this is not the commit: {described(history.changed, history.differences)}")
    commits.near_misses([miss for line in lines for miss in line.near_misses])
    if manifest.release.mode == "lockstep":
        _print_line(lines[0])
    else:
        changes = Column("since the last", yields=1, prose=True)
        columns = ("service", "now", "last", "auto", "patch", "minor", "major", changes)
        console.table(columns, [_row(line) for line in lines])


def _row(line: NextVersions) -> tuple[str, ...]:
    following = [line.next[bump] or "-" for bump in ("auto", "patch", "minor", "major")]
    return line.name, line.version, line.last or "-", *following, _changes(line)


def _print_line(line: NextVersions) -> None:
    console.text(line.version)
    rows = [
        (f"{bump} ({line.auto})" if bump == "auto" else bump, version or line.refused[bump])
        for bump, version in line.next.items()
    ]
    console.table(("bump", "next version"), rows)
    console.sentence(f"since {line.last_tag or 'the beginning'}: {_changes(line)}")
    for title in line.breaking:
        console.sentence(f"breaking: {title}", indent="  ")


def _changes(line: NextVersions) -> str:
    counts = ", ".join(f"{count} {kind}" for kind, count in line.types.items()) or "nothing"
    return f"{counts}{f', {len(line.breaking)} breaking' if line.breaking else ''}"


def _document(history: History, lines: Sequence[NextVersions]) -> dict[str, Any]:
    return {
        "version": lines[0].version if len({line.version for line in lines}) == 1 else "",
        "commit": history.commit,
        "branch": history.branch,
        "dirty": history.dirty,
        "changed": history.changed,
        "differences": [asdict(difference) for difference in history.differences],
        "lines": [asdict(line) for line in lines],
    }
