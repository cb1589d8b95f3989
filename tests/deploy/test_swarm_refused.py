"""What a swarm refuses, before anything is touched, and what happens when a part of it is gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from build.deploy.target import DeployedSet
from build.deploy.targets.swarm.encryption import Crossing
from build.deploy.targets.swarm.nodes import nodes
from build.engine.api import Api
from build.engine.remote import Engine
from build.errors import MissingTool
from build.stack.swarm import data_label, service_name
from tests.support.nodes import Node, Nodes
from tests.support.own_engine import until
from tests.support.relay import relayed
from tests.support.swarm_site import SwarmSite


def _problems(place: SwarmSite, wanted: DeployedSet) -> list[tuple[str, str]]:
    return [(problem.message, problem.hint) for problem in place.target.problems(wanted)]


@pytest.fixture
def lone(swarm: Nodes) -> Iterator[Node]:
    """The only node of a swarm of its own."""
    node = swarm.all[3]
    node.docker("swarm", "init", "--advertise-addr", node.ip)
    yield node
    node.docker("swarm", "leave", "--force")


def test_an_address_that_a_swarm_can_t_keep_is_refused(swarm_place: SwarmSite, swarm_images: dict[str, str]) -> None:
    """It publishes on all addresses: what was to be on this machine alone would be open to everyone."""
    place = swarm_place.changed(address="127.0.0.1")

    ((message, hint),) = _problems(place, place.wanted({"web": swarm_images["good"]}))

    assert "127.0.0.1" in message
    assert 'address = "0.0.0.0" in [deploy.targets.test]' in hint


def test_an_engine_without_a_swarm_is_refused(
    swarm_place: SwarmSite, swarm: Nodes, swarm_images: dict[str, str]
) -> None:
    """With the command that makes one; its store can't be read either."""
    place = swarm_place.changed(host=swarm.all[3].host)
    wanted = place.wanted({"web": swarm_images["good"]})

    ((message, hint),) = _problems(place, wanted)
    assert "no swarm manager" in message
    assert "docker swarm init" in hint
    with pytest.raises(MissingTool, match="no swarm manager") as caught:
        place.target.store.items()
    assert "swarm init" in caught.value.hint


def test_a_loopback_registry_is_another_one_on_each_node(
    swarm_place: SwarmSite, lone: Node, swarm_images: dict[str, str]
) -> None:
    """Refused with several nodes, and with a single one on another machine; here, a single one has the same registry."""
    image = "127.0.0.1:5000/test/good@" + swarm_images["good"].partition("@")[2]
    wanted = swarm_place.wanted({"web": image})

    ((message, hint),) = _problems(swarm_place, wanted)
    assert "127.0.0.1:5000" in message
    assert 'registry = "HOST:PORT" in [deploy.targets.test]' in hint
    assert _problems(swarm_place.changed(host=lone.host), wanted) == []
    socket, here = lone.host.removeprefix("unix://"), swarm_place.nodes.registry.address.partition(":")[0]
    with relayed(socket, here) as elsewhere:
        ((message, hint),) = _problems(swarm_place.changed(host=elsewhere), wanted)
    assert message == f"the registry 127.0.0.1:5000 is this machine's, and not that of {lone.name}"
    assert 'registry = "HOST:PORT" in [deploy.targets.test]' in hint


def test_which_node_keeps_the_data_is_asked_for(
    swarm_place: SwarmSite, swarm: Nodes, swarm_images: dict[str, str]
) -> None:
    """With the exact command; after it, the container runs there. Two nodes are one too many."""
    swarm_place.project.append('volumes = { data = "/data" }\n')
    wanted = swarm_place.wanted({"web": swarm_images["good"]})
    label = data_label(swarm_place.name)
    ((message, hint),) = _problems(swarm_place, wanted)
    assert "web" in message
    assert (
        hint == f"docker --host {swarm.first.host} node update --label-add {label}=true "
        f"{min(node.name for node in swarm.all[:3])}"
    )

    swarm.first.docker("node", "update", "--label-add", f"{label}=true", swarm.all[2].name)
    assert _problems(swarm_place, wanted) == []
    swarm_place.bring(wanted)
    assert list(swarm_place.containers("web").values()) == [swarm.all[2]]

    swarm.first.docker("node", "update", "--label-add", f"{label}=true", swarm.all[1].name)
    ((_, hint),) = _problems(swarm_place, wanted)
    assert hint.startswith(f"docker --host {swarm.first.host} node update --label-rm {label} ")


