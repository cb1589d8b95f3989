"""Pure rules of versions: lines of versions, which tags belong to them, what comes next. No git, no registry."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from build.config.manifest import Manifest, Service
from build.errors import RepositoryError
from build.git.commits import Bump, Commit
from build.git.tags import NUMBER, SEMVER, YANKED, Key, Versions, key_of, of_key

if TYPE_CHECKING:
    from semver import Version

LONGEST_TAG = 128  # of an image, by the OCI distribution specification
LONGEST_RELEASE = LONGEST_TAG - len(YANKED)  # whatever is released must be able to be withdrawn
_RANGE = re.compile(rf"(?:.*/)?({NUMBER})\.(?:({NUMBER})\.)?x")
_SNAPSHOT = re.compile(r"[.-]dev\.[0-9]+\.g([0-9a-f]{7})$")
_CHANNEL = re.compile(r"[0-9A-Za-z-]*[A-Za-z-][0-9A-Za-z-]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line of versions: the services that share it, what its tags start with, and the paths that count for it.

    No paths: everything counts.
    """

    name: str
    prefix: str
    services: tuple[str, ...]
    paths: tuple[str, ...] = ()


def lines(manifest: Manifest) -> tuple[Line, ...]:
    """The lines of the manifest: one for all services, or in independent mode one for each."""
    settings = manifest.release
    if settings.mode == "lockstep":
        return (Line(name=manifest.project.name, prefix=settings.tag_prefix, services=tuple(manifest.services)),)
    return tuple(
        Line(name=name, prefix=f"{name}/{settings.tag_prefix}", services=(name,), paths=built_from(manifest, service))
        for name, service in manifest.services.items()
    )


def built_from(manifest: Manifest, service: Service) -> tuple[str, ...]:
    """The paths, relative to the manifest's folder, that an image is built from; what lies outside it is left out."""
    found = [service.folder]
    for value in service.contexts.values():
        kind, _, key = value.partition(":")
        found.append(manifest.stages[key].folder if kind == "stage" else manifest.sources.get(key, ""))
    inside = []
    for path in (*found, *service.paths):
        relative = os.path.relpath(manifest.root / path, manifest.root) if path else ".."
        if relative != ".." and not relative.startswith(f"..{os.sep}"):
            inside.append(Path(relative).as_posix())
    return tuple(dict.fromkeys(inside))


def inputs_of(manifest: Manifest) -> list[str]:
    """The paths that any image of the manifest is built from, each once."""
    paths = (path for service in manifest.services.values() for path in built_from(manifest, service))
    return list(dict.fromkeys(paths))


def parse_tag(prefix: str, tag: str) -> Version | None:
    """The version that a git tag names on the line of `prefix`, build metadata included; None for a foreign tag."""
    from semver import Version

    found = re.fullmatch(SEMVER, tag.removeprefix(prefix)) if tag.startswith(prefix) else None
    return Version.parse(found[0]) if found else None


