"""What a person asks for, and the version that it is on a line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
from semver import Version

from build.config.manifest import Manifest
from build.errors import ReleaseRefused, RepositoryError
from build.git.tags import YANKED, Versions
from build.git.versions import LONGEST_TAG, Line, LineHistory
from build.release.request import Request, from_flags, version_for
from tests.support.plans import two_services
from tests.support.project import Project


def line(last: str = "") -> LineHistory:
    """A line that is at `last`, with nothing after it."""
    return LineHistory(
        line=Line(name="uct", prefix="v", services=("web",)), last=Version.parse(last) if last else None,
        last_tag=f"v{last}" if last else "", taken=Versions(), distance=0, commits=(),
    )  # fmt: skip


@pytest.fixture
def manifest(empty_project: Project) -> Manifest:
    """A manifest whose first version is 0.1.0."""
    return empty_project.load()


@pytest.mark.parametrize("version", ["1.4.0-" + "a" * 115, "v1.4.0-" + "a" * 115])
def test_a_version_that_leaves_room_for_its_withdrawal(manifest: Manifest, version: str) -> None:
    """The longest version that is taken can still be marked as withdrawn within an image tag's 128 characters."""
    found, _ = version_for(Request(version=version), line(), taken=Versions(), manifest=manifest, branch="main")

    assert len(f"{found}{YANKED}") == LONGEST_TAG


@pytest.mark.parametrize("version", ["1.4.0-" + "a" * 116, "1.4.0-" + "a" * 140])
def test_a_version_that_does_not_is_refused(manifest: Manifest, version: str) -> None:
    """Claimed, it could be neither published nor withdrawn, and every later release would stop at it."""
    with pytest.raises(RepositoryError, match="the version of a release 121 at most"):
        version_for(Request(version=version), line(), taken=Versions(), manifest=manifest, branch="main")


@pytest.mark.parametrize(
    ("mode", "flags", "reason", "hint"),
    [
        ("lockstep", {"bump": "pacth"}, r"--bump pacth: no such bump \(did you mean 'patch'\?\)", "auto | patch"),
        ("lockstep", {"version": "1.4.0", "pre": "rc"}, "it excludes --bump and --pre", "--version 1.4.0"),
        ("lockstep", {"version": "1.4.0", "bump": "minor"}, "it excludes --bump and --pre", "--version 1.4.0"),
        ("lockstep", {"services": ("one",)}, "all services share one version", "leave --service out"),
        ("independent", {"version": "1.4.0"}, "which service?", "--service NAME --version 1.4.0"),
        ("independent", {"version": "1.4.0", "services": ("one", "two")}, "which service?", "--service NAME"),
    ],
)
def test_flags_that_make_no_request(
    empty_project: Project, mode: Literal["lockstep", "independent"], flags: dict[str, Any], reason: str, hint: str
) -> None:
    """Flags that exclude each other or do not fit the mode are refused with the flags that would do."""
    manifest = two_services(empty_project)
    manifest = replace(manifest, release=replace(manifest.release, mode=mode))

    with pytest.raises(ReleaseRefused, match=reason) as caught:
        from_flags(manifest, **{"bump": "auto", "pre": "", "version": "", "services": ()} | flags)

    assert hint in caught.value.hint


def test_flags_make_a_request(empty_project: Project) -> None:
    """Bump, channel and services are taken as they are given."""
    manifest = two_services(empty_project)
    manifest = replace(manifest, release=replace(manifest.release, mode="independent"))

    made = from_flags(manifest, bump="minor", pre="rc", version="", services=["two", "one"])

    assert made == Request(bump="minor", pre="rc", services=("two", "one"))
