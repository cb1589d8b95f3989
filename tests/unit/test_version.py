"""Versions by rule alone: what a tag says, what comes next, what a snapshot is called."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from semver import Version

from build.commits import BUMPS, Bump
from build.errors import RepositoryError
from build.manifest import Manifest
from build.tags import Key, Versions, of_key, precedence, tags_of
from build.version import History, Line, LineHistory, lines, next_version, parse_tag, revision, snapshot
from tests.conftest import REPOSITORY

FIRST = Version(0, 1, 0)
IMAGE_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
# Nothing is left in the tree, and nothing is timed.
PROPERTY = settings(database=None, deadline=None, max_examples=40)
NUMBER = st.integers(min_value=0, max_value=4)
CANDIDATE = st.sampled_from(["", "alpha.1", "beta.2", "beta.11", "rc.1", "rc.2", "rc.10", "rc1", "x-y"])
KEYS = st.tuples(NUMBER, NUMBER, NUMBER, CANDIDATE)
CHANNEL = st.sampled_from(["", "alpha", "beta", "rc"])


def _at(tag: str, *, distance: int = 0, dirty: bool = False) -> tuple[History, LineHistory]:
    """HEAD so far behind a tag ("" for none)."""
    line = Line(name="all", prefix="v", services=("web",))
    last = parse_tag("v", tag)
    told = LineHistory(
        line=line, last=last.replace(build=None) if last else None, last_tag=tag, taken=Versions(), distance=distance,
        commits=(),
    )  # fmt: skip
    history = History(
        commit="1a2b3c4d" + "0" * 32, committed=0, branch="main", shallow=False, dirty=dirty, changed=(), untracked=(),
        strays=(), remote="", lines={"all": told},
    )  # fmt: skip
    return history, told


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


@PROPERTY
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
    with pytest.raises(RepositoryError, match="an image tag 128 at most"):
        snapshot(*_at(f"v1.0.0-{'a' * 120}", distance=1), "0.1.0")


def test_v3_build_metadata_never_reaches_an_image_tag_nor_makes_two_versions_one() -> None:
    """V3: v1.4.0+a and v1.4.0+b are two versions, so neither may be called 1.4.0 as an image; both take 1.4.0."""
    version = snapshot(*_at("v1.4.0+a"), "0.1.0")
    taken = Versions(keys=(key for key, _ in tags_of("v", "refs/tags/v1.4.0+a\nrefs/tags/v1.4.0+b")))

    assert version == "1.4.1-dev.0.g1a2b3c4"
    assert str(next_version(Version(1, 3, 0), "minor", taken=taken, first=FIRST)) == "1.5.0"


@pytest.mark.parametrize(
    ("prefix", "tag", "expected"),
    [
        ("v", "v1.4.0", "1.4.0"),
        ("v", "v1.4.0-rc.1+build.5", "1.4.0-rc.1+build.5"),
        ("v", "v1.10.0", "1.10.0"),
        ("", "1.4.0", "1.4.0"),
        ("web/v", "web/v1.4.0", "1.4.0"),
        ("v", "1.4.0", None),
        ("v", "web/v1.4.0", None),
        ("v", "v1.4", None),
        ("v", "v1", None),
        ("v", "v01.4.0", None),
        ("v", "v1.4.0-", None),
        ("v", "v1.4.0-rc..1", None),
        ("v", "v1.4.0-01", None),
        ("v", "v1.4.0+", None),
        ("v", "v١.4.0", None),
        ("", "sha-6943991", None),
        ("", "6943991", None),
        ("", "20261122", None),
        ("", "2026-11-22", None),
        ("v", "v2banana", None),
    ],
)
def test_foreign_tags_are_no_versions(prefix: str, tag: str, expected: str | None) -> None:
    """Only SemVer 2.0 behind the line's own prefix is a version: no sha, no date, no other line's tag."""
    assert parse_tag(prefix, tag) == (Version.parse(expected) if expected else None)
    assert [name for _, name in tags_of(prefix, f"refs/tags/{tag}")] == ([tag] if expected else [])


@PROPERTY
@given(st.lists(KEYS, min_size=1, max_size=12))
def test_f5_versions_rank_as_semver_says(keys: list[Key]) -> None:
    """F5: the order of plain values is that of the semver package: 1.10 above 1.9, rc.10 above rc.2, final above rc."""
    assert [of_key(key) for key in sorted(keys, key=precedence)] == sorted(map(of_key, keys))


@pytest.mark.parametrize(
    ("last", "bump", "pre", "expected"),
    [
        ("", "patch", "", "0.1.0"),
        ("", "major", "rc", "0.1.0-rc.1"),
        ("1.4.2", "patch", "", "1.4.3"),
        ("1.4.2", "minor", "", "1.5.0"),
        ("1.4.2", "major", "", "2.0.0"),
        ("1.4.2", "patch", "rc", "1.4.3-rc.1"),
        ("1.4.2", "minor", "rc", "1.5.0-rc.1"),
        ("1.5.0-rc.1", "patch", "rc", "1.5.0-rc.2"),
        ("1.5.0-rc.9", "minor", "rc", "1.5.0-rc.10"),
        ("1.5.0-rc.1", "patch", "", "1.5.0"),
        ("1.5.0-rc.1", "minor", "", "1.5.0"),
        ("1.5.0-rc.1", "none", "", "1.5.0"),
        ("1.5.0-rc.1", "major", "", "2.0.0"),
        ("1.5.0-rc.1", "major", "rc", "2.0.0-rc.1"),
        ("1.4.3-rc.1", "minor", "rc", "1.5.0-rc.1"),
        ("2.0.0-rc.1", "major", "", "2.0.0"),
        ("2.0.0-rc.1", "minor", "rc", "2.0.0-rc.2"),
        ("1.5.0-alpha.3", "patch", "rc", "1.5.0-rc.1"),
        ("0.3.1", "minor", "", "0.4.0"),
        ("0.3.1", "major", "", "0.4.0"),
        ("0.4.0-rc.1", "major", "rc", "0.4.0-rc.2"),
    ],
)
def test_next_version(last: str, bump: Bump, pre: str, expected: str) -> None:
    """Bumps, pre-release channels, the first release, and 0.y.z, where a breaking change bumps the minor."""
    assert str(next_version(Version.parse(last) if last else None, bump, pre=pre, first=FIRST)) == expected


@pytest.mark.parametrize(("rule", "expected"), [("major_on_zero", "1.0.0"), ("explicit", "1.0.0"), ("", "0.4.0")])
def test_zero_is_left_by_setting_or_by_hand(rule: str, expected: str) -> None:
    """0.y.z becomes 1.0.0 when the setting lets a breaking change do it, or a person asks for major."""
    assert str(next_version(Version(0, 3, 1), "major", first=FIRST, **({rule: True} if rule else {}))) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("last", "bump", "pre", "taken", "expected"),
    [
        ("1.4.0", "patch", "", ["1.4.1", "1.4.2"], "1.4.3"),
        ("1.4.0", "patch", "", ["1.4.7"], "1.4.8"),
        ("1.4.0", "minor", "", ["1.5.0"], "1.6.0"),
        ("1.4.0", "minor", "", ["1.5.3"], "1.6.0"),
        ("1.4.0", "minor", "", ["2.0.0"], "1.5.0"),
        ("1.4.0", "major", "", ["2.1.0"], "3.0.0"),
        ("1.3.4", "patch", "", ["1.4.0", "1.4.1"], "1.3.5"),
        ("1.4.0", "minor", "", ["1.5.0-rc.3"], "1.5.0"),
        ("1.4.0", "minor", "rc", ["1.5.0-rc.3"], "1.5.0-rc.4"),
        ("1.4.0", "minor", "rc", ["1.5.0"], "1.6.0-rc.1"),
        ("1.5.0-rc.1", "patch", "", ["1.5.0"], "1.5.1"),
    ],
)
def test_what_is_taken_elsewhere_is_passed_by(last: str, bump: Bump, pre: str, taken: list[str], expected: str) -> None:
    """A version tagged on a branch that HEAD does not reach is never given again: the next goes above it."""
    found = next_version(
        Version.parse(last), bump, pre=pre, taken=frozenset(map(Version.parse, taken)), first=FIRST
    )  # fmt: skip

    assert str(found) == expected


@pytest.mark.parametrize(
    ("branch", "last", "bump", "expected"),
    [
        ("1.3.x", "1.3.4", "patch", "1.3.5"),
        ("1.x", "1.3.4", "minor", "1.4.0"),
        ("web/1.3.x", "1.3.4", "patch", "1.3.5"),
        ("1.3.x", "1.3.4", "minor", None),
        ("1.3.x", "1.4.0", "patch", None),
        ("1.x", "1.3.4", "major", None),
        ("main", "1.3.4", "major", "2.0.0"),
        (None, "1.3.4", "major", "2.0.0"),
    ],
)
def test_a_maintenance_branch_keeps_to_its_range(
    branch: str | None, last: str, bump: Bump, expected: str | None
) -> None:
    """1.3.x releases 1.3.* only, 1.x releases 1.* only; any other branch, or none, has no range."""
    if expected:
        assert str(next_version(Version.parse(last), bump, first=FIRST, branch=branch)) == expected
    else:
        with pytest.raises(RepositoryError, match=rf"branch {branch} releases"):
            next_version(Version.parse(last), bump, first=FIRST, branch=branch)


@pytest.mark.parametrize(
    ("last", "bump", "pre", "reason"),
    [
        ("", "none", "", "nothing to release"),
        ("1.4.0", "none", "", "nothing to release"),
        ("1.5.0-rc.1", "none", "rc", "nothing to release"),
        ("1.5.0-rc.1", "patch", "beta", "would rank below"),
        ("1.4.0", "patch", "1", "can't be a pre-release channel"),
        ("1.4.0", "patch", "r c", "can't be a pre-release channel"),
        ("1.4.0", "patch", "rc.1", "can't be a pre-release channel"),
        ("1.4.0", "patch", "dev", "snapshots have that one"),
        ("1.4.0", "patch", "a" * 114, "a release 121 at most"),
    ],
)
def test_no_version_fits(last: str, bump: Bump, pre: str, reason: str) -> None:
    """What can't be released is refused with its reason and a way on."""
    with pytest.raises(RepositoryError, match=reason) as caught:
        next_version(Version.parse(last) if last else None, bump, pre=pre, first=FIRST)

    assert caught.value.hint


