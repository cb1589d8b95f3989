"""How releases are named: their repositories in the registry, their tags in git."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from build.config.manifest import Manifest
from build.git.tags import YANKED
from build.git.versions import Line, parse_tag

if TYPE_CHECKING:
    from semver import Version

_RELEASES = "release"


def release_repository(manifest: Manifest, line: str) -> str:
    """The repository of a line's release records: NAMESPACE/release, in independent mode NAMESPACE/release/SERVICE."""
    lockstep = manifest.release.mode == "lockstep"
    return service_repository(manifest, _RELEASES if lockstep else f"{_RELEASES}/{line}")


def service_repository(manifest: Manifest, service: str) -> str:
    """The repository of a service's images: NAMESPACE/SERVICE."""
    return f"{manifest.registry.namespace}/{service}"


def git_tag(line: Line, version: Version) -> str:
    """The git tag that claims a version."""
    return f"{line.prefix}{version}"


def yank_tag(version: Version | str) -> str:
    """The tag in a release repository that marks a version as withdrawn."""
    return f"{version}{YANKED}"


def versions_of(line: Line, tags: Iterable[str]) -> dict[Version, str]:
    """Map each version of the line among these git tags to its tag."""
    return {version: tag for tag in tags if (version := parse_tag(line.prefix, tag)) is not None}
