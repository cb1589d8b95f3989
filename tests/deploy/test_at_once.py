"""One deploy at a time: the lock, who holds it, and what other commands do meanwhile."""

from __future__ import annotations

import pytest

from build.deploy.locking import NAME
from build.deploy.targets.compose.store import ComposeStore
from build.engine.api import Api
from build.engine.remote import Engine
from tests.support.coherent import assert_at_rest, assert_coherent, assert_whole, started
from tests.support.deploying import FIRST, PAIR_CHANGED, STORE_CHANGED, WEB_CHANGED, Site
from tests.support.running import Running
from tests.support.steps import DEPLOY

_ELSEWHERE = {
    "work": "deploy of here", "who": "somebody", "host": "elsewhere", "machine": "elsewhere 1", "pid": 4711,
    "started": "12345", "since": "2026-01-01T00:00:00+00:00",
}  # fmt: skip


def _lock_from_elsewhere(site: Site) -> None:
    assert ComposeStore(Api(Engine()), site.project).create(NAME, _ELSEWHERE, exclusive=True)


def test_a_lock_of_another_machine(lane: Site) -> None:
    """What another machine holds is refused, by whom it is held is said, and --break-lock takes it."""
    _lock_from_elsewhere(lane)
    before = started(lane)
    for command in (("deploy", WEB_CHANGED), ("rollback", "--to", FIRST)):
        ran = lane.inv(*command, "--json")
        assert ran.code == 18, ran.text
        assert "somebody on elsewhere" in ran.stderr
        assert "--break-lock" in ran.stderr
    lock = lane.status()["lock"]
    assert "somebody" in str(lock)
    assert started(lane) == before

    ran = lane.deploy(WEB_CHANGED, "--break-lock")

    assert ran.code == 0, ran.text
    assert_whole(lane, WEB_CHANGED)


@pytest.mark.deep
def test_a_lock_that_was_broken_while_it_was_held(lane: Site) -> None:
    """A deploy whose lock another one has taken stops before its next change; the other one brings its own set."""
    loser = lane.start("deploy", PAIR_CHANGED, "--json")
    other = lane.another()
    winners: list[Running] = []
    loser.when("  store: ", lambda: winners.append(other.start("deploy", STORE_CHANGED, "--break-lock", "--json")))

    ran = loser.wait()
    won = winners[0].wait()

    assert won.code == 0, won.text
    assert ran.code in {17, 18}, ran.text
    assert_whole(lane, STORE_CHANGED)


def test_two_deploys_at_once(lane: Site) -> None:
    """Of two deploys one brings its set, and the other is refused."""
    sites = (lane, lane.another())
    both = [one.start("deploy", WEB_CHANGED, "--json") for one in sites]
    results = [one.wait() for one in both]
    assert sorted(ran.code for ran in results) == [0, 18], "\n".join(ran.text for ran in results)
    assert_whole(lane, WEB_CHANGED)
    assert lane.deploys()[0]["state"] == "done"


def test_a_roll_back_during_a_deploy(lane: Site) -> None:
    """It is refused; the status says who deploys, and that an entry is open."""
    other = lane.another()
    meanwhile: list[Running] = []
    deploy = lane.start("deploy", PAIR_CHANGED, "--json")
    deploy.when(
        DEPLOY.begins("apply"),
        lambda: meanwhile.extend([other.start("rollback", "--to", FIRST), other.start("status", "--json")]),
    )
    ran = deploy.wait()
    rollback, status = (each.wait() for each in meanwhile)

    assert ran.code == 0, ran.text
    assert rollback.code == 18, rollback.text
    assert status.result["lock"]
    assert status.result["state"] == "open"
    assert_whole(lane, PAIR_CHANGED)


def test_a_deploy_during_a_release(lane: Site) -> None:
    """A release that is made meanwhile neither stops a deploy nor changes what it brings."""
    clone = lane.releases.world.another()
    clone.commit("web")
    release = clone.start("release", "--skip-scan", "--skip-smoke", "--json")
    ran = lane.deploy(WEB_CHANGED)
    released = release.wait()
    assert (ran.code, released.code) == (0, 0), ran.text + released.text
    assert_whole(lane, WEB_CHANGED)
    lane.releases.world.clone.git("pull", "--quiet", "--tags", "origin", "main")


@pytest.mark.deep
def test_many_at_once_leave_one_set(lane: Site) -> None:
    """Deploys and a roll back that start together leave one whole set, and nothing open."""
    other, third = lane.another(), lane.another()
    at_once = [
        lane.start("deploy", WEB_CHANGED, "--json"),
        other.start("deploy", STORE_CHANGED, "--json"),
        third.start("rollback", "--to", FIRST, "--json"),
    ]
    codes = [running.wait().code for running in at_once]
    assert set(codes) <= {0, 18}, codes
    assert 0 in codes
    assert_at_rest(lane)
    assert_whole(lane, assert_coherent(lane, [FIRST, WEB_CHANGED, STORE_CHANGED]))
