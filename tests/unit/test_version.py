"""Snapshot versions, from rules alone and from real git."""

from __future__ import annotations

import re

import pytest
import semver
from hypothesis import given, settings
from hypothesis import strategies as st

from build import repo
from build.errors import RepositoryError
from build.version import GitState, snapshot
from tests.conftest import Project

_STATE = {"commit": "1a2b3c4d" + "0" * 32, "committed": 0, "remote": ""}


@pytest.mark.parametrize(
    ("tag", "distance", "dirty", "expected"),
    [
        (None, 7, False, "0.1.0-dev.7.g1a2b3c4"),
        (None, 7, True, "0.1.0-dev.7.g1a2b3c4.dirty"),
        ("v1.4.0", 0, False, "1.4.0"),
        ("v1.4.0", 0, True, "1.4.1-dev.0.g1a2b3c4.dirty"),
        ("v1.4.0", 7, False, "1.4.1-dev.7.g1a2b3c4"),
        ("v1.4.0+build.5", 0, False, "1.4.0"),
        ("v1.5.0-rc.1", 2, False, "1.5.0-rc.1.dev.2.g1a2b3c4"),
    ],
)
def test_snapshot_versions(tag: str | None, distance: int, dirty: bool, expected: str) -> None:
    """A snapshot counts from the nearest tag, and is valid as SemVer and as an image tag."""
    version = snapshot(GitState(tag=tag, distance=distance, dirty=dirty, **_STATE), "0.1.0")  # type: ignore[arg-type]

    assert version == expected
    assert semver.Version.is_valid(version)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", version)


@settings(database=None, deadline=None)  # nothing left in the tree, nothing timed
@given(
    numbers=st.tuples(*[st.integers(min_value=0, max_value=10**9)] * 3),
    candidate=st.none() | st.sampled_from(["alpha", "alpha.1", "beta.11", "dev.3", "rc.1", "zeta.9"]),
    distance=st.integers(min_value=0, max_value=10**6),
    dirty=st.booleans(),
)
def test_a_snapshot_never_ranks_below_its_tag(
    numbers: tuple[int, int, int], candidate: str | None, distance: int, dirty: bool
) -> None:
    """Whatever the tag, its snapshots are SemVer and image tags, rank at or above it, and below the release to come."""
    tag = ".".join(map(str, numbers)) + ("" if candidate is None else f"-{candidate}")
    version = semver.Version.parse(snapshot(GitState(tag=f"v{tag}", distance=distance, dirty=dirty, **_STATE), "0.1.0"))  # type: ignore[arg-type]

    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", str(version))
    assert version >= semver.Version.parse(tag)
    if distance or dirty:
        assert version < semver.Version.parse(tag).bump_patch()


def test_a_tag_that_is_no_version_is_named() -> None:
    """The nearest v* tag must be a semantic version; another is refused by name."""
    with pytest.raises(RepositoryError, match="v2banana"):
        snapshot(GitState(tag="v2banana", distance=1, dirty=False, **_STATE), "0.1.0")  # type: ignore[arg-type]


def test_git_state_of_a_clean_commit(project: Project) -> None:
    """Commit, distance and cleanliness come from real git."""
    state = repo.inspect(project.root)

    assert (state.commit, state.tag, state.distance, state.dirty) == (project.git("rev-parse", "HEAD"), None, 1, False)


def test_an_untracked_file_makes_the_tree_dirty(project: Project) -> None:
    """A file that git does not know may enter a build context, so it counts."""
    project.write("stray.txt", "x")

    assert repo.inspect(project.root).dirty


def test_the_nearest_version_tag_counts(project: Project) -> None:
    """Foreign tags are ignored; annotated and lightweight version tags are not."""
    project.git("tag", "v1.2.3")
    project.commit("More")
    project.git("tag", "sha-abcdef")

    state = repo.inspect(project.root)

    assert (state.tag, state.distance) == ("v1.2.3", 1)


def test_no_repository(empty_project: Project) -> None:
    """A folder outside git is refused with the command that mends it."""
    with pytest.raises(RepositoryError, match="not a git repository") as caught:
        repo.inspect(empty_project.root)

    assert "git init" in caught.value.hint


def test_no_commit_yet(empty_project: Project) -> None:
    """A repository without a commit has nothing to name an image after."""
    empty_project.git("init", "--quiet")

    with pytest.raises(RepositoryError, match="no commit yet"):
        repo.inspect(empty_project.root)
