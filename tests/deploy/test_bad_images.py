"""A release that does not run: the old set is whole again and proves it; without an old set the evidence stays."""

from __future__ import annotations

import pytest

from tests.support.coherent import assert_at_rest, assert_whole, report, running, started, touched
from tests.support.deploying import FIRST, Site
from tests.support.load import Load
from tests.support.samples import deep
from tests.support.spoiled import WAYS

BAD = ("crash", "sick", "dying", "wrong")
# It shows in its own time: what is sick at its deadline, what dies after it was healthy.
_PATIENCE = {"sick": {"health_seconds": "10"}, "dying": {"monitor_seconds": "5"}}


def test_every_way_is_tried() -> None:
    """Each spoiled image is of a test below."""
    assert set(BAD) | {"relabelled"} == set(WAYS)


@pytest.mark.parametrize("way", ["crash", "sick", *deep("dying", "wrong")])
def test_the_old_set_is_put_back(lane: Site, way: str) -> None:
    """A crash, bad health, a death in the monitor window or a failed smoke check ends in the old set, with exit 16."""
    version = lane.releases.variant(web=way, store="relabelled")
    before = started(lane)

    with lane.settings(**_PATIENCE.get(way, {})):
        ran = lane.deploy(version)

    assert ran.code == 16, ran.text
    assert ran.document["error"]["kind"] == "rolled-back"
    assert (ran.result["state"], ran.result["release"], ran.result["before"]) == ("rolled-back", version, FIRST)
    assert_whole(lane, FIRST)
    assert touched(before, started(lane)) == {"store", "web"}
    entry = lane.deploys()[0]
    assert (entry["state"], entry["release"], entry["before"]) == ("rolled-back", version, FIRST)
    assert "web" in entry["reason"]
    if way == "crash":
        assert "boom" in ran.text, "its last words are shown"
    assert lane.status()["release"] == FIRST


def test_what_comes_first_fails(lane: Site) -> None:
    """What comes after the container that failed is never touched."""
    version = lane.releases.variant(store="crash", web="relabelled")
    before = started(lane)

    ran = lane.deploy(version)

    assert ran.code == 16, ran.text
    assert_whole(lane, FIRST)
    assert touched(before, started(lane)) == {"store"}


def test_an_image_that_nobody_has(lane: Site) -> None:
    """A digest that can't be had stops the deploy before anything is touched."""
    version = lane.releases.variant(web="missing")
    before, history = started(lane), lane.deploys()

    ran = lane.deploy(version)

    assert ran.code in {4, 10, 18}, ran.text
    assert "web" in ran.stderr
    assert (started(lane), lane.deploys()) == (before, history)
    assert_whole(lane, FIRST)


@pytest.mark.parametrize("way", ["crash", *deep("wrong")])
def test_a_first_deploy_that_fails(site: Site, way: str) -> None:
    """Without an old set it ends with 17, what is there stays as evidence, and a good release then comes up."""
    version = site.releases.variant(web=way)

    ran = site.deploy(version)

    assert (ran.code, ran.result["state"]) == (17, "failed"), ran.text
    assert {"store", "pair-a", "pair-b", "web"} == set(running(site))
    status = site.status()
    assert status["state"] == "failed"
    assert site.deploy(FIRST).code == 0
    assert_whole(site, FIRST)


def test_a_put_back_that_fails(site: Site) -> None:
    """If what ran before does not come up again, it ends with 17 and says so loudly; a later roll back brings it back."""
    assert site.deploy(FIRST).code == 0
    version = site.releases.variant(web="crash", store="relabelled")
    secret, aside = site.secrets / "alpha", site.secrets / "aside"
    failing = site.start("deploy", version, "--json")
    failing.when("  store: ", lambda: secret.rename(aside))

    ran = failing.wait()

    assert (ran.code, ran.result["state"]) == (17, "open"), ran.text
    assert "alpha" in ran.text
    aside.rename(secret)
    ran = site.rollback()
    assert ran.code == 0, ran.text
    assert_whole(site, FIRST)


def test_nothing_fails_for_those_that_are_not_touched(lane: Site) -> None:
    """While one service changes, fails and is put back, every request to the others is answered."""
    version = lane.releases.variant(web="dying")
    urls = {name: [lane.url(name)] for name in ("store", "pair-a", "pair-b")}
    with Load(urls, rate=10, timeout=30) as load, lane.settings(**_PATIENCE["dying"]):
        ran = lane.deploy(version)
    assert ran.code == 16, ran.text
    for answers in load.answers.values():
        assert answers.sent > 40
        assert answers.failures == [], str(answers)
    assert_at_rest(lane)
    assert report(lane, "web")["status"] == "healthy"