def test_a_swarm_of_one_node_asks_nothing(swarm_place: SwarmSite, lone: Node, swarm_images: dict[str, str]) -> None:
    """The node that keeps the data is the only one, and gets the label by itself."""
    swarm_place.project.append('volumes = { data = "/data" }\n')
    place = swarm_place.changed(host=lone.host)
    wanted = place.wanted({"web": swarm_images["good"]})

    assert _problems(place, wanted) == []
    place.bring(wanted)

    assert lone.containers(service_name(place.name, "web"))
    assert place.target.address("web", wanted.specs["web"]).startswith(f"http://{lone.ip}:")


def test_a_placement_is_held_against_the_nodes(
    swarm_place: SwarmSite, swarm: Nodes, swarm_images: dict[str, str]
) -> None:
    """None meets it, too few for the replicas, or several for what writes to a volume."""
    images = {"web": swarm_images["good"]}

    def refused(**settings: object) -> list[str]:
        place = swarm_place.changed(**settings)
        return [message for message, _ in _problems(place, place.wanted(images))]

    assert "there are 0" in refused(placement={"web": ("node.labels.disk == ssd",)})[0]
    assert "wants 4 nodes" in refused(replicas={"web": 4})[0]
    assert refused(replicas={"web": 3}, placement={"web": ("node.role == manager",)}) == []
    swarm_place.project.append('volumes = { data = "/data" }\n')
    assert "its data is on one of them" in refused(placement={"web": ("node.role == manager",)})[0]
    assert refused(placement={"web": (f"node.hostname!={swarm.all[0].name}", f"node.id != {_id(swarm, 1)}")}) == []


def _id(swarm: Nodes, position: int) -> str:
    return swarm.first.docker("node", "inspect", swarm.all[position].name, "--format", "{{.ID}}")


def test_what_is_in_the_way_is_named(swarm_place: SwarmSite, swarm: Nodes, swarm_images: dict[str, str]) -> None:
    """A service of somebody else with our name or port, a network that is another kind, a name that is too long."""
    wanted = swarm_place.wanted({"web": swarm_images["good"]})
    name, port = service_name(swarm_place.name, "web"), str(swarm_place.project.load().services["web"].published)
    publish = f"mode=host,published={port},target=1"
    swarm.first.docker(
        "service", "create", "--detach", "--replicas", "0", "--publish", publish, "--name", name, swarm_images["good"]
    )
    swarm.first.docker("network", "create", "--driver", "overlay", "--internal", f"{swarm_place.name}-edge")

    messages = [message for message, _ in _problems(swarm_place, wanted)]

    assert [text for text in messages if f"the service {name} is not of this target" in text]
    assert [text for text in messages if f"port {port} of web is that of the service {name}" in text]
    assert [text for text in messages if f"the network {swarm_place.name}-edge is internal" in text]
    swarm.first.docker("service", "rm", name)
    long = replace(wanted, specs={"w" * 60: wanted.specs["web"]})
    assert [text for text, _ in _problems(swarm_place, long) if "63 at most" in text]


def test_a_path_that_a_node_lacks_is_named(
    swarm_place: SwarmSite, swarm: Nodes, swarm_images: dict[str, str], tmp_path: Path
) -> None:
    """Really tried on each node that may run the container."""
    swarm_place.project.append('mounts = { watched = "/watched" }\n')
    place = swarm_place.changed(
        sources={"watched": "/nowhere/at/all"}, placement={"web": (f"node.hostname == {swarm.all[1].name}",)}
    )

    ((message, hint),) = _problems(place, place.wanted({"web": swarm_images["good"]}))
    assert f"web can't run on node {swarm.all[1].name}" in message
    assert "/nowhere/at/all" in message
    assert "placement" in hint

    there = place.changed(sources={"watched": str(tmp_path)})
    assert _problems(there, there.wanted({"web": swarm_images["good"]})) == []


