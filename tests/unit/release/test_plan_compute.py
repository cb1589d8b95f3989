"""Which version of which line is planned: a table of worlds, and nothing is read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from semver import Version

from build.config.manifest import Manifest
from build.errors import RepositoryError, VersionTaken
from build.git.versions import History
from build.release import plan
from build.release.request import Request
from build.release.world import Details, World
from tests.support.plans import HEAD, only, planned, tags, two_services, version_set, versions, world
from tests.support.project import Project
from tests.support.records import record as record_of


@pytest.fixture
def lockstep(empty_project: Project) -> Manifest:
    """Two services with one version."""
    return two_services(empty_project)


@pytest.fixture
def independent(lockstep: Manifest) -> Manifest:
    """The same with a version for each service."""
    return replace(lockstep, release=replace(lockstep.release, mode="independent"))


# Which version -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "commits", "request_", "version", "bump"),
    [
        ("", ["feat: start"], Request(), "0.1.0", "minor"),
        ("", ["fix: start"], Request(bump="major"), "0.1.0", "major"),
        ("", ["feat: start"], Request(pre="rc"), "0.1.0-rc.1", "minor"),
        ("1.4.0", ["fix: x"], Request(), "1.4.1", "patch"),
        ("1.4.0", ["feat: x", "fix: y"], Request(), "1.5.0", "minor"),
        ("1.4.0", ["feat!: x"], Request(), "2.0.0", "major"),
        ("1.4.0", ["docs: x"], Request(bump="patch"), "1.4.1", "patch"),
        ("1.4.0", ["docs: x"], Request(bump="minor"), "1.5.0", "minor"),
        ("1.4.0", ["docs: x"], Request(bump="major"), "2.0.0", "major"),
        ("1.4.0", ["docs: x"], Request(version="1.7.3"), "1.7.3", "explicit"),
        ("1.4.0", ["docs: x"], Request(version="v1.7.3"), "1.7.3", "explicit"),
        ("1.4.0", ["feat: x"], Request(pre="rc"), "1.5.0-rc.1", "minor"),
        ("1.5.0-rc.1", ["fix: x"], Request(pre="rc"), "1.5.0-rc.2", "patch"),
        ("1.5.0-rc.2", [], Request(), "1.5.0", "none"),
    ],
)
def test_the_version(
    lockstep: Manifest, last: str, commits: list[str], request_: Request, version: str, bump: str
) -> None:
    """Commits, a bump, a channel or an explicit version lead to one version, counted from the last release."""
    line = only(planned(world(lockstep, last, *commits), request_))

    assert (line.version, line.bump, line.previous, line.tag) == (version, bump, last, f"v{version}")


def test_a_backfill_counts_on_its_own_branch(lockstep: Manifest) -> None:
    """On 1.3.x the next patch of 1.3 is planned, although 1.4.0 is released."""
    before = world(lockstep, "1.3.4", "fix: x", released=("1.3.4", "1.4.0"), branch="1.3.x")

    assert only(planned(before)).version == "1.3.5"


def test_a_backfill_stays_in_the_range_of_its_branch(lockstep: Manifest) -> None:
    """What only fits 1.4 is not released from 1.3.x."""
    with pytest.raises(RepositoryError, match=r"branch 1\.3\.x releases 1\.3\.\* only"):
        planned(world(lockstep, "1.3.4", "feat: x", branch="1.3.x"))


@pytest.mark.parametrize("place", ["remote", "registry", "foreign"])
def test_a_version_that_is_taken_elsewhere_is_passed_by(lockstep: Manifest, place: str) -> None:
    """A tag that only the remote has, a release or a stranger in the registry: each takes its version."""
    before = world(lockstep, "1.4.0", "fix: x")
    name = next(iter(before.known))
    base = before.known[name]
    one = version_set("1.4.1")
    before = {
        "remote": replace(before, claims={**before.claims, "v1.4.1": "object"}),
        "registry": replace(before, known={name: replace(base, complete=base.complete | one)}),
        "foreign": replace(before, known={name: replace(base, foreign=one)}),
    }[place]

    assert only(planned(before)).version == "1.4.2"
    with pytest.raises(VersionTaken, match=r"1\.4\.1 is taken"):
        planned(before, Request(version="1.4.1"))


def test_v1_a_plan_names_what_looks_conventional(lockstep: Manifest) -> None:
    """A plan lists the commits that were probably meant to bump more, also when there is nothing to release."""
    little, nothing = (planned(world(lockstep, "1.4.0", *more, "feat!(api): x")) for more in (["fix: y"], []))

    assert [only(little).version, nothing.lines] == ["1.4.1", ()]
    for plan_ in (little, nothing):
        assert [(miss.commit, miss.header, miss.suggestion) for miss in plan_.near_misses] == [
            (HEAD, "feat!(api): x", "feat(api)!: x")
        ]


def test_v1_services_that_share_a_commit_name_it_once(independent: Manifest) -> None:
    """Of two lines with the same commit only one warns; a line that is not asked for warns of nothing."""
    before = world(independent, "1.4.0", "feat:x")
    quiet = replace(before.history.lines["two"], commits=(), distance=0)
    only_one = replace(before, history=replace(before.history, lines={**before.history.lines, "two": quiet}))

    assert len(planned(before, Request(bump="patch")).near_misses) == 1
    assert planned(only_one, Request(bump="patch", services=("two",))).near_misses == ()


# Which lines ---------------------------------------------------------------------------------------------------------


def test_independent_lines_are_planned_one_by_one(independent: Manifest) -> None:
    """Each line has its own version and tag, and what does not change on a line does not release it."""
    before = world(independent, "1.4.0", "fix: x")
    lines_of = before.history.lines
    quiet = replace(lines_of["two"], commits=(), distance=0)
    before = replace(before, history=replace(before.history, lines={**lines_of, "two": quiet}))

    made = planned(before)

    assert (versions(made), made.nothing) == ({"one": "1.4.1"}, "")
    assert only(made).tag == "one/v1.4.1"
    assert [service.service for service in only(made).services] == ["one"]


def test_a_quiet_or_finished_line_does_not_stop_the_others(independent: Manifest) -> None:
    """The first line has nothing to release, or HEAD is released on it: the second is planned all the same."""
    before = world(independent, "1.4.0", "fix: x")
    lines_of = before.history.lines
    quiet = replace(before.history, lines={**lines_of, "one": replace(lines_of["one"], commits=(), distance=0)})

    assert [*plan.due(replace(before, history=quiet), Request())] == ["two"]
    released = here(before, "1.4.1")
    assert [*plan.due(replace(released, here=frozenset({"one/v1.4.1"})), Request())] == ["two"]


def test_each_line_without_a_release_has_its_reason(independent: Manifest) -> None:
    """The plan lists the reasons of all lines; a line without any release counts from the beginning."""
    made = planned(world(independent, "1.4.0", "docs: x"))
    first = planned(world(independent, "", "docs: x"), Request(services=("one",)))

    assert made.nothing == ("one: no commit since 1.4.0 bumps a version; two: no commit since 1.4.0 bumps a version")
    assert first.nothing == "one: no commit since the beginning bumps a version"


def test_a_plan_says_what_it_is_of(lockstep: Manifest) -> None:
    """A plan carries the commit, the registry, its basis, the sources of each image and what is finished before it."""
    before = world(lockstep, "1.4.0", "fix: x")
    details = {name: Details(before=dict.fromkeys(tags(before, name, due.version), ""), previous=record_of("1.3.0"))
               for name, due in plan.due(before, Request()).items()}  # fmt: skip
    before = replace(before, details=details)

    made = plan.compute(before, Request(), unfinished=("v1.3.9",))

    assert (made.commit, made.registry, made.nothing) == (HEAD, lockstep.home, "")
    assert (made.basis, made.unfinished) == (plan.basis(before), ("v1.3.9",))
    assert only(made).previous == "1.3.0"
    assert [service.fingerprint for service in only(made).services] == ["of one", "of two"]


def test_some_lines_only(independent: Manifest) -> None:
    """With services in the request the other lines are not looked at."""
    made = planned(world(independent, "1.4.0", "fix: x"), Request(services=("two",)))

    assert versions(made) == {"two": "1.4.1"}


def test_nothing_to_release_has_a_reason(lockstep: Manifest) -> None:
    """A commit that bumps nothing makes no line, and the plan says since when."""
    made = planned(world(lockstep, "1.4.0", "docs: x"))

    assert made.lines == ()
    assert made.nothing.endswith("no commit since 1.4.0 bumps a version")


def here(before: World, *versions: str, complete: bool = True) -> World:
    """The world with these versions tagged at HEAD, complete or not."""
    tags_here = {
        f"{line.line.prefix}{version}": "object" for line in before.history.lines.values() for version in versions
    }
    known = {
        name: replace(known, complete=known.complete | version_set(*(versions if complete else ())))
        for name, known in before.known.items()
    }
    return replace(before, claims={**before.claims, **tags_here}, here=frozenset(tags_here), known=known)


@pytest.mark.parametrize(
    ("released", "asked", "answered"),
    [
        ("1.4.1", Request(), True),
        ("1.4.1", Request(bump="patch"), True),
        ("1.5.0", Request(bump="major"), True),
        ("1.5.0-rc.1", Request(bump="minor", pre="rc"), True),
        ("1.5.0-rc.1", Request(pre="rc"), True),
        ("1.5.0-rc.1", Request(bump="minor"), False),
        ("1.5.0-beta.1", Request(bump="minor", pre="rc"), False),
        ("1.4.1", Request(bump="minor", pre="rc"), False),
        ("1.4.1", Request(version="1.4.1"), True),
        ("1.4.1", Request(version="v1.4.1"), True),
        ("1.4.1", Request(version="1.4.2"), False),
    ],
)
def test_c6_a_commit_is_released_once_on_a_line(
    lockstep: Manifest, released: str, asked: Request, answered: bool
) -> None:
    """A complete release of HEAD answers every request of its channel; a version or another channel is released."""
    before = here(world(lockstep, "1.4.0", "fix: x"), released)
    if not asked.version:
        before = replace(before, history=_at(before, released))

    made = planned(before, asked)

    assert (made.lines == ()) == answered
    assert (f"this commit is released as v{released}" in made.nothing) == answered


def _at(before: World, version: str) -> History:
    """The history of a HEAD that has this version."""
    lines_at = {
        name: replace(line, last=Version.parse(version), last_tag=f"v{version}", commits=(), distance=0)
        for name, line in before.history.lines.items()
    }
    return replace(before.history, lines=lines_at)


def test_c6_a_withdrawn_release_is_not_made_again(lockstep: Manifest) -> None:
    """The images that were withdrawn get no second number, unless it is given; what was never complete does not count."""
    before = here(world(lockstep, "1.4.0", "fix: x"), "1.4.1")
    known = {name: replace(base, yanked=version_set("1.4.1")) for name, base in before.known.items()}

    assert "was released and withdrawn as v1.4.1" in planned(replace(before, known=known)).nothing
    assert versions(planned(replace(before, known=known), Request(version="1.4.2"))) != {}
    given_up = here(world(lockstep, "1.4.0", "fix: x"), "1.4.1", complete=False)
    assert only(planned(given_up)).version == "1.4.2"


def test_a_commit_that_a_newer_release_contains_is_not_released(lockstep: Manifest) -> None:
    """The highest of the releases that contain HEAD is the reason; --version releases all the same."""
    before = world(lockstep, "1.4.0", "fix: x", released=("1.4.0", "1.4.9", "1.4.10"))

    made = planned(before, containing=("v1.4.9", "v1.4.10"))
    (due,) = plan.due(before, Request(version="1.4.11")).values()

    assert (made.lines, made.nothing) == (
        (), "this commit is in v1.4.10 already (--version releases it all the same)"
    )  # fmt: skip
    assert due.newer == {}


@pytest.mark.parametrize(
    ("other", "branch", "asked"),
    [
        ("1.5.0", "main", True),
        ("1.4.0", "main", False),
        ("1.3.9", "main", False),
        ("1.5.0", "1.4.x", False),
        ("1.4.1-rc.1", "main", True),
        ("1.5.0-rc.1", "main", False),
    ],
)
def test_which_releases_may_contain_this_commit(lockstep: Manifest, other: str, branch: str, asked: bool) -> None:
    """Git is asked about releases above the last one, in the branch's range, and no pre-release of a later version."""
    before = world(lockstep, "1.4.0", "fix: x", branch=branch)
    before = replace(before, claims={**before.claims, f"v{other}": "object"})

    (due,) = plan.due(before, Request(bump="patch")).values()

    assert (f"v{other}" in due.newer) == asked


def test_a_withdrawn_release_contains_nothing(lockstep: Manifest) -> None:
    """A yanked release is not a reason to hold this commit back, and its version stays taken."""
    before = world(lockstep, "1.4.0", "fix: x", released=("1.4.0", "1.4.1"))
    known = {name: replace(base, yanked=version_set("1.4.1")) for name, base in before.known.items()}

    (due,) = plan.due(replace(before, known=known), Request()).values()

    assert (str(due.version), due.newer) == ("1.4.2", {})
