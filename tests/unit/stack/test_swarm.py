"""The stack as services of a swarm: every item of the model arrives, and nothing else changes a service's hash."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from build.stack import model, swarm
from build.stack.model import Container, Healthcheck, Limits, LogRotation, Mount, Network, Port, Stack, Tmpfs
from tests.support.project import Project

PLAIN = Container(
    image="registry/x@sha256:0",
    environment={"A": "1"},
    networks=("edge",),
    ports=(Port(published=18980, target=8080, address="0.0.0.0"),),
    volumes={},
    mounts=(),
    secrets=(),
    depends_on=(),
    limits=Limits(memory="512m", cpus="1.0", pids=256),
)


def _document(container: Container, **labels: str) -> dict[str, Any]:
    stack = Stack(
        name="shop",
        containers={"web": container},
        networks={"edge": Network(name="shop-edge"), "internal": Network(name="shop-internal", internal=True)},
        volumes={"data": "shop-data"},
        secrets={"alpha": Path("/s/alpha")},
        labels=labels,
    )
    return swarm.documents(stack, {"alpha": "shop_alpha_0123456789ab"}, monitor_seconds=5)["web"]


def _task(container: Container) -> dict[str, Any]:
    task: dict[str, Any] = _document(container)["Service"]["TaskTemplate"]
    return task


def _inner(container: Container) -> dict[str, Any]:
    inner: dict[str, Any] = _task(container)["ContainerSpec"]
    return inner


# Each field of a container: a value that is not the plain one, and where it arrives.
ITEMS: dict[str, tuple[Any, Callable[[Container], Any], Any]] = {
    "image": ("registry/y@sha256:1", lambda c: _inner(c)["Image"], "registry/y@sha256:1"),
    "environment": (
        {"A": "$HOME", "B": "{{.Node.Hostname}}"}, lambda c: _inner(c)["Env"],
        ["A=$HOME", 'B={{"{{"}}.Node.Hostname}}'],
    ),
    "networks": (
        ("edge", "internal"), lambda c: _task(c)["Networks"],
        [{"Target": "shop-edge", "Aliases": ["web"]}, {"Target": "shop-internal", "Aliases": ["web"]}],
    ),
    "ports": (
        (Port(published=80, target=81),), lambda c: _document(c)["Service"]["EndpointSpec"],
        {"Mode": "dnsrr",
         "Ports": [{"Protocol": "tcp", "TargetPort": 81, "PublishedPort": 80, "PublishMode": "host"}]},
    ),
    "volumes": (
        {"data": "/data"}, lambda c: _inner(c)["Mounts"][1:],
        [{"Type": "volume", "Source": "shop-data", "Target": "/data",
          "VolumeOptions": {"Labels": {"com.docker.stack.namespace": "shop"}}}],
    ),
    "mounts": (
        (Mount(source=Path("/srv"), target="/a"), Mount(source=Path("nfs"), target="/b", is_volume=True)),
        lambda c: _inner(c)["Mounts"][1:],
        [{"Type": "bind", "Source": "/srv", "Target": "/a", "ReadOnly": True},
         {"Type": "volume", "Source": "nfs", "Target": "/b", "ReadOnly": True}],
    ),
    "secrets": (
        ("alpha",), lambda c: _inner(c)["Secrets"],
        [{"SecretName": "shop_alpha_0123456789ab",
          "File": {"Name": "alpha", "UID": "10001", "GID": "10001", "Mode": 0o400}}],
    ),
    "limits": (
        Limits(memory="1.5g", cpus="0.25", pids=7), lambda c: _task(c)["Resources"]["Limits"],
        {"MemoryBytes": 1_610_612_736, "NanoCPUs": 250_000_000, "Pids": 7},
    ),
    "user": ("1:1", lambda c: _inner(c)["User"], "1:1"),
    "read_only": (False, lambda c: _inner(c)["ReadOnly"], False),
    "dropped_capabilities": (("NET_RAW",), lambda c: _inner(c)["CapabilityDrop"], ["NET_RAW"]),
    "security_options": ((), lambda c: _inner(c)["Privileges"], {}),
    "tmpfs": (
        (Tmpfs(target="/x", size="64kb", mode=0o700),), lambda c: _inner(c)["Mounts"],
        [{"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"SizeBytes": 65536, "Mode": 0o700}}],
    ),
    "restart": ("on-failure", lambda c: _task(c)["RestartPolicy"], {"Condition": "on-failure"}),
    "stop_grace_seconds": (2.5, lambda c: _inner(c)["StopGracePeriod"], 2_500_000_000),
    "healthcheck": (
        Healthcheck(interval=1, timeout=2, retries=3, start_period=4, start_interval=0.5),
        lambda c: _inner(c)["Healthcheck"],
        {"Interval": 10**9, "Timeout": 2 * 10**9, "Retries": 3, "StartPeriod": 4 * 10**9, "StartInterval": 5 * 10**8},
    ),
    "logs": (
        LogRotation(size="1m", files=9), lambda c: _task(c)["LogDriver"],
        {"Name": "json-file", "Options": {"max-size": "1m", "max-file": "9"}},
    ),
    "replicas": (3, lambda c: _document(c)["Service"]["Mode"], {"Replicated": {"Replicas": 3}}),
    "placement": (("node.role == worker",), lambda c: _task(c)["Placement"], {"Constraints": ["node.role == worker"]}),
}  # fmt: skip
# What a service can't have: the order is the deploy's own, and a config with the release would restart its readers.
ELSEWHERE = {"depends_on", "release_folder"}


def test_every_item_of_the_model_has_its_place() -> None:
    """A new field of a container is rendered, or is said to be elsewhere, before this passes."""
    assert {field.name for field in dataclasses.fields(Container)} == ITEMS.keys() | ELSEWHERE


@pytest.mark.parametrize("field", ITEMS)
def test_an_item_arrives(field: str) -> None:
    """Its value is where the Engine API takes it, and a changed value changes the document."""
    value, read, expected = ITEMS[field]
    changed = dataclasses.replace(PLAIN, **{field: value})

    assert read(changed) == expected
    assert json.dumps(_document(changed)) != json.dumps(_document(PLAIN))


def test_the_hardening_is_in_the_service(project: Project) -> None:
    """What the manifest can't switch off, no-new-privileges above all."""
    manifest = project.load()
    site = dataclasses.replace(model.checkout(manifest, Path("/s")), address="0.0.0.0")
    stack = model.stack(manifest, dict.fromkeys(manifest.services, "registry/x@sha256:0"), site)
    inner = swarm.documents(stack, {}, monitor_seconds=0)["web"]["Service"]["TaskTemplate"]["ContainerSpec"]

    assert inner["Privileges"] == {"NoNewPrivileges": True}
    assert (inner["User"], inner["ReadOnly"], inner["CapabilityDrop"]) == ("10001:10001", True, ["ALL"])


