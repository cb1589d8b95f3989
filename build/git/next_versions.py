"""The version of HEAD on each line, the next version for each kind of bump, and what `auto` is based on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from build.config.manifest import Manifest, ReleaseSettings
from build.errors import RepositoryError
from build.git import history as git_history
from build.git.commits import Bump, Commit, bump_of, standing
from build.git.conventional import NearMiss, near_misses
from build.git.versions import History, LineHistory, next_version, snapshot


@dataclass(frozen=True, kw_only=True, slots=True)
class NextVersions:
    """One line at HEAD: its current version, its last release, and the next version for each bump.

    `auto` is the bump that the commits ask for. `next` has patch, minor, major and auto; where no version fits, it is
    "" and `refused` has the reason. `types` counts the commits to be released by type ("other": not a Conventional
    Commit), `breaking` has a title for each breaking one, `near_misses` are those that were probably meant otherwise.
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
    near_misses: tuple[NearMiss, ...] = ()


def of_line(history: History, line: LineHistory, settings: ReleaseSettings, first: str) -> NextVersions:
    """Compute the versions of one line; `first` is the version that counting starts from while there is no tag."""
    from semver import Version

    commits = standing(line.commits)
    auto = bump_of(line.commits, settings.types)
    versions, refused = {}, {}
    bumps: dict[str, tuple[Bump, bool]] = {
        "auto": (auto, False), "patch": ("patch", True), "minor": ("minor", True), "major": ("major", True)
    }  # fmt: skip
    for name, (bump, explicit) in bumps.items():
        try:
            versions[name] = str(next_version(
                line.last, bump, taken=line.taken, first=Version.parse(first), major_on_zero=settings.major_on_zero,
                explicit=explicit, branch=history.branch,
            ))  # fmt: skip
        except RepositoryError as error:
            versions[name], refused[name] = "", str(error)
    return NextVersions(
        name=line.line.name, services=line.line.services, version=snapshot(history, line, first),
        last=str(line.last or ""), last_tag=line.last_tag, distance=line.distance, auto=auto, next=versions,
        refused=refused, types=dict(Counter(commit.type or "other" for commit in commits).most_common()),
        breaking=tuple(_title(commit) for commit in commits if commit.breaking),
        near_misses=near_misses(commits, settings),
    )  # fmt: skip


def _title(commit: Commit) -> str:
    return f"{commit.commit[:7]} {commit.description}"


def read(manifest: Manifest) -> tuple[History, list[NextVersions]]:
    """Read the history, and compute the versions of every line. Raises as `history.require_history` does."""
    history = git_history.read(manifest, origin=False)
    git_history.require_history(manifest.root, history, manifest.release)
    first = manifest.project.version
    return history, [of_line(history, line, manifest.release, first) for line in history.lines.values()]
