"""A swarm of real nodes as a target: what arrives in the running containers, and how a deploy there ends."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from build.deploy.changes import changes
from build.deploy.target import Observed
from build.errors import SmokeFailed, ToolFailed
from build.parallel import at_once
from build.stack.swarm import service_name
from tests.support import swarm_items
from tests.support.nodes import Nodes
from tests.support.swarm_site import SwarmSite


def _web(place: SwarmSite, expected: Any) -> Observed:
    return place.target.observe(expected)["web"]


def test_every_item_of_the_model_arrives_in_the_running_container(
    swarm_place: SwarmSite, swarm: Nodes, swarm_images: dict[str, str]
) -> None:
    """Asked of the node's own engine and of the container itself, not of the swarm."""
    place = swarm_items.with_every_item(swarm_place)
    wanted = place.wanted({"web": swarm_images["good"]})
    assert list(place.target.problems(wanted)) == []
    place.target.pull(wanted.specs.values())

    place.bring(wanted)

    swarm_items.assert_arrived(place, swarm_images["good"])
    assert swarm_items.has_no_new_privileges(place)
    url = place.target.address("web", wanted.specs["web"])
    assert url == f"http://{swarm.all[1].ip}:{place.project.load().services['web'].published}"
    assert httpx.get(url, trust_env=False).text == "hello"
    assert _web(place, wanted.specs).drift == ()
    assert _web(place, wanted.specs).runs


def test_what_runs_is_observed(swarm_place: SwarmSite, swarm_images: dict[str, str]) -> None:
    """The spec's hash, the image by digest, the node; nothing of it differs, and nothing is to be changed."""
    specs = swarm_place.bring(swarm_place.wanted({"web": swarm_images["good"]}))

    observed = _web(swarm_place, specs)

    assert (observed.spec, observed.image) == (specs["web"].hash, swarm_images["good"])
    assert (observed.state, observed.health, observed.replicas, observed.wanted) == ("running", "healthy", 1, 1)
    assert [node.name for node in swarm_place.containers("web").values()] == list(observed.nodes)
    assert [change.action for change in changes(specs, {"web": observed})] == ["keep"]


def test_an_update_changes_what_differs_and_nothing_else(swarm_place: SwarmSite, swarm_images: dict[str, str]) -> None:
    """The container of another service stays the same one."""
    swarm_place.project.service("api", 8080, published="20999")
    first = swarm_place.wanted({"web": swarm_images["good"], "api": swarm_images["good"]})
    swarm_place.bring(first)
    before = {name: set(swarm_place.containers(name)) for name in ("web", "api")}

    swarm_place.bring(swarm_place.wanted({"web": swarm_images["newer"], "api": swarm_images["good"]}))

    assert set(swarm_place.containers("api")) == before["api"]
    assert set(swarm_place.containers("web")).isdisjoint(before["web"])
    assert swarm_place.inspected("web")["Config"]["Image"] == swarm_images["newer"]


def test_labels_alone_restart_nothing(swarm_place: SwarmSite, swarm_images: dict[str, str]) -> None:
    """A release whose containers are the same has another spec by its labels; its tasks run on."""
    swarm_place.bring(swarm_place.wanted({"web": swarm_images["good"]}, labels={"uc.release": "1.0.0"}))
    before = set(swarm_place.containers("web"))

    specs = swarm_place.bring(swarm_place.wanted({"web": swarm_images["good"]}, labels={"uc.release": "1.0.1"}))

    assert set(swarm_place.containers("web")) == before
    assert _web(swarm_place, specs).spec == specs["web"].hash
    assert _web(swarm_place, specs).drift == ()


def test_a_crashing_image_fails_with_its_words_and_the_old_spec_undoes_it(
    swarm_place: SwarmSite, swarm_images: dict[str, str]
) -> None:
    """Its exit code and its last lines; the old spec runs again, in whatever state the swarm left the update."""
    good = swarm_place.wanted({"web": swarm_images["good"]})
    swarm_place.bring(good)
    with pytest.raises(SmokeFailed, match=r"non-zero exit \(3\)") as caught:
        swarm_place.bring(swarm_place.wanted({"web": swarm_images["crashing"]}))
    assert "no such table" in caught.value.output
    assert changes(good.specs, swarm_place.target.observe(good.specs))[0].action == "update"

    swarm_place.bring(good)

    assert changes(good.specs, swarm_place.target.observe(good.specs))[0].action == "keep"
    assert swarm_place.inspected("web")["Config"]["Image"] == swarm_images["good"]


