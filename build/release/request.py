"""What a release is asked for, and which version that is on a line. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from semver import Version

from build.config.manifest import Manifest
from build.config.select import chosen
from build.errors import ReleaseRefused, RepositoryError, VersionTaken
from build.git.commits import Bump, bump_of
from build.git.tags import YANKED, Versions
from build.git.versions import LineHistory, fitting_release, next_version
from build.typed import suggest

RequestedBump = Literal["auto", "patch", "minor", "major"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A bump or an explicit version, a pre-release channel, and in independent mode some services only."""

    bump: RequestedBump = "auto"
    pre: str = ""
    version: str = ""
    services: tuple[str, ...] = ()


def from_flags(manifest: Manifest, *, bump: str, pre: str, version: str, services: Sequence[str]) -> Request:
    """The request that flags make. Raises ReleaseRefused for flags that exclude each other or do not fit the mode."""
    kinds = get_args(RequestedBump)
    if bump not in kinds:
        raise ReleaseRefused(f"--bump {bump}: no such bump{suggest(bump, kinds)}", hint=f"--bump {' | '.join(kinds)}")
    if version and (pre or bump != "auto"):
        message = "--version names the whole version: it excludes --bump and --pre"
        raise ReleaseRefused(message, hint=f"--version {version}")
    names = tuple(chosen(manifest, services)) if services else ()
    if version and manifest.release.mode == "independent" and len(names) != 1:
        raise ReleaseRefused(
            "--version is for one line of versions: which service?", hint=f"--service NAME --version {version}"
        )
    if names and manifest.release.mode == "lockstep":
        message = "[release] mode is 'lockstep': all services share one version and are released together"
        raise ReleaseRefused(message, hint='leave --service out, or set release.mode = "independent"')
    return Request(bump=cast("RequestedBump", bump), pre=pre, version=version, services=names)


def version_for(
    request: Request, line: LineHistory, *, taken: Versions, manifest: Manifest, branch: str | None
) -> tuple[Version | None, str]:
    """The version that the request makes on a line, and the bump that leads to it ("explicit" for a given version).

    (None, "none") if nothing on the line asks for a release. Raises RepositoryError if no version fits, VersionTaken if
    the given one is taken.
    """
    if request.version:
        return _explicit(request.version, line, taken), "explicit"
    bump: Bump = request.bump if request.bump != "auto" else bump_of(line.commits, manifest.release.types)
    if request.bump == "auto" and bump == "none" and not _becomes_final(line, request):
        return None, "none"
    if request.bump != "auto" and not line.commits and line.line.paths and not request.services:
        return None, "none"
    version = next_version(
        line.last, bump, pre=request.pre, taken=taken, first=Version.parse(manifest.project.version),
        major_on_zero=manifest.release.major_on_zero, explicit=request.bump != "auto", branch=branch,
    )  # fmt: skip
    return version, bump


def _becomes_final(line: LineHistory, request: Request) -> bool:
    return line.last is not None and bool(line.last.prerelease) and not request.pre


def _explicit(text: str, line: LineHistory, taken: Versions) -> Version:
    try:
        version = Version.parse(text.removeprefix(line.line.prefix))
    except ValueError:
        raise RepositoryError(f"{text!r} is not a semantic version", hint="--version 1.4.0") from None
    if version.build:
        raise RepositoryError(
            f"{text}: build metadata can't be in an image tag", hint=f"--version {version.replace(build=None)}"
        )
    if text.endswith(YANKED):
        message = f"{version}: {YANKED} at the end marks a withdrawn release in the registry"
        raise RepositoryError(message, hint="--version 1.4.0-rc.1")
    fitting_release(version)
    if version in taken:
        raise VersionTaken(f"{version} is taken: a version is released once", hint="./inv releases")
    if line.last is not None and version < line.last:
        message = f"{version} ranks below {line.last}, which this commit descends from"
        raise RepositoryError(message, hint=f"release it from a branch that starts before {line.last_tag}")
    return version
