"""Snapshots by rule alone: what a build between releases is called, and which commit it is read back as."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semver import Version

from build.errors import RepositoryError
from build.git.tags import Versions, of_key, tags_of
from build.git.versions import History, Line, LineHistory, next_version, parse_tag, revision, snapshot
from tests.support.versions import CANDIDATE, FIRST, IMAGE_TAG


def _at(tag: str, *, distance: int = 0, dirty: bool = False) -> tuple[History, LineHistory]:
    """HEAD so far behind a tag ("" for none)."""
    line = Line(name="all", prefix="v", services=("web",))
    last = parse_tag("v", tag)
    known = LineHistory(
        line=line, last=last.replace(build=None) if last else None, last_tag=tag, taken=Versions(), distance=distance,
        commits=(),
    )  # fmt: skip
    history = History(
        commit="1a2b3c4d" + "0" * 32, committed=0, branch="main", shallow=False, dirty=dirty, changed=(), differences=(),
        remote="", lines={"all": known},
    )  # fmt: skip
    return history, known


@pytest.mark.parametrize(
    ("tag", "distance", "dirty", "expected"),
    [
        ("", 7, False, "0.1.0-dev.7.g1a2b3c4"),
        ("", 7, True, "0.1.0-dev.7.g1a2b3c4.dirty"),
        ("v1.4.0", 0, False, "1.4.0"),
        ("v1.4.0", 0, True, "1.4.1-dev.0.g1a2b3c4.dirty"),
        ("v1.4.0", 7, False, "1.4.1-dev.7.g1a2b3c4"),
        ("v1.5.0-rc.1", 0, False, "1.5.0-rc.1"),
        ("v1.5.0-rc.1", 2, False, "1.5.0-rc.1.dev.2.g1a2b3c4"),
    ],
)
def test_snapshot_versions(tag: str, distance: int, dirty: bool, expected: str) -> None:
    """A snapshot counts from the last tag, and is valid as SemVer and as an image tag."""
    version = snapshot(*_at(tag, distance=distance, dirty=dirty), "0.1.0")

    assert version == expected
    assert Version.is_valid(version)
    assert IMAGE_TAG.fullmatch(version)


@given(
    numbers=st.tuples(*[st.integers(min_value=0, max_value=10**9)] * 3),
    candidate=CANDIDATE,
    distance=st.integers(min_value=0, max_value=10**6),
    dirty=st.booleans(),
)
def test_a_snapshot_never_ranks_below_its_tag(
    numbers: tuple[int, int, int], candidate: str, distance: int, dirty: bool
) -> None:
    """Whatever the tag, its snapshots are SemVer and image tags, rank at or above it, and below the release to come."""
    tagged = of_key((*numbers, candidate))
    version = Version.parse(snapshot(*_at(f"v{tagged}", distance=distance, dirty=dirty), "0.1.0"))

    assert IMAGE_TAG.fullmatch(str(version))
    assert version >= tagged
    if distance or dirty:
        assert version < tagged.bump_patch()


@pytest.mark.parametrize(
    ("tag", "distance", "dirty", "made_of"),
    [
        ("v1.4.0", 0, False, "refs/tags/v1.4.0"),
        ("v1.4.0-rc.1", 0, False, "refs/tags/v1.4.0-rc.1"),
        ("v1.4.0", 7, False, "1a2b3c4"),
        ("v1.4.0-rc.1", 7, False, "1a2b3c4"),
        ("v1.4.0", 7, True, ""),
        ("v1.4.0", 0, True, ""),
    ],
)
def test_a_snapshot_names_its_commit(tag: str, distance: int, dirty: bool, made_of: str) -> None:
    """The commit of a snapshot is read back from it, a release's by its tag; of an edited tree there is none."""
    assert revision(snapshot(*_at(tag, distance=distance, dirty=dirty), "0.1.0"), "v") == made_of


def test_a_snapshot_too_long_for_an_image_tag_is_refused() -> None:
    """A tag that leaves no room in the 128 characters of an image tag is named, not cut."""
    with pytest.raises(RepositoryError, match="an image tag 128 at most") as caught:
        snapshot(*_at(f"v1.0.0-{'a' * 108}", distance=1), "0.1.0")

    assert caught.value.hint == "git tag this line of history with a shorter version"
    assert len(snapshot(*_at(f"v1.0.0-{'a' * 107}", distance=1), "0.1.0")) == 128


def test_g3_build_metadata_never_reaches_an_image_tag_nor_makes_two_versions_one() -> None:
    """V3: v1.4.0+a and v1.4.0+b are two versions, so neither may be called 1.4.0 as an image; both take 1.4.0."""
    version = snapshot(*_at("v1.4.0+a"), "0.1.0")
    taken = Versions(keys=(key for key, _ in tags_of("v", "refs/tags/v1.4.0+a\nrefs/tags/v1.4.0+b")))

    assert version == "1.4.1-dev.0.g1a2b3c4"
    assert str(next_version(Version(1, 3, 0), "minor", taken=taken, first=FIRST)) == "1.5.0"


def test_a_service_finds_its_line() -> None:
    """A history knows the line of each service."""
    history, line = _at("v1.4.0")

    assert history.of("web") is line