def test_an_image_that_a_node_can_t_pull_is_no_missing_path(
    swarm_place: SwarmSite, swarm: Nodes, swarm_images: dict[str, str], tmp_path: Path
) -> None:
    """Trying a path needs the image; where that can't be had, the remedy is the registry's."""
    swarm_place.project.append('mounts = { watched = "/watched" }\n')
    node = swarm.all[1].name
    placement = {"web": (f"node.hostname == {node}",)}
    place = swarm_place.changed(sources={"watched": str(tmp_path)}, placement=placement)
    missing = swarm_images["good"][:-8] + "00000000"

    ((message, hint),) = _problems(place, place.wanted({"web": missing}))
    assert message.startswith(f"node {node} can't pull {missing}: No such image")
    assert f"docker login {swarm.registry.address}" in hint
    assert 'registry = "HOST:PORT" in [deploy.targets.test]' in hint


def test_encryption_is_really_tried(swarm_place: SwarmSite, swarm: Nodes, swarm_images: dict[str, str]) -> None:
    """An open network is crossed; whether an encrypted one is depends on the kernel, and a kernel without is named."""
    api = Api(Engine(host=swarm.first.host))
    every = nodes(api)

    def silent(options: dict[str, str]) -> list[str] | None:
        return Crossing(api, swarm_place.name, swarm_images["good"], "", options).silent(every)

    assert silent({}) == []
    place = swarm_place.changed(encrypted=True)
    refused = [message for message, _ in _problems(place, place.wanted({"web": swarm_images["good"]}))]
    assert bool(refused) == (not _has_esp())
    assert all("no encrypted traffic gets from" in message for message in refused)


def _has_esp() -> bool:
    return "esp" in Path("/proc/net/protocols").read_text().lower() or Path("/sys/module/esp4").exists()


def test_a_swarm_without_a_quorum_is_named(swarm_place: SwarmSite, swarm: Nodes) -> None:
    """With what to do; when the managers are back, so is the swarm."""
    for node in swarm.all[1:3]:
        node.freeze(frozen=True)
    try:
        with pytest.raises(MissingTool, match="quorum") as caught:
            until(lambda: swarm_place.target.store.items() is None, 60, lambda: "the swarm never loses its quorum")
    finally:
        for node in swarm.all[1:3]:
            node.freeze(frozen=False)
    assert "--force-new-cluster" in caught.value.hint
    for node in swarm.all[:3]:
        node.wait_ready(swarm.first)


def test_an_engine_that_hangs_is_given_up(swarm: Nodes) -> None:
    """It does not keep a deploy waiting without an end, and nothing is left running."""
    node = swarm.all[3]
    node.freeze(frozen=True)
    try:
        with pytest.raises(MissingTool, match="timed out after 2 s"):
            Api(Engine(host=node.host), seconds=2).get("/info")
    finally:
        node.freeze(frozen=False)


def test_a_dead_node_keeps_nobody_from_deploying(
    swarm_place: SwarmSite, swarm: Nodes, swarm_images: dict[str, str]
) -> None:
    """Its tasks are started elsewhere; an update does not wait for the end of those that nobody hears of any more."""
    place = swarm_place.changed(replicas={"web": 2})
    wanted = place.wanted({"web": swarm_images["good"]})
    place.bring(wanted)
    dead = next(node for node in place.containers("web").values() if node != swarm.first)
    dead.kill()
    try:
        until(
            lambda: dead.name not in place.target.observe(wanted.specs)["web"].nodes,
            60,
            lambda: str(place.target.observe(wanted.specs)),
        )
        newer = place.wanted({"web": swarm_images["newer"]})
        place.bring(newer)
        observed = place.target.observe(newer.specs)["web"]
        assert observed.runs
        assert dead.name not in observed.nodes
        three = place.changed(replicas={"web": 3})
        ((message, _),) = _problems(three, three.wanted({"web": swarm_images["good"]}))
        assert f"{dead.name} is down" in message
    finally:
        dead.start()
        dead.wait_ready(swarm.first)
