"""The rules of versions: lines of versions, snapshots, and the next version. Pure, except for path resolution."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from build.config.manifest import Manifest, Service
from build.errors import RepositoryError
from build.git.commits import Bump, Commit
from build.git.comparison import Difference
from build.git.inputs import Inputs
from build.git.tags import NUMBER, SEMVER, YANKED, Key, Versions, key_of, of_key

if TYPE_CHECKING:
    from semver import Version

LONGEST_TAG = 128  # characters of an image tag (OCI distribution specification, "Pulling manifests")
LONGEST_RELEASE = LONGEST_TAG - len(YANKED)  # every release needs room for its yank mark
_RANGE = re.compile(rf"(?:.*/)?({NUMBER})\.(?:({NUMBER})\.)?x")
_SNAPSHOT = re.compile(r"[.-]dev\.[0-9]+\.g([0-9a-f]{7})$")
_CHANNEL = re.compile(r"[0-9A-Za-z-]*[A-Za-z-][0-9A-Za-z-]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line of versions: the services that share it, the prefix of its tags, and the paths that are part of it.

    Without paths, every commit is part of it.
    """

    name: str
    prefix: str
    services: tuple[str, ...]
    paths: tuple[str, ...] = ()


def lines(manifest: Manifest) -> tuple[Line, ...]:
    """Return the lines of the manifest: one for all services, or one for each in independent mode."""
    settings = manifest.release
    if settings.mode == "lockstep":
        return (Line(name=manifest.project.name, prefix=settings.tag_prefix, services=tuple(manifest.services)),)
    return tuple(
        Line(name=name, prefix=f"{name}/{settings.tag_prefix}", services=(name,), paths=built_from(manifest, service))
        for name, service in manifest.services.items()
    )


def built_from(manifest: Manifest, service: Service) -> tuple[str, ...]:
    """Return the paths that an image is built from, relative to the manifest's folder; those outside it are omitted."""
    paths = [service.folder]
    for value in service.contexts.values():
        kind, _, key = value.partition(":")
        paths.append(manifest.stages[key].folder if kind == "stage" else manifest.sources[key])
    inside = []
    for path in (*paths, *service.paths):
        relative = os.path.relpath(manifest.root / path, manifest.root) if path else ".."
        if relative != ".." and not relative.startswith(f"..{os.sep}"):
            inside.append(Path(relative).as_posix())
    return tuple(dict.fromkeys(inside))


def parse_tag(prefix: str, tag: str) -> Version | None:
    """Parse the version in a tag behind `prefix`, with its build metadata; None if the tag is not such a version."""
    from semver import Version

    match = re.fullmatch(SEMVER, tag.removeprefix(prefix)) if tag.startswith(prefix) else None
    return Version.parse(match[0]) if match else None


