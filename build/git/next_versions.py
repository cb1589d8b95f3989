"""What the commit at HEAD is, what each kind of bump would make of it, and why `auto` chooses its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from build import console
from build.config.manifest import Manifest, ReleaseSettings
from build.errors import RepositoryError
from build.git import history as git_history
from build.git.commits import BUMPS, Bump, Commit, bump_of_one, standing
from build.git.versions import History, LineHistory, next_version, snapshot


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """One line at HEAD: its version now, its last release, and the next version by each bump.

    `auto` is what the commits ask for. `next` has patch, minor, major and auto; "" where none fits, and `refused` says
    why. `types` counts the commits that stand by type ("other" is no Conventional Commit), `breaking` names those that
    break.
    """

    name: str
    services: tuple[str, ...]
    version: str
    last: str
    last_tag: str
    distance: int
    auto: Bump
    next: dict[str, str]
    refused: dict[str, str]
    types: dict[str, int]
    breaking: tuple[str, ...]


def of_line(history: History, line: LineHistory, settings: ReleaseSettings, first: str) -> Outlook:
    """The outlook of one line."""
    from semver import Version

    stand = standing(line.commits)
    auto = max((bump_of_one(one, settings.types) for one in stand), key=BUMPS.index, default=BUMPS[0])
    following, refused = {}, {}
    asked: dict[str, tuple[Bump, bool]] = {
        "auto": (auto, False), "patch": ("patch", True), "minor": ("minor", True), "major": ("major", True)
    }  # fmt: skip
    for name, (bump, explicit) in asked.items():
        try:
            following[name] = str(next_version(
                line.last, bump, taken=line.taken, first=Version.parse(first), major_on_zero=settings.major_on_zero,
                explicit=explicit, branch=history.branch,
            ))  # fmt: skip
        except RepositoryError as error:
            following[name], refused[name] = "", str(error)
    return Outlook(
        name=line.line.name, services=line.line.services, version=snapshot(history, line, first),
        last=str(line.last or ""), last_tag=line.last_tag, distance=line.distance, auto=auto, next=following,
        refused=refused, types=dict(Counter(one.type or "other" for one in stand).most_common()),
        breaking=tuple(_title(one) for one in stand if one.breaking),
    )  # fmt: skip


def _title(commit: Commit) -> str:
    return f"{commit.commit[:7]} {commit.description}"


def read(manifest: Manifest) -> tuple[History, list[Outlook]]:
    """What git says, and the outlook of every line. Raises RepositoryError as `repo.require_history` does."""
    history = git_history.read(manifest)
    git_history.require_history(manifest.root, history, manifest.release)
    first = manifest.project.version
    return history, [of_line(history, one, manifest.release, first) for one in history.lines.values()]


def show(manifest: Manifest, *, as_json: bool) -> None:
    """Print the outlook: lockstep as a few lines, independent as a table."""
    history, found = read(manifest)
    if as_json:
        console.result(_as_json(history, found))
        return
    if history.strays:
        console.warn(f"not in git, and still in the images: {', '.join(history.strays)}")
    if manifest.release.mode == "lockstep":
        _show_one(found[0])
    else:
        columns = ("service", "now", "last", "auto", "patch", "minor", "major", "since the last")
        console.table(columns, [_row(one) for one in found])


def _row(one: Outlook) -> tuple[str, ...]:
    steps = [one.next[name] or "-" for name in ("auto", "patch", "minor", "major")]
    return one.name, one.version, one.last or "-", *steps, _why(one)


def _show_one(one: Outlook) -> None:
    console.text(one.version)
    rows = [
        (f"{name} ({one.auto})" if name == "auto" else name, value or one.refused[name])
        for name, value in one.next.items()
    ]
    console.table(("bump", "next version"), rows)
    console.text(f"since {one.last_tag or 'the beginning'}: {_why(one)}")
    for title in one.breaking:
        console.text(f"  breaking: {title}")


def _why(one: Outlook) -> str:
    counted = ", ".join(f"{count} {kind}" for kind, count in one.types.items()) or "nothing"
    return f"{counted}{f', {len(one.breaking)} breaking' if one.breaking else ''}"


def _as_json(history: History, found: list[Outlook]) -> Mapping[str, Any]:
    from dataclasses import asdict

    about: dict[str, Any] = {
        "version": found[0].version if len({one.version for one in found}) == 1 else "",
        "commit": history.commit,
        "branch": history.branch,
        "dirty": history.dirty,
        "changed": history.changed,
        "strays": history.strays,
    }
    return about | {"lines": [asdict(one) for one in found]}
