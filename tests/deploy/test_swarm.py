"""Whole releases on a swarm of real nodes, by the real `./inv deploy`: what comes, what goes back, what resumes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.deploying import CONTAINERS, FIRST, PAIR_CHANGED, WEB_CHANGED, Site
from tests.support.nodes import Nodes
from tests.support.own_engine import until
from tests.support.swarm_site import remove_all


@pytest.fixture(scope="module")
def _site(make_swarm_site: Callable[..., Site], swarm: Nodes) -> Iterator[Site]:
    """A target on the swarm."""
    site = make_swarm_site(replicas="{ web = 2 }")
    yield site
    remove_all(swarm.first, site.project)


@pytest.fixture
def swarm_lane(_site: Site) -> Site:
    """A target on the swarm that runs FIRST."""
    ran = _site.deploy(FIRST, "--adopt", "--break-lock")
    assert ran.code == 0, ran.text
    _assert_whole(_site, FIRST)
    return _site


def _tasks(site: Site, swarm: Nodes) -> dict[str, set[str]]:
    """The running containers of each service of the site, over all nodes."""
    return {
        name: {each for node in swarm.running for each in node.containers(f"{site.project}_{name}")}
        for name in CONTAINERS
    }


def _touched(before: dict[str, set[str]], after: dict[str, set[str]]) -> set[str]:
    return {name for name in CONTAINERS if before[name] != after[name]}


def _assert_whole(site: Site, version: str) -> None:
    """The status shows every container healthy by the release's digest, and no drift."""
    containers: list[dict[str, Any]] = site.status()["containers"]
    digests = site.releases.digests(version)
    assert {each["container"]: each["image"].partition("@")[2] for each in containers} == {
        name: digests[service] for name, service in CONTAINERS.items()
    }
    assert {(each["state"], each["health"]) for each in containers} == {("running", "healthy")}
    assert [each["drift"] for each in containers if each["drift"]] == []


def test_only_what_changed_is_touched(swarm_lane: Site, swarm: Nodes) -> None:
    """A release of one service replaces its tasks and no other; so does the way back."""
    before = _tasks(swarm_lane, swarm)
    assert {name: len(tasks) for name, tasks in before.items()} == {"store": 1, "pair-a": 1, "pair-b": 1, "web": 2}

    assert swarm_lane.deploy(WEB_CHANGED).code == 0

    _assert_whole(swarm_lane, WEB_CHANGED)
    assert _touched(before, _tasks(swarm_lane, swarm)) == {"web"}
    ran = swarm_lane.rollback()
    assert ran.code == 0, ran.text
    _assert_whole(swarm_lane, FIRST)
    assert _touched(before, _tasks(swarm_lane, swarm)) == {"web"}


def test_a_release_that_crashes_leaves_the_old_set(swarm_lane: Site, swarm: Nodes) -> None:
    """Rolled back as a whole, with the words of the container that crashed; what came before it goes back, too."""
    before = _tasks(swarm_lane, swarm)
    version = swarm_lane.releases.variant(web="crash")

    ran = swarm_lane.deploy(version)

    assert ran.code == 16, ran.text
    assert "boom" in ran.text
    _assert_whole(swarm_lane, FIRST)
    assert _touched(before, _tasks(swarm_lane, swarm)) <= {"web"}


@pytest.mark.deep
def test_a_deploy_that_was_killed_is_finished_from_elsewhere(swarm_lane: Site, swarm: Nodes) -> None:
    """Another machine reads from the swarm what was to run, and brings it."""
    before = _tasks(swarm_lane, swarm)
    running = swarm_lane.start("deploy", PAIR_CHANGED)
    until(lambda: bool(_tasks(swarm_lane, swarm)["pair-a"] - before["pair-a"]), 90, lambda: "pair-a is never replaced")
    running.process.send_signal(signal.SIGKILL)
    running.wait()
    other = swarm_lane.another()

    ran = other.inv("deploy", "--resume", "--break-lock", "--json")

    assert ran.code == 0, ran.text
    _assert_whole(other, PAIR_CHANGED)


def test_a_renewed_secret_arrives(swarm_lane: Site, swarm: Nodes) -> None:
    """As a secret of its own, so the containers that use it are replaced; the old value is accepted beside it."""
    before = _tasks(swarm_lane, swarm)

    ran = swarm_lane.inv("secrets.rotate", "beta", "--target", "here")

    assert ran.code == 0, ran.text
    _assert_whole(swarm_lane, FIRST)
    after = _tasks(swarm_lane, swarm)
    assert _touched(before, after) == {"pair-a", "pair-b"}
    ((node, container),) = ((node, task) for node in swarm.running for task in after["pair-a"] if task in node.ids())
    value = node.docker("exec", container, "cat", "/run/secrets/beta")
    assert value == (swarm_lane.secrets / "beta").read_text().strip()
    assert len(value.splitlines()) == 2