def test_an_unknown_security_option_is_no_silent_loss() -> None:
    """A swarm has a field of its own for each; one that is not mapped is a bug, not a weaker container."""
    with pytest.raises(KeyError, match="seccomp"):
        _document(dataclasses.replace(PLAIN, security_options=("seccomp:x",)))


def test_no_variable_names_a_release_file() -> None:
    """There is no file that it could name: its readers take it as not known."""
    reader = dataclasses.replace(
        PLAIN, release_folder="/run/uc", environment={"UC_RELEASE_FILE": "/run/uc/release.json", "A": "1"}
    )

    assert _inner(reader)["Env"] == ["A=1"]


def test_what_writes_to_a_volume_runs_where_the_volume_is() -> None:
    """On the node with the project's label, unless the settings say where; what writes to none may run anywhere."""
    stateful = dataclasses.replace(PLAIN, volumes={"data": "/data"})

    assert _task(stateful)["Placement"] == {"Constraints": ["node.labels.org.unity-claude.data.shop == true"]}
    placed = dataclasses.replace(stateful, placement=("node.hostname == a",))
    assert _task(placed)["Placement"] == {"Constraints": ["node.hostname == a"]}
    assert _task(PLAIN)["Placement"] == {"Constraints": []}


def test_an_update_stops_at_the_first_failure() -> None:
    """The swarm pauses and goes back to nothing by itself; which task starts first is not part of the spec."""
    assert _document(PLAIN)["Service"]["UpdateConfig"] == {
        "Parallelism": 1, "FailureAction": "pause", "Monitor": 5 * 10**9, "MaxFailureRatio": 0,
    }  # fmt: skip


def test_labels_are_the_services_and_not_the_tasks() -> None:
    """A label of a task would restart it with each release."""
    plain, labelled = _document(PLAIN)["Service"], _document(PLAIN, release="1.0.0")["Service"]

    assert labelled["Labels"] == plain["Labels"] | {"release": "1.0.0"}
    assert labelled["TaskTemplate"] == plain["TaskTemplate"]


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_document_has_the_networks_that_it_needs(encrypted: bool) -> None:
    """Overlays; the internal one without a way out; encrypted where the target's settings say so."""
    stack = Stack(
        name="shop",
        containers={"web": dataclasses.replace(PLAIN, networks=("edge", "internal"))},
        networks={"edge": Network(name="shop-edge"), "internal": Network(name="shop-internal", internal=True)},
        volumes={},
        secrets={},
    )
    networks = swarm.documents(stack, {}, monitor_seconds=1, encrypted=encrypted)["web"]["Networks"]

    assert [(each["Name"], each["Driver"], each["Internal"]) for each in networks] == [
        ("shop-edge", "overlay", False), ("shop-internal", "overlay", True),
    ]  # fmt: skip
    assert {"encrypted" in each["Options"] for each in networks} == {encrypted}


def test_another_value_of_a_secret_is_another_document() -> None:
    """Only the names that are given change, and the document that is given does not."""
    document = _document(dataclasses.replace(PLAIN, secrets=("alpha",)))

    renewed = swarm.with_secrets(document, {"alpha": "shop_alpha_ffffffffffff", "beta": "x"})

    (secret,) = renewed["Service"]["TaskTemplate"]["ContainerSpec"]["Secrets"]
    assert secret["SecretName"] == "shop_alpha_ffffffffffff"
    assert document["Service"]["TaskTemplate"]["ContainerSpec"]["Secrets"][0]["SecretName"] == "shop_alpha_0123456789ab"
    assert swarm.with_secrets(document, {}) == document