def test_a_first_deploy_that_crashes_fails(swarm_place: SwarmSite, swarm_images: dict[str, str]) -> None:
    """The swarm itself would start it again and again."""
    with pytest.raises(SmokeFailed, match=r"non-zero exit \(3\)"):
        swarm_place.bring(swarm_place.wanted({"web": swarm_images["crashing"]}))


def test_an_image_that_is_never_healthy_fails(swarm_place: SwarmSite, swarm_images: dict[str, str]) -> None:
    """When the engine calls it unhealthy, not at the deadline."""
    with pytest.raises(SmokeFailed, match="unhealthy"):
        swarm_place.bring(swarm_place.wanted({"web": swarm_images["sick"]}))


def test_the_deadline_ends_the_wait(swarm_place: SwarmSite, swarm_images: dict[str, str]) -> None:
    """Also where the engine would go on for longer."""
    place = swarm_place.changed(health_seconds=2)
    wanted = place.wanted({"web": swarm_images["sick"]})
    document = json.loads(json.dumps(wanted.specs["web"].document))
    document["Service"]["TaskTemplate"]["ContainerSpec"]["Healthcheck"]["StartPeriod"] = 60 * 10**9
    late = replace(wanted, specs={"web": replace(wanted.specs["web"], document=document)})

    with pytest.raises(SmokeFailed, match=r"is not healthy after \d+ s \(starting\)"):
        place.bring(late)


def test_what_crashes_within_the_monitor_window_fails(swarm_place: SwarmSite, swarm: Nodes) -> None:
    """It was healthy, and does not stay so."""
    image = swarm.image("brief", 'ENTRYPOINT ["sh", "-c", "sleep 2; exit 4"]')
    place = swarm_place.changed(monitor_seconds=6)

    with pytest.raises(SmokeFailed, match=r"non-zero exit \(4\)"):
        place.bring(place.wanted({"web": image}))


def test_a_change_by_somebody_else_is_no_success(
    swarm_place: SwarmSite, swarm: Nodes, swarm_images: dict[str, str]
) -> None:
    """What is waited for is the own spec, and the own image."""
    wanted = swarm_place.wanted({"web": swarm_images["good"]})
    swarm_place.target.prepare(wanted)
    swarm_place.target.apply("web", wanted.specs["web"])
    service = service_name(swarm_place.name, "web")
    swarm.first.docker("service", "update", "--detach", "--image", swarm_images["newer"], service)

    with pytest.raises(SmokeFailed, match="changed by somebody else"):
        swarm_place.target.wait("web", wanted.specs["web"])


def test_writers_at_the_same_time_do_not_fail(swarm_place: SwarmSite, swarm_images: dict[str, str]) -> None:
    """The swarm refuses a change of what was changed meanwhile; it is read and made again."""
    first = swarm_place.wanted({"web": swarm_images["good"]})
    swarm_place.target.prepare(first)
    swarm_place.target.apply("web", first.specs["web"])
    sets = [swarm_place.wanted({"web": swarm_images["good"]}, labels={"n": str(number)}) for number in range(4)]

    at_once(lambda wanted: swarm_place.target.apply("web", wanted.specs["web"]), sets)

    swarm_place.bring(first)


def test_a_missing_digest_is_named_by_node(swarm_place: SwarmSite, swarm: Nodes, swarm_images: dict[str, str]) -> None:
    """Pulling fails for each node before anything is touched; a service with it fails at once, too."""
    missing = swarm_images["good"][:-8] + "00000000"
    with pytest.raises(ToolFailed) as caught:
        swarm_place.target.pull(swarm_place.wanted({"web": missing}).specs.values())
    assert [node.name in str(caught.value) for node in swarm.all] == [True, True, True, False]
    assert "No such image" in str(caught.value)
    assert swarm_place.target.observe({}) == {}

    with pytest.raises(SmokeFailed, match="no credentials for the registry"):
        swarm_place.bring(swarm_place.wanted({"web": missing}))