@PROPERTY
@given(
    last=st.none() | KEYS,
    taken=st.frozensets(KEYS, max_size=12),
    bump=st.sampled_from(BUMPS[1:]),
    pre=CHANNEL,
    major_on_zero=st.booleans(),
)
def test_the_next_version_is_new_and_higher(
    last: Key | None, taken: frozenset[Key], bump: Bump, pre: str, major_on_zero: bool
) -> None:
    """Whatever is taken: the next version is above the last, not taken, an image tag, and of the channel asked for."""
    before = of_key(last) if last else None
    try:
        found = next_version(
            before, bump, pre=pre, taken=Versions(keys=taken), first=FIRST, major_on_zero=major_on_zero
        )  # fmt: skip
    except RepositoryError as error:
        assert pre, str(error)  # only a channel may fail to fit
        assert "would rank below" in str(error)
        return

    assert before is None or found > before
    assert found not in Versions(keys=taken)
    assert IMAGE_TAG.fullmatch(str(found))
    assert (found.prerelease or "").rpartition(".")[0] == pre


@PROPERTY
@given(last=KEYS, bump=st.sampled_from(BUMPS[1:]), releases=st.integers(min_value=1, max_value=4))
def test_a_channel_climbs_until_its_release(last: Key, bump: Bump, releases: int) -> None:
    """rc.1, rc.2, … of one version rank in that order, below the final version that then follows them."""
    final = of_key((*last[:3], ""))
    seen = [next_version(final, bump, pre="rc", first=FIRST)]
    for _ in range(releases):
        seen.append(next_version(seen[-1], "patch", pre="rc", first=FIRST, taken=seen))
    seen.append(next_version(seen[-1], "none", first=FIRST, taken=seen))

    assert seen == sorted(seen)
    assert {one.finalize_version() for one in seen} == {seen[-1]}


