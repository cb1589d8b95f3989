"""Kills in independent mode: all lines of a release are claimed or none, and each is finished from its own record."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from semver import Version

from tests.fault.kills import BOUNDARIES, END, HOOK, Kill, Tally, arrange, assert_landed, disarm
from tests.support.project import REPOSITORY
from tests.support.proxy import Proxy
from tests.support.samples import deep
from tests.support.steps import begins
from tests.support.world import FAST, SERVICES, Public, World

_CLAIM = begins("claim")
_AROUND_THE_CLAIM = ("claim", "publish", "record", "float")
_KILLS = [
    *(Kill("step", at=step) for step in _AROUND_THE_CLAIM),
    *deep(*(Kill("step", at=step) for step in BOUNDARIES if step not in {*_AROUND_THE_CLAIM, "scan", "smoke"})),
    Kill("write", write=22),
    *deep(*(Kill("write", write=number, before=bool(number % 2)) for number in (3, 13, 27, 29, 33, 36))),
    Kill("hook", at="pre-receive", children=True),
    Kill("hook", at="post-receive"),
]


@pytest.fixture(scope="module")
def lines(make_world: Callable[..., World], module_proxy: Proxy) -> World:
    """Two services with their own versions, each released once; the remote can kill whatever pushes to it."""
    world = make_world(module_proxy.address, mode='"independent"')
    for name in ("pre-receive", "post-receive"):
        hook = world.remote / "hooks" / name
        hook.write_text(HOOK.format(name=name))
        hook.chmod(0o755)
    assert world.clone.release().code == 0
    return world


@pytest.fixture(scope="module")
def tally() -> Iterator[Tally]:
    """Counts over all kills, kept in .uc/reports/fault-kills-lines.json."""
    counts = Tally()
    yield counts
    counts.write(REPOSITORY / ".uc" / "reports" / "fault-kills-lines.json")


@pytest.mark.parametrize("kill", _KILLS, ids=str)
def test_lines_that_were_claimed_together(lines: World, module_proxy: Proxy, tally: Tally, kill: Kill) -> None:
    """Before the claim nothing is public, after it both lines are claimed; another clone finishes as this one would have."""
    before = lines.public()
    for service in SERVICES:
        lines.clone.commit(service)
    expected = {f"{service}/v{_latest(before, service).bump_patch()}" for service in SERVICES}
    running = lines.clone.start("release", *FAST)
    arrange(kill, running, lines, module_proxy, {})
    ran = running.wait()
    disarm(lines, module_proxy)
    assert ran.code == -9 or (kill.at == END and ran.code == 0), f"{kill}: {ran.text}"
    tally.add(kill, running, killed=ran.code == -9)
    assert_landed(kill, running, ran.code)
    halfway = lines.public()
    new = set(halfway.git) - set(before.git)
    assert new in (set(), expected), "a part of the lines is claimed"
    if not new:
        assert halfway.images == before.images, "public before the claim"

    ran = lines.another().release()

    # A push that outlived its killed release may still beat this one, which reports it.
    if ran.code == 15 and _CLAIM in running.lines:
        ran = lines.another().release()
    assert ran.code == 0, ran.text
    after = lines.public()
    assert set(after.git) - set(before.git) == expected
    _assert_whole(lines, before, after)


def _latest(public: Public, service: str) -> Version:
    return max(Version.parse(tag.rpartition("/v")[2]) for tag in public.git if tag.startswith(f"{service}/v"))


def _assert_whole(world: World, before: Public, after: Public) -> None:
    """Assert that immutable tags are unchanged, versions have their record's digest, and floats name the highest."""
    immutable = {name: digest for name, digest in before.images.items() if name.count(".") == 2}
    assert immutable.items() <= after.images.items()
    assert before.git.items() <= after.git.items()
    for tag in after.git:
        service, _, version = tag.rpartition("/v")
        assert after.images[f"{service}:{version}"] == world.record(tag)["services"][service]["digest"]
    for service in SERVICES:
        newest = _latest(after, service)
        floats = (f"{newest.major}.{newest.minor}", f"{newest.major}")
        assert {after.images[f"{service}:{name}"] for name in floats} == {after.images[f"{service}:{newest}"]}
        versions = {tag.rpartition("/v")[2] for tag in after.git if tag.startswith(f"{service}/v")}
        tags = {name.partition(":")[2] for name in after.images if name.startswith(f"{service}:")}
        assert tags == versions | set(floats)


def test_the_kills_came_in_time(tally: Tally) -> None:
    """Each step from the claim on was hit, also in a release of several lines."""
    tally.assert_landed()