def test_what_was_changed_by_hand_is_said_in_words(
    swarm_place: SwarmSite, swarm: Nodes, swarm_images: dict[str, str]
) -> None:
    """By the docker command, as people do it; the target puts all of it back."""
    wanted = swarm_place.wanted({"web": swarm_images["good"]})
    swarm_place.bring(wanted)
    service = service_name(swarm_place.name, "web")

    swarm.first.docker("service", "scale", "--detach", f"{service}=2")
    swarm.first.docker(
        "service", "update", "--detach", "--image", swarm_images["newer"], "--env-add", "DEBUG=1", "--env-rm", "UC_SERVICE",
        "--limit-memory", "32m", "--mount-add", "type=tmpfs,destination=/more", "--network-rm", f"{swarm_place.name}-edge",
        "--user", "0", "--cap-add", "NET_ADMIN", "--constraint-add", "node.role == manager", "--label-add", "by=hand",
        "--publish-add", "mode=host,published=21999,target=9", "--restart-condition", "none", "--no-healthcheck", service,
    )  # fmt: skip

    there, expected = (swarm_images[key].partition("@")[2][:19] for key in ("newer", "good"))
    assert set(_web(swarm_place, wanted.specs).drift) >= {
        "scale 2 instead of 1",
        f"image {there} instead of {expected}",
        "environment: DEBUG was added, UC_SERVICE is gone",
        *(f"{area} changed" for area in (
            "limits", "mounts", "networks", "user", "capabilities", "placement", "labels", "ports", "restart policy",
            "health check",
        )),
    }  # fmt: skip
    swarm_place.bring(wanted)
    assert _web(swarm_place, wanted.specs).drift == ()


def test_a_stack_deploy_that_lost_no_new_privileges_is_noticed(
    swarm_place: SwarmSite, swarm: Nodes, swarm_images: dict[str, str]
) -> None:
    """And the target puts it back."""
    wanted = swarm_place.wanted({"web": swarm_images["good"]})
    swarm_place.bring(wanted)
    file = swarm_place.project.write(
        "stack.yaml", json.dumps({"version": "3.8", "services": {"web": {"image": swarm_images["good"]}}})
    )
    swarm.first.docker("stack", "deploy", "--detach", "--compose-file", str(file), swarm_place.name)
    assert "no-new-privileges is off" in _web(swarm_place, wanted.specs).drift

    swarm_place.bring(wanted)

    assert "NoNewPrivs:\t1" in swarm_place.inside("web", "cat", "/proc/1/status")


def test_a_removed_service_is_not_there(swarm_place: SwarmSite, swarm: Nodes, swarm_images: dict[str, str]) -> None:
    """Whoever removed it: what is expected and not observed is to be created."""
    wanted = swarm_place.wanted({"web": swarm_images["good"]})
    swarm_place.bring(wanted)
    swarm.first.docker("service", "rm", service_name(swarm_place.name, "web"))

    assert [change.action for change in changes(wanted.specs, swarm_place.target.observe(wanted.specs))] == ["create"]


def test_a_removed_container_has_stopped(swarm_place: SwarmSite, swarm_images: dict[str, str]) -> None:
    """When `remove` returns, no node runs it; removing it again is no failure."""
    swarm_place.bring(swarm_place.wanted({"web": swarm_images["good"]}))

    swarm_place.target.remove("web")
    swarm_place.target.remove("web")

    assert swarm_place.containers("web") == {}


def test_stateless_replicas_start_before_the_old_ones_stop(
    swarm_place: SwarmSite, swarm: Nodes, swarm_images: dict[str, str]
) -> None:
    """Where a node has the port free; where none has, and where a volume is written to, the old one stops first."""
    service = service_name(swarm_place.name, "web")

    def order(place: SwarmSite) -> str:
        wanted = place.wanted({"web": swarm_images["good"]})
        place.target.prepare(wanted)
        place.target.apply("web", wanted.specs["web"])
        return swarm.first.docker("service", "inspect", service, "--format", "{{.Spec.UpdateConfig.Order}}")

    assert order(swarm_place.changed(replicas={"web": 2})) == "start-first"
    assert order(swarm_place.changed(replicas={"web": 3})) == "stop-first"
    swarm_place.project.append('volumes = { data = "/data" }\n')
    assert order(swarm_place.changed(placement={"web": ("node.role == manager",)})) == "stop-first"