def test_versions_are_a_set_without_build_metadata() -> None:
    """Versions compare, join and contain as a set of versions does; +meta does not make another one."""
    one = Versions([Version(1, 0, 0), Version.parse("1.0.0+a")])

    assert list(one) == [Version(1, 0, 0)]
    assert Version.parse("1.0.0+b") in one
    assert (one | {Version(2, 0, 0)}) == Versions([Version(1, 0, 0), Version(2, 0, 0)])
    assert len({one, Versions([Version(1, 0, 0)])}) == 1


def test_lockstep_is_one_line(shipped: Manifest) -> None:
    """In lockstep all services share one line, and every path counts."""
    assert lines(shipped) == (Line(name="unity-claude", prefix="v", services=tuple(shipped.services)),)


def test_independent_lines_follow_what_an_image_is_built_from(independent: Manifest) -> None:
    """A service's line counts its folder, its shared stages, its sources, and no path of another service."""
    found = {line.name: line for line in lines(independent)}

    assert found["langgraph-api"].prefix == "langgraph-api/v"
    assert found["langgraph-api"].paths == ("docker/langgraph", "docker/python", "agents")
    assert found["powershell-modules"].paths == ("docker/powershell", "Modules")


@pytest.fixture
def shipped() -> Manifest:
    """The manifest of this repository."""
    from build import loading

    return loading.load(REPOSITORY, {}, local=False)


@pytest.fixture
def independent() -> Manifest:
    """The same in independent mode."""
    from build import loading

    return loading.load(REPOSITORY, {"UC_RELEASE_MODE": "independent"}, local=False)