@dataclass(frozen=True, kw_only=True, slots=True)
class LineHistory:
    """The history of one line at HEAD.

    `last` is the highest version whose tag HEAD reaches (None before the first), `last_tag` that tag's name. `taken`
    are all versions of the line in this clone, reachable or not. `commits` are those since `last`, newest first,
    merges included, and `distance` is their number; on a line with paths, only commits that touch these count.
    """

    line: Line
    last: Version | None
    last_tag: str
    taken: Versions
    distance: int
    commits: tuple[Commit, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """The history of HEAD: its full hash, its commit time (Unix seconds), and each line by name.

    `branch` is None if HEAD is detached. `dirty`: a tracked file has uncommitted changes (`changed`), or a build sends
    something else than the commit has (`differences`, from `inputs`). Paths are relative to the manifest's folder.
    `remote` is the remote's URL without credentials.
    """

    commit: str
    committed: int
    branch: str | None
    shallow: bool
    dirty: bool
    changed: tuple[str, ...]
    differences: tuple[Difference, ...]
    remote: str
    lines: dict[str, LineHistory]
    inputs: Inputs = field(default_factory=Inputs, compare=False, repr=False)

    def of(self, service: str) -> LineHistory:
        """Return the line of a service."""
        return next(line for line in self.lines.values() if service in line.line.services)


def snapshot(history: History, line: LineHistory, first: str) -> str:
    """Return the version of the work tree: 1.4.0 on a clean released commit, else 1.4.1-dev.7.g1a2b3c4[.dirty].

    It is valid as SemVer 2.0 and as an image tag. `first` is the version that counting starts from without a tag.
    A tag with build metadata is not a release: image tags can't contain `+`, and 1.4.0+a and 1.4.0+b would collide.
    Raises RepositoryError if the version is longer than an image tag may be.
    """
    if line.last is None:
        base = first
    elif line.distance == 0 and not history.dirty and "+" not in line.last_tag:
        return _fitting(str(line.last))
    else:
        # After a pre-release, extend that: 1.5.0-dev.2 would rank below 1.5.0-rc.1 (SemVer 2.0, section 11).
        base = str(line.last if line.last.prerelease else line.last.bump_patch())
    version = f"{base}{'.' if '-' in base else '-'}dev.{line.distance}.g{history.commit[:7]}"
    return _fitting(f"{version}.dirty" if history.dirty else version)


def revision(version: str, prefix: str) -> str:
    """Return the git revision that a `snapshot` was built from; "" if it was built from a dirty work tree."""
    if version.endswith(".dirty"):
        return ""
    match = _SNAPSHOT.search(version)
    return match[1] if match else f"refs/tags/{prefix}{version}"


def snapshot_of(tag: str) -> Version | None:
    """Return the version of an image tag that `snapshot` made of a commit without a release, None for any other tag."""
    from semver import Version

    if not _SNAPSHOT.search(tag.removesuffix(".dirty")) or not Version.is_valid(tag):
        return None
    return Version.parse(tag)


def _fitting(version: str) -> str:
    if len(version) > LONGEST_TAG:
        message = f"{version} has {len(version)} characters, and an image tag {LONGEST_TAG} at most"
        raise RepositoryError(message, hint="git tag this line of history with a shorter version")
    return version


def fitting_release(version: Version) -> None:
    """Raise RepositoryError for a version too long for an image tag or for its yank mark."""
    length = len(str(version))
    if length > LONGEST_RELEASE:
        message = f"{version} has {length} characters, and the version of a release {LONGEST_RELEASE} at most"
        raise RepositoryError(message, hint="a shorter --version, or a shorter --pre")


def next_version(
    last: Version | None,
    bump: Bump,
    *,
    pre: str = "",
    taken: Collection[Version] = (),
    first: Version,
    major_on_zero: bool = False,
    explicit: bool = False,
    branch: str | None = None,
) -> Version:
    """Return the version of a release on top of `last`: greater than `last`, and not in `taken`.

    `bump` is what the commits ask for (`commits.bump_of`) or, if `explicit`, what the user asked for; only an explicit
    major leaves 0.y.z without `major_on_zero`. `pre` is a pre-release channel ("rc"). The first release is `first`, or
    a pre-release of it, whatever the bump. Taken versions are skipped: a patch goes above the highest one of its X.Y,
    a minor or major opens a series without any final version. On a branch named 1.3.x or 1.x, the version must be in
    that range. Raises RepositoryError if there is nothing to release, or no version fits.
    """
    if pre:
        _check_channel(pre)
    if bump == "none":
        if last is None or pre or not last.prerelease:
            since = f"since {last}" if last else "in this history"
            raise RepositoryError(f"nothing to release: no commit {since} bumps a version", hint="--bump patch")
        bump = "patch"  # the pre-release becomes final
    keys: Collection[Key] = taken.keys if isinstance(taken, Versions) else [key_of(version) for version in taken]
    if last is not None:
        floor = (last.major, last.minor, last.patch)
        keys = [key for key in keys if key >= floor]
    base = _base(last, bump, first, major_on_zero=major_on_zero or explicit)
    base = _free(base, "patch" if last is None else bump, {key[:3] for key in keys if not key[3]})
    version = of_key((*base, _candidate(base, pre, last, keys) if pre else ""))
    _check_range(version, branch)
    if last is not None and version <= last:
        message = f"{version} would rank below {last}, which is released already"
        raise RepositoryError(message, hint=f"--pre {(last.prerelease or pre).split('.')[0]}, or release without --pre")
    fitting_release(version)
    return version


def _base(last: Version | None, bump: Bump, first: Version, *, major_on_zero: bool) -> tuple[int, int, int]:
    """Return the final version to aim at; a pre-release of a high enough version aims at that version already."""
    if last is None:
        return first.major, first.minor, first.patch
    major, minor, patch = last.major, last.minor, last.patch
    if bump == "major" and major == 0 and not major_on_zero:
        bump = "minor"
    high_enough: dict[Bump, bool] = {"patch": True, "minor": patch == 0, "major": minor == 0 and patch == 0}
    if last.prerelease and high_enough[bump]:
        return major, minor, patch
    return {"major": (major + 1, 0, 0), "minor": (major, minor + 1, 0)}.get(bump, (major, minor, patch + 1))


def _free(base: tuple[int, int, int], bump: Bump, finals: Set[tuple[int, ...]]) -> tuple[int, int, int]:
    """Return `base`, or the next version of the same kind that is not taken."""
    major, minor, patch = base
    if bump == "patch" or patch:
        highest = max((key[2] for key in finals if key[:2] == (major, minor)), default=-1)
        return major, minor, max(patch, highest + 1)
    if bump == "minor" or minor:
        used = {key[1] for key in finals if key[0] == major}
        return major, _first_free(minor, used), 0
    return _first_free(major, {key[0] for key in finals}), 0, 0


def _first_free(number: int, used: Set[int]) -> int:
    while number in used:
        number += 1
    return number


def _check_channel(pre: str) -> None:
    if not _CHANNEL.fullmatch(pre) or pre == "dev":
        reason = "it is reserved for snapshots" if pre == "dev" else "expected letters, digits and -, with a letter"
        raise RepositoryError(f"{pre!r} can't be a pre-release channel: {reason}", hint="--pre rc")


def _candidate(base: tuple[int, int, int], pre: str, last: Version | None, keys: Iterable[Key]) -> str:
    """Return the next pre-release of the channel for `base`, above all that are taken."""
    pre_releases = [key[3] for key in keys if key[:3] == base]
    if last is not None and (last.major, last.minor, last.patch) == base:
        pre_releases.append(last.prerelease or "")
    pattern = re.compile(rf"{re.escape(pre)}\.({NUMBER})")
    numbers = [int(match[1]) for taken in pre_releases if (match := pattern.fullmatch(taken))]
    return f"{pre}.{max(numbers, default=0) + 1}"


def _check_range(version: Version, branch: str | None) -> None:
    if not in_range(version, branch):
        allowed = (branch or "").rpartition("/")[2].removesuffix("x")
        message = f"branch {branch} releases {allowed}* only, and the next version would be {version}"
        raise RepositoryError(message, hint="release from main, or with a smaller --bump")


def in_range(version: Version, branch: str | None) -> bool:
    """Whether a branch may release a version: 1.3.x and 1.x only those of their range, other branches any."""
    match = _RANGE.fullmatch(branch or "")
    major, minor = match.groups() if match else (None, None)
    return (not major or version.major == int(major)) and (not minor or version.minor == int(minor))