@dataclass(frozen=True, kw_only=True, slots=True)
class LineHistory:
    """Where one line stands at HEAD.

    `last` is the highest version among the tags that HEAD reaches (None before the first), `last_tag` its tag as git
    has it. `taken` are all versions of the line that the clone knows, reachable or not. `commits` came after `last`,
    newest first, merges included; `distance` is how many. With paths, only commits that touch them are among them.
    """

    line: Line
    last: Version | None
    last_tag: str
    taken: Versions
    distance: int
    commits: tuple[Commit, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """What git says about HEAD: its full hash and commit time (seconds since 1970), and where each line stands.

    `branch` is None when HEAD is detached. `dirty`: a tracked file differs from the commit, or an untracked one enters
    an image (`strays`). `untracked` are all files and folders that git does not know, relative to the manifest's
    folder, folders with a slash at the end.
    """

    commit: str
    committed: int
    branch: str | None
    shallow: bool
    dirty: bool
    changed: tuple[str, ...]
    untracked: tuple[str, ...]
    strays: tuple[str, ...]
    remote: str
    lines: dict[str, LineHistory]

    def of(self, service: str) -> LineHistory:
        """The line that a service is on."""
        return next(one for one in self.lines.values() if service in one.line.services)


def snapshot(history: History, line: LineHistory, first: str) -> str:
    """The version of what is checked out: 1.4.0 on a clean released commit, else 1.4.1-dev.7.g1a2b3c4[.dirty].

    Valid as SemVer 2.0 and as an image tag. `first` is what counting starts from while there is no tag.
    A tag with build metadata is no release of ours: an image tag can't carry it, and two of them must not become one.
    Raises RepositoryError when the version would be longer than an image tag may be.
    """
    if line.last is None:
        base = first
    elif line.distance == 0 and not history.dirty and "+" not in line.last_tag:
        return _fitting(str(line.last))
    else:
        # Behind a pre-release it extends that one: 1.5.0-dev.2 would rank below 1.5.0-rc.1 (SemVer 2.0, section 11).
        base = str(line.last if line.last.prerelease else line.last.bump_patch())
    version = f"{base}{'.' if '-' in base else '-'}dev.{line.distance}.g{history.commit[:7]}"
    return _fitting(f"{version}.dirty" if history.dirty else version)


def revision(version: str, prefix: str) -> str:
    """The commit that a `snapshot` was made of, as git understands it; "" for a tree that was not what is committed."""
    if version.endswith(".dirty"):
        return ""
    found = _SNAPSHOT.search(version)
    return found[1] if found else f"refs/tags/{prefix}{version}"


def _fitting(version: str) -> str:
    if len(version) > LONGEST_TAG:
        message = f"{version} has {len(version)} characters, and an image tag {LONGEST_TAG} at most"
        raise RepositoryError(message, hint="git tag this line of history with a shorter version")
    return version


def fitting_release(version: Version) -> None:
    """Raise RepositoryError for a version that image tags, or the mark of its withdrawal, have no room for."""
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
    """The version that a release on top of `last` gets: greater than `last`, and none of `taken`.

    `bump` is what the commits ask for (`commits.bump_of`) or, with `explicit`, what a person typed; only the latter
    leaves 0.y.z without `major_on_zero`. `pre` names a pre-release channel ("rc"). Before the first release it is
    `first`, or its pre-release, whatever the bump. A version that is taken elsewhere is passed by: a patch goes above
    the highest of its X.Y, a minor or major opens a series in which nothing final is taken yet. On a branch called
    1.3.x or 1.x only a version of that range fits.
    Raises RepositoryError when nothing is to be released, or no version fits.
    """
    if pre:
        _check_channel(pre)
    if bump == "none":
        if last is None or pre or not last.prerelease:
            since = f"since {last}" if last else "in this history"
            raise RepositoryError(f"nothing to release: no commit {since} bumps a version", hint="--bump patch")
        bump = "patch"  # the pre-release becomes what it was one of
    keys: Collection[Key] = taken.keys if isinstance(taken, Versions) else [key_of(one) for one in taken]
    if last is not None:
        floor = (last.major, last.minor, last.patch)
        keys = [key for key in keys if key >= floor]
    base = _base(last, bump, first, major_on_zero=major_on_zero or explicit)
    base = _free(base, "patch" if last is None else bump, {key[:3] for key in keys if not key[3]})
    found = of_key((*base, _candidate(base, pre, last, keys) if pre else ""))
    _check_range(found, branch)
    if last is not None and found <= last:
        message = f"{found} would rank below {last}, which is released already"
        raise RepositoryError(message, hint=f"--pre {(last.prerelease or pre).split('.')[0]}, or release without --pre")
    fitting_release(found)
    return found


def _base(last: Version | None, bump: Bump, first: Version, *, major_on_zero: bool) -> tuple[int, int, int]:
    """The final version that is aimed at. On a pre-release that already aims high enough, it is the one it precedes."""
    if last is None:
        return first.major, first.minor, first.patch
    major, minor, patch = last.major, last.minor, last.patch
    if bump == "major" and major == 0 and not major_on_zero:
        bump = "minor"
    aimed: dict[Bump, bool] = {"patch": True, "minor": patch == 0, "major": minor == 0 and patch == 0}
    if last.prerelease and aimed[bump]:
        return major, minor, patch
    return {"major": (major + 1, 0, 0), "minor": (major, minor + 1, 0)}.get(bump, (major, minor, patch + 1))


def _free(base: tuple[int, int, int], bump: Bump, finals: Set[tuple[int, ...]]) -> tuple[int, int, int]:
    """The version itself, or the next one of its kind that goes above what others took."""
    major, minor, patch = base
    if bump == "patch" or patch:
        highest = max((one[2] for one in finals if one[:2] == (major, minor)), default=-1)
        return major, minor, max(patch, highest + 1)
    if bump == "minor" or minor:
        used = {one[1] for one in finals if one[0] == major}
        return major, _above(minor, used), 0
    return _above(major, {one[0] for one in finals}), 0, 0


def _above(number: int, used: Set[int]) -> int:
    while number in used:
        number += 1
    return number


def _check_channel(pre: str) -> None:
    if not _CHANNEL.fullmatch(pre) or pre == "dev":
        reason = "snapshots have that one" if pre == "dev" else "it is letters, digits and -, with a letter"
        raise RepositoryError(f"{pre!r} can't be a pre-release channel: {reason}", hint="--pre rc")


def _candidate(base: tuple[int, int, int], pre: str, last: Version | None, keys: Iterable[Key]) -> str:
    """The next number of the channel for `base`: above all that are taken."""
    known = [key[3] for key in keys if key[:3] == base]
    if last is not None and (last.major, last.minor, last.patch) == base:
        known.append(last.prerelease or "")
    numbers = [int(one.rpartition(".")[2]) for one in known if re.fullmatch(rf"{re.escape(pre)}\.{NUMBER}", one)]
    return f"{pre}.{max(numbers, default=0) + 1}"


def _check_range(version: Version, branch: str | None) -> None:
    if not in_range(version, branch):
        wanted = (branch or "").rpartition("/")[2].removesuffix("x")
        message = f"branch {branch} releases {wanted}* only, and the next version would be {version}"
        raise RepositoryError(message, hint="release it from main, or ask for a smaller --bump")


def in_range(version: Version, branch: str | None) -> bool:
    """Whether a version may be released from a branch: from 1.3.x or 1.x only one of that range, else any."""
    found = _RANGE.fullmatch(branch or "")
    major, minor = found.groups() if found else (None, None)
    return (not major or version.major == int(major)) and (not minor or version.minor == int(minor))
