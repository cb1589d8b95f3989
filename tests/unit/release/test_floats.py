"""Floats and next versions over any history: never backwards but by a yank, always the highest that may be named."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from semver import Version

from build.errors import RepositoryError
from build.git.commits import Bump
from build.git.versions import next_version
from build.release.floats import names, winners, won_by

FIRST = Version(0, 1, 0)
VERSIONS = st.builds(
    Version, st.integers(0, 2), st.integers(0, 11), st.integers(0, 3), st.sampled_from([None, None, "rc.1", "rc.10"])
)


@given(st.frozensets(VERSIONS, max_size=12))
def test_a_float_names_the_highest_stable_release_of_its_line(releases: frozenset[Version]) -> None:
    """For every X.Y and X with a stable release there is a float, it names the highest, and there is no other."""
    stable = {one for one in releases if not one.prerelease}
    found = winners(releases)

    assert set(found) == {name for one in stable for name in names(one)}
    for name, version in found.items():
        assert version == max(one for one in stable if name in names(one))


@given(st.lists(VERSIONS, max_size=12))
def test_the_order_of_events_does_not_matter(releases: list[Version]) -> None:
    """Floats are a function of the set: whoever releases last, the same release is named."""
    assert winners(releases) == winners(reversed(releases)) == winners([*releases, *releases])


def test_f5_numbers_are_compared_as_numbers() -> None:
    """1.10 is above 1.9, and 10 is above 9."""
    found = winners([Version(1, 9, 0), Version(1, 10, 0), Version(1, 10, 2), Version(1, 10, 10)])

    assert (found["1"], found["1.10"], found["1.9"]) == (Version(1, 10, 10), Version(1, 10, 10), Version(1, 9, 0))


@pytest.mark.parametrize(
    ("version", "floats"),
    [
        ("1.11.0", ("1.11", "1")), ("1.10.0", ()), ("1.10.3", ("1.10", "1")), ("1.9.1", ("1.9",)), ("2.0.0", ("2.0", "2")),
        ("1.10.2", ("1.10", "1")), ("2.0.0-rc.1", ()),
    ],
)  # fmt: skip
def test_a_release_wins_the_floats_that_it_is_the_highest_of(version: str, floats: tuple[str, ...]) -> None:
    """A backfill wins its X.Y at most, a pre-release nothing."""
    released = [Version(1, 9, 0), Version(1, 10, 2)]

    assert won_by(Version.parse(version), released) == floats


class Line(RuleBasedStateMachine):
    """A line of versions as people treat it: releases on any branch, pre-releases, final ones, yanks."""

    def __init__(self) -> None:
        super().__init__()
        self.made: set[Version] = set()
        self.yanked: set[Version] = set()
        self.before: dict[str, Version] = {}

    @property
    def eligible(self) -> set[Version]:
        """What floats may name."""
        return self.made - self.yanked

    @rule(data=st.data(), bump=st.sampled_from(["patch", "minor", "major"]), pre=st.sampled_from(["", "", "rc"]))
    def release(self, data: st.DataObject, bump: Bump, pre: str) -> None:
        """Release on top of any earlier release (a branch of it), as a bump or a pre-release of one."""
        last = data.draw(st.sampled_from(sorted(self.made))) if self.made else None
        branch = data.draw(st.sampled_from([None, "main", f"{last.major}.{last.minor}.x"])) if last else None
        try:
            found = next_version(last, bump, pre=pre, taken=self.made, first=FIRST, explicit=True, branch=branch)
        except RepositoryError:
            return
        assert found not in self.made
        assert last is None or found > last
        self.made.add(found)
        self.step(moved_by=found)

    @precondition(lambda self: self.eligible)
    @rule(data=st.data())
    def yank(self, data: st.DataObject) -> None:
        """Withdraw one."""
        self.yanked.add(data.draw(st.sampled_from(sorted(self.eligible))))
        self.before = winners(self.eligible)

    def step(self, *, moved_by: Version) -> None:
        """After a release, each float stayed or went up, to that release alone."""
        now = winners(self.eligible)
        for name, version in now.items():
            assert version >= self.before.get(name, version)
            assert version == self.before.get(name) or version == moved_by
        assert set(self.before) <= set(now)
        self.before = now

    @invariant()
    def a_float_names_what_is_eligible(self) -> None:
        """A float never names a pre-release or what was withdrawn."""
        assert set(winners(self.eligible).values()) <= {one for one in self.eligible if not one.prerelease}


TestLine = Line.TestCase
