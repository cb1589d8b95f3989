"""A node that is drained, or dies, while a set runs or a deploy is under way: the status is true, and a set is whole."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import small
from tests.support.deploying import CONTAINERS, Releases, Site
from tests.support.nodes import Node
from tests.support.on_swarm import OnSwarm
from tests.support.own_engine import until


@contextlib.contextmanager
def _drained(manager: Node, node: Node) -> Iterator[None]:
    """Drain a node as long as the block runs."""
    manager.docker("node", "update", "--availability", "drain", node.name)
    try:
        yield
    finally:
        manager.docker("node", "update", "--availability", "active", node.name)


def _container(site: Site, name: str) -> dict[str, Any]:
    """What `./inv status --json` says of a container; nothing of it is ever called drift."""
    status = site.status()
    assert status["drift"] == [], status["drift"]
    return next(dict(each) for each in status["containers"] if each["container"] == name)


def _waits_for_a_node(container: dict[str, Any]) -> bool:
    """Whether the status says that nothing of it runs, and why."""
    waits = container["state"] == "pending" and container["replicas"] == 0
    return waits and "no suitable node" in (container["error"] or "")


def _node_of(there: OnSwarm, name: str) -> Node:
    """The node that runs the one container of a service."""
    (node,) = (node for node in there.nodes.running if name in _names(there, node))
    return node


def _names(there: OnSwarm, node: Node) -> set[str]:
    """The services of which a node runs a container."""
    return {name for name in CONTAINERS if node.containers(f"{there.site.project}_{name}")}


def _other_node(there: OnSwarm) -> Node:
    """A node that runs something, and not what has data."""
    return next(node for node in there.nodes.all[:3] if (names := _names(there, node)) and "store" not in names)


def test_containers_leave_a_node_that_is_drained(small_swarm: OnSwarm, small_first: str) -> None:
    """The status names the nodes that run them now, and calls nothing of that drift; nothing is left to be deployed."""
    site, node = small_swarm.site, _other_node(small_swarm)
    with _drained(small_swarm.nodes.first, node):
        until(lambda: not _names(small_swarm, node), 60, lambda: "it stays on the drained node")
        until(lambda: _is_whole(small_swarm, small_first), 60, lambda: str(small_swarm.live().keys()))
        status = site.status()
        assert status["drift"] == []
        assert {each["container"]: (each["state"], each["replicas"]) for each in status["containers"]} == {
            name: ("running", small_swarm.replicas.get(name, 1)) for name in CONTAINERS
        }
        running = {one.name: _names(small_swarm, one) for one in small_swarm.nodes.all}
        assert {each["container"]: set(each["nodes"]) for each in status["containers"]} == {
            name: {node for node, names in running.items() if name in names} for name in CONTAINERS
        }
        ran = site.deploy(small_first)
        assert ran.code == 0, ran.text
        assert ran.result["number"] == 0, "nothing was to be done"


def _is_whole(there: OnSwarm, version: str) -> bool:
    try:
        there.assert_whole(version)
    except AssertionError:
        return False
    return True


def test_a_set_whose_data_is_on_a_drained_node_is_not_deployed(
    small_swarm: OnSwarm, releases: Releases, small_first: str
) -> None:
    """The container waits for its node: the status says so, a deploy is refused, and it runs again afterwards."""
    site, node = small_swarm.site, _node_of(small_swarm, "store")
    with _drained(small_swarm.nodes.first, node):
        until(lambda: _waits_for_a_node(_container(site, "store")), 60, lambda: str(_container(site, "store")))
        assert "store" not in small_swarm.live()
        ran = site.deploy(small.changed(releases, small_first, ["web"]))
        assert ran.code == 18, ran.text
        assert f"{node.name} is drain" in ran.text
    until(lambda: _is_whole(small_swarm, small_first), 60, lambda: str(small_swarm.live()))
    assert _container(site, "store")["state"] == "running"


@pytest.mark.deep
def test_a_node_is_drained_during_a_deploy(small_swarm: OnSwarm, releases: Releases, small_first: str) -> None:
    """The deploy ends in the set that was to come, or in the one of before, whole."""
    version = small.changed(releases, small_first, ["pair"])
    site, manager, node = small_swarm.site, small_swarm.nodes.first, _other_node(small_swarm)
    with contextlib.ExitStack() as stack:
        deploy = site.start("deploy", version, "--json")
        deploy.when("  pair-a: ", lambda: stack.enter_context(_drained(manager, node)))
        ran = deploy.wait()
        assert ran.code in {0, 16}, ran.text
        ends_in = version if ran.code == 0 else small_first
        until(lambda: _is_whole(small_swarm, ends_in), 60, lambda: str(small_swarm.live()))
        assert site.status()["drift"] == []


@pytest.mark.deep
@pytest.mark.parametrize("dies", ["the manager that is asked", "another one"])
def test_the_leader_dies_during_a_deploy(small_swarm: OnSwarm, releases: Releases, small_first: str, dies: str) -> None:
    """Whatever the deploy makes of it: by a manager that is left, the next one ends in a whole set."""
    version = small.changed(releases, small_first, ["pair"])
    leader = _leader(small_swarm)
    other = next(node for node in small_swarm.nodes.all[:3] if node != leader)
    left = small_swarm.through(other)
    site = small_swarm.through(leader) if dies == "the manager that is asked" else left
    deploy = site.start("deploy", version)
    deploy.when("  pair-a: ", leader.kill)
    ran = deploy.wait()
    try:
        assert ran.code in {0, 7, 16, 17}, ran.text
        until(lambda: left.inv("status", "--json").code == 0, 60, lambda: "there is no leader")

        ran = left.deploy(version, "--break-lock")

        # What the swarm has not missed yet when it begins is missed when the set is verified: then the old one is back.
        assert ran.code in {0, 16}, ran.text
        ends_in = version if ran.code == 0 else small_first
        until(lambda: _is_whole(small_swarm, ends_in), 60, lambda: str(small_swarm.live()))
        assert left.status()["drift"] == []
    finally:
        leader.start()
        leader.wait_ready(other)


def _leader(there: OnSwarm) -> Node:
    """The manager that leads, after the node of the data has handed that over: without it no set is whole."""
    managers = {node.name: node for node in there.nodes.all[:3]}
    store = _node_of(there, "store")
    while True:
        listed = there.nodes.first.docker("node", "ls", "--format", "{{json .}}").splitlines()
        name = next(entry["Hostname"] for entry in map(json.loads, listed) if entry["ManagerStatus"] == "Leader")
        if managers[name] != store:
            return managers[name]
        for change in ("demote", "promote"):
            there.nodes.first.docker("node", change, name)
