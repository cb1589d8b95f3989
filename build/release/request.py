"""What a person asks of a release, and which version that is on a line. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from semver import Version

from build.config.manifest import Manifest
from build.errors import RepositoryError, VersionTaken
from build.git.commits import Bump, bump_of
from build.git.tags import YANKED, Versions, key_of, precedence
from build.git.versions import LineHistory, fitting_release, next_version
from build.release.record import Record

Wanted = Literal["auto", "patch", "minor", "major"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a person asked for: a bump or an explicit version, a pre-release channel, some lines only."""

    bump: Wanted = "auto"
    pre: str = ""
    version: str = ""
    services: tuple[str, ...] = ()


def version_for(
    wish: Wish, line: LineHistory, *, taken: Versions, manifest: Manifest, branch: str | None
) -> tuple[Version | None, str]:
    """The version that the wish makes on a line, and by which bump; no version where no commit asks for one.

    Raises RepositoryError when no version fits, VersionTaken for an explicit one that is taken.
    """
    if wish.version:
        return _explicit(wish.version, line, taken), "explicit"
    bump: Bump = wish.bump if wish.bump != "auto" else bump_of(line.commits, manifest.release.types)
    if wish.bump == "auto" and bump == "none" and not _becomes_final(line, wish):
        return None, "none"
    if wish.bump != "auto" and not line.commits and line.line.paths and not wish.services:
        return None, "none"
    found = next_version(
        line.last, bump, pre=wish.pre, taken=taken, first=Version.parse(manifest.project.version),
        major_on_zero=manifest.release.major_on_zero, explicit=wish.bump != "auto", branch=branch,
    )  # fmt: skip
    return found, bump


def repeats(wish: Wish, made: Record, *, taken: Versions, manifest: Manifest, branch: str | None) -> bool:
    """Whether the wish, had it been told where `made` was, is `made`: then it is that of the same command again.

    What ranks above `made` was taken after it. By its commits (`auto`) a commit is released once, so there only the
    kind is compared.
    """
    if wish.version:
        return wish.version in {made.version, made.tag}
    if wish.bump == "auto":
        return bool(made.parsed.prerelease) == bool(wish.pre)
    rank = precedence(key_of(made.parsed))
    try:
        found = next_version(
            Version.parse(made.previous) if made.previous else None, wish.bump, pre=wish.pre,
            taken=Versions(keys=(key for key in taken.keys if precedence(key) < rank)),
            first=Version.parse(manifest.project.version), explicit=True, branch=branch,
        )  # fmt: skip
    except RepositoryError:
        return False
    return found == made.parsed


def _becomes_final(line: LineHistory, wish: Wish) -> bool:
    return line.last is not None and bool(line.last.prerelease) and not wish.pre


def _explicit(text: str, line: LineHistory, taken: Versions) -> Version:
    try:
        version = Version.parse(text.removeprefix(line.line.prefix))
    except ValueError:
        raise RepositoryError(f"{text!r} is no semantic version", hint="--version 1.4.0") from None
    if version.build:
        raise RepositoryError(
            f"{text}: build metadata can't be in an image tag", hint=f"--version {version.replace(build=None)}"
        )
    if text.endswith(YANKED):
        message = f"{version}: what ends with {YANKED} is the mark of a withdrawn release in the registry"
        raise RepositoryError(message, hint="--version 1.4.0-rc.1")
    fitting_release(version)
    if version in taken:
        raise VersionTaken(f"{version} is taken: a version is released once", hint="./inv releases")
    if line.last is not None and version < line.last:
        message = f"{version} ranks below {line.last}, which this commit descends from"
        raise RepositoryError(message, hint=f"release it from a branch that starts before {line.last_tag}")
    return version
