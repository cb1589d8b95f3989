"""The parts of the Swarm target that no swarm is needed for: constraints, drift, and what a task's log says."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from build.deploy.target import SPEC_LABEL
from build.deploy.targets.swarm.drift import drift
from build.deploy.targets.swarm.nodes import Node, eligible

NODE = Node(
    id="abc",
    name="left",
    address="10.0.0.1",
    takes_tasks=True,
    state="active",
    engine="26.1",
    labels={"disk": "ssd"},
    engine_labels={"rack": "7"},
    facts={"node.id": "abc", "node.hostname": "left", "node.role": "manager", "node.platform.os": "linux"},
)


@pytest.mark.parametrize(
    ("constraint", "met"),
    [
        ("node.hostname == left", True),
        ("node.hostname==LEFT", True),
        ("node.hostname == right", False),
        ("node.hostname != right", True),
        ("node.role==worker", False),
        ("node.labels.disk == ssd", True),
        ("node.labels.disk != ssd", False),
        ("node.labels.gpu != yes", True),
        ("node.labels.gpu == yes", False),
        ("engine.labels.rack == 7", True),
        ("node.platform.os == linux", True),
        ("anything at all", False),
    ],
)
def test_a_constraint_is_read_as_the_scheduler_reads_it(constraint: str, met: bool) -> None:
    """Without case; a label that a node lacks is empty; what can't be read is met by none."""
    assert NODE.meets(constraint) is met
    assert bool(eligible([NODE], ["node.id == abc", constraint])) is met


EXPECTED: dict[str, Any] = {
    "Name": "p_web",
    "Labels": {"a": "b"},
    "TaskTemplate": {
        "ContainerSpec": {
            "Image": "r/x@sha256:" + "1" * 64,
            "Env": ["A=1", "B=2"],
            "Privileges": {"NoNewPrivileges": True},
            "Mounts": [],
            "Secrets": [{"SecretName": "p_alpha_1", "File": {"Name": "alpha"}}],
            "CapabilityDrop": ["ALL"],
        },
        "Resources": {"Limits": {"Pids": 5}},
        "Placement": {"Constraints": []},
        "Networks": [{"Target": "p-edge", "Aliases": ["web"]}],
    },
    "Mode": {"Replicated": {"Replicas": 1}},
    "EndpointSpec": {"Mode": "dnsrr", "Ports": [{"PublishedPort": 80}]},
}


def _actual() -> dict[str, Any]:
    """The same as the engine returns it."""
    actual = copy.deepcopy(EXPECTED)
    task = actual["TaskTemplate"]
    actual["Labels"][SPEC_LABEL] = "0"
    task["ContainerSpec"] |= {"Isolation": "default", "Env": ["B=2", "A=1"]}
    task["ContainerSpec"]["Secrets"][0]["SecretID"] = "xyz"
    task["ContainerSpec"]["Privileges"] |= {"CredentialSpec": None, "SELinuxContext": None}
    del task["ContainerSpec"]["Mounts"]
    task |= {"ForceUpdate": 3, "Runtime": "container", "Placement": {"Platforms": [{"OS": "linux"}]}}
    task["Networks"][0]["Target"] = "id1"
    actual["UpdateConfig"] = {"Order": "stop-first"}
    return actual


def test_what_the_engine_fills_in_is_no_drift() -> None:
    """Nor are IDs, another order of the environment, and which task starts first."""
    assert drift(EXPECTED, _actual(), {"id1": "p-edge"}) == ()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("TaskTemplate.ContainerSpec.Image", "r/x@sha256:" + "2" * 64, "image sha256:222222222222 instead of sha256:111111111111"),
        ("TaskTemplate.ContainerSpec.Image", "r/x:latest", "image r/x:latest instead of sha256:111111111111"),
        ("TaskTemplate.ContainerSpec.Env", ["A=9", "C=3"], "environment: A was changed, B is gone, C was added"),
        ("TaskTemplate.ContainerSpec.Privileges", None, "no-new-privileges is off"),
        ("TaskTemplate.ContainerSpec.Privileges", {"NoNewPrivileges": False}, "no-new-privileges is off"),
        ("TaskTemplate.ContainerSpec.Secrets", None, "secrets changed"),
        ("TaskTemplate.ContainerSpec.Mounts", [{"Type": "bind"}], "mounts changed"),
        ("TaskTemplate.ContainerSpec.CapabilityAdd", ["SYS_ADMIN"], "capabilities changed"),
        ("TaskTemplate.ContainerSpec.Hostname", "x", "container settings changed"),
        ("TaskTemplate.Resources", {}, "limits changed"),
        ("TaskTemplate.Networks", [], "networks changed"),
        ("Mode", {"Replicated": {"Replicas": 4}}, "scale 4 instead of 1"),
        ("EndpointSpec.Ports", [{"PublishedPort": 81}], "ports changed"),
        ("Labels", {}, "labels changed"),
    ],
)  # fmt: skip
def test_what_differs_is_named(path: str, value: Any, words: str) -> None:
    """One line for each area; values of the environment are not shown, they may be secret."""
    actual = _actual()
    *folders, key = path.split(".")
    place = actual
    for folder in folders:
        place = place[folder]
    place[key] = value

    assert drift(EXPECTED, actual, {"id1": "p-edge"}) == (words,)
