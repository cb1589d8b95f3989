"""Every item of the model as Kubernetes has it, or named as one that it has no counterpart of."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from build.stack import kubernetes, model
from build.stack.model import (
    Container,
    Healthcheck,
    Limits,
    LogRotation,
    Mount,
    Network,
    Port,
    Stack,
    Tmpfs,
)

PLAIN = Container(
    image="registry.example/web@sha256:0",
    environment={"GREETING": "a"},
    networks=("edge",),
    ports=(Port(published=18980, target=8080),),
    volumes={},
    mounts=(),
    secrets=(),
    depends_on=(),
    limits=Limits(memory="512m", cpus="1.0", pids=256),
)
# For each field, another value, and where it has to arrive: a path into the workload's spec, and what is there then.
CHANGED: dict[str, tuple[dict[str, Any], str, Any]] = {
    "Container.image": ({"image": "x@sha256:1"}, "container.image", "x@sha256:1"),
    "Container.environment": (
        {"environment": {"A": "$B$$(C)"}}, "container.env", [{"name": "A", "value": "$$B$$$$(C)"}],
    ),
    "Container.networks": (
        {"networks": ("internal",)}, "template.metadata.labels.[org.unity-claude.network.internal]", "true",
    ),
    "Container.ports": (
        {"ports": (Port(published=1, target=9),)}, "container.ports",
        [{"name": "http", "containerPort": 9, "protocol": "TCP"}],
    ),
    "Port.target": (
        {"ports": (Port(published=18980, target=9),)}, "container.ports",
        [{"name": "http", "containerPort": 9, "protocol": "TCP"}],
    ),
    "Container.volumes": (
        {"volumes": {"data": "/data"}}, "container.volumeMounts",
        [{"name": "memory-0", "mountPath": "/tmp"}, {"name": "data", "mountPath": "/data"}],
    ),
    "Container.mounts": (
        {"mounts": (Mount(source=Path("tree"), target="/tree", is_volume=True),)}, "container.volumeMounts",
        [{"name": "memory-0", "mountPath": "/tmp"}, {"name": "source-0", "mountPath": "/tree", "readOnly": True}],
    ),
    "Mount.source": (
        {"mounts": (Mount(source=Path("tree"), target="/tree", is_volume=True),)}, "pod.volumes",
        [{"name": "memory-0", "emptyDir": {"medium": "Memory", "sizeLimit": "128Mi"}},
         {"name": "source-0", "persistentVolumeClaim": {"claimName": "tree", "readOnly": True}}],
    ),
    "Mount.target": (
        {"mounts": (Mount(source=Path("tree"), target="/other", is_volume=True),)}, "container.volumeMounts",
        [{"name": "memory-0", "mountPath": "/tmp"}, {"name": "source-0", "mountPath": "/other", "readOnly": True}],
    ),
    "Mount.is_volume": (
        {"mounts": (Mount(source=Path("/srv/tree"), target="/tree"),)}, "pod.volumes",
        [{"name": "memory-0", "emptyDir": {"medium": "Memory", "sizeLimit": "128Mi"}},
         {"name": "source-0", "hostPath": {"path": "/srv/tree", "type": ""}}],
    ),
    "Container.secrets": (
        {"secrets": ("a_token",)}, "pod.volumes",
        [{"name": "memory-0", "emptyDir": {"medium": "Memory", "sizeLimit": "128Mi"}},
         {"name": "secrets", "projected": {"defaultMode": 0o440, "sources": [
             {"secret": {"name": "a-token", "items": [{"key": "a_token", "path": "a_token"}]}}]}}],
    ),
    "Container.limits": (
        {"limits": Limits(memory="1.5g", cpus="0.5", pids=64)}, "container.resources",
        {"requests": {"cpu": "50m", "memory": "1536Mi"}, "limits": {"cpu": "500m", "memory": "1536Mi"}},
    ),
    "Limits.memory": (
        {"limits": Limits(memory="1000", cpus="1.0", pids=256)}, "container.resources.limits.memory", "1000",
    ),
    "Limits.cpus": ({"limits": Limits(memory="1g", cpus="2", pids=256)}, "container.resources.limits.cpu", "2"),
    "Container.user": ({"user": "7:8"}, "pod.securityContext.runAsUser", 7),
    "Container.read_only": ({"read_only": False}, "container.securityContext.readOnlyRootFilesystem", False),
    "Container.dropped_capabilities": (
        {"dropped_capabilities": ("NET_RAW",)}, "container.securityContext.capabilities", {"drop": ["NET_RAW"]},
    ),
    "Container.security_options": (
        {"security_options": ()}, "container.securityContext.allowPrivilegeEscalation", True,
    ),
    "Container.tmpfs": (
        {"tmpfs": (Tmpfs(target="/cache"),)}, "container.volumeMounts", [{"name": "memory-0", "mountPath": "/cache"}],
    ),
    "Tmpfs.target": (
        {"tmpfs": (Tmpfs(target="/cache"),)}, "container.volumeMounts", [{"name": "memory-0", "mountPath": "/cache"}],
    ),
    "Tmpfs.size": (
        {"tmpfs": (Tmpfs(size="1g"),)}, "pod.volumes",
        [{"name": "memory-0", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}],
    ),
    "Container.restart": ({"restart": "never"}, "pod.restartPolicy", "Never"),
    "Container.stop_grace_seconds": ({"stop_grace_seconds": 2.5}, "pod.terminationGracePeriodSeconds", 3),
    "Container.healthcheck": (
        {"healthcheck": Healthcheck(interval=7)}, "container.readinessProbe.periodSeconds", 7,
    ),
    "Healthcheck.interval": ({"healthcheck": Healthcheck(interval=7)}, "container.livenessProbe.periodSeconds", 7),
    "Healthcheck.timeout": ({"healthcheck": Healthcheck(timeout=4)}, "container.readinessProbe.timeoutSeconds", 4),
    "Healthcheck.retries": ({"healthcheck": Healthcheck(retries=9)}, "container.livenessProbe.failureThreshold", 9),
    "Healthcheck.start_period": (
        {"healthcheck": Healthcheck(start_period=10)}, "container.startupProbe.failureThreshold", 40,
    ),
    "Healthcheck.start_interval": (
        {"healthcheck": Healthcheck(start_interval=3)}, "container.startupProbe.periodSeconds", 3,
    ),
    "Container.release_folder": (
        {"release_folder": "/run/uc"}, "container.volumeMounts",
        [{"name": "memory-0", "mountPath": "/tmp"}, {"name": "release", "mountPath": "/run/uc", "readOnly": True}],
    ),
    "Container.replicas": ({"replicas": 3}, "spec.replicas", 3),
    "Container.placement": ({"placement": ("disk=ssd",)}, "pod.nodeSelector", {"disk": "ssd"}),
}  # fmt: skip
# What only says that the fields of another class follow.
_NESTED = {"Container.logs"}


def _stack(**changes: Any) -> Stack:
    container = dataclasses.replace(PLAIN, **changes)
    return Stack(
        name="shop",
        containers={"web": container},
        networks={"edge": Network(name="shop-edge"), "internal": Network(name="shop-internal", internal=True)},
        volumes={volume: f"shop-{volume}" for volume in container.volumes},
        secrets={secret: Path(secret) for secret in container.secrets},
    )


def _objects(stack: Stack) -> dict[str, Any]:
    return {item["kind"]: item for item in kubernetes.documents(stack, "shop")["web"]["items"]}


def _at(workload: dict[str, Any], path: str) -> Any:
    """What is at a path of the workload, None if nothing is."""
    template = workload["spec"]["template"]
    place: Any = {"spec": workload["spec"], "template": template, "pod": template["spec"],
                  "container": template["spec"]["containers"][0]}  # fmt: skip
    head, bracket, key = path.partition(".[")
    for part in [*head.split("."), *([key.rstrip("]")] if bracket else [])]:
        place = place.get(part) if place is not None else None
    return place


def _fields() -> Iterator[str]:
    for kind in (Container, Healthcheck, Tmpfs, LogRotation, Limits, Port, Mount):
        yield from (f"{kind.__name__}.{field.name}" for field in dataclasses.fields(kind))


def test_every_field_of_the_model_arrives_or_is_named() -> None:
    """A new field of the model fails here until it is rendered, or has no counterpart."""
    assert {*CHANGED, *kubernetes.WITHOUT_COUNTERPART, *_NESTED} >= set(_fields())
    assert not CHANGED.keys() & kubernetes.WITHOUT_COUNTERPART.keys()
    known = {f"{kind.__name__}.{field.name}" for kind in (Network, Stack) for field in dataclasses.fields(kind)}
    assert kubernetes.WITHOUT_COUNTERPART.keys() <= {*_fields(), *known}


@pytest.mark.parametrize("field", CHANGED)
def test_a_value_arrives_as_the_model_has_it(field: str) -> None:
    """Each at its place, and nowhere before it was changed."""
    changes, path, expected = CHANGED[field]
    before, after = (_objects(stack) for stack in (_stack(), _stack(**changes)))
    kind = "StatefulSet" if changes.get("volumes") else "Deployment"

    assert _at(after[kind], path) == expected
    assert _at(before["Deployment"], path) != expected


def test_what_writes_to_a_volume_runs_once_and_claims_it() -> None:
    """A claim of its own, that stays; a Service that it is named by."""
    workload = _objects(_stack(volumes={"data": "/data"}))["StatefulSet"]

    assert workload["spec"]["replicas"] == 1
    assert workload["spec"]["serviceName"] == "web"
    claim = workload["spec"]["volumeClaimTemplates"][0]
    assert claim["metadata"]["name"] == "data"
    assert claim["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}}


def test_what_keeps_nothing_is_updated_without_a_gap() -> None:
    """A new pod is ready before an old one goes; a drained node takes one at a time, and two don't share one."""
    objects = _objects(_stack(replicas=2))

    strategy = objects["Deployment"]["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert objects["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    spread = objects["Deployment"]["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert spread[0]["topologyKey"] == "kubernetes.io/hostname"
    assert "PodDisruptionBudget" not in _objects(_stack())


def test_services_reach_each_other_by_their_names() -> None:
    """A Service has the container's name and its port, and selects its pods by labels that are never changed."""
    objects = _objects(_stack())
    service, workload = objects["Service"], objects["Deployment"]

    assert service["metadata"]["name"] == "web"
    assert service["spec"]["ports"] == [{"name": "http", "port": 8080, "targetPort": "http", "protocol": "TCP"}]
    selector = service["spec"]["selector"]
    assert selector == workload["spec"]["selector"]["matchLabels"]
    assert selector.items() <= workload["spec"]["template"]["metadata"]["labels"].items()


def test_an_internal_network_reaches_and_is_reached_by_its_own_pods_alone() -> None:
    """And DNS; one that is on the edge, too, is reached on its port and may go out."""
    internal = _objects(_stack(networks=("internal",)))["NetworkPolicy"]["spec"]
    both = _objects(_stack(networks=("edge", "internal")))["NetworkPolicy"]["spec"]

    peers = [{"podSelector": {"matchLabels": {
        "app.kubernetes.io/part-of": "shop", "org.unity-claude.network.internal": "true",
    }}}]  # fmt: skip
    assert internal["ingress"] == [{"from": peers, "ports": [{"port": 8080, "protocol": "TCP"}]}]
    assert internal["egress"][0] == {"to": peers}
    assert {port["port"] for port in internal["egress"][1]["ports"]} == {53}
    assert both["ingress"] == [{"ports": [{"port": 8080, "protocol": "TCP"}]}]
    assert both["egress"] == [{}]
    assert internal["policyTypes"] == both["policyTypes"] == ["Ingress", "Egress"]


def test_without_a_policy_of_its_own_a_pod_reaches_nothing() -> None:
    """Every pod of the stack, and no other of the namespace."""
    spec = kubernetes.default_deny("shop", "shop")["spec"]

    assert spec == {
        "podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "shop"}}, "policyTypes": ["Ingress", "Egress"],
    }  # fmt: skip


def test_the_hardening_is_in_the_pod() -> None:
    """What the restricted profile asks for, and no token of the API."""
    pod = _objects(_stack())["Deployment"]["spec"]["template"]["spec"]

    assert pod["securityContext"] == {
        "runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001,
        "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert pod["containers"][0]["imagePullPolicy"] == "IfNotPresent"


def test_all_probes_ask_for_health() -> None:
    """On the container's port; a start may take as long as Docker allows it: the start period, then its retries."""
    container = _objects(_stack())["Deployment"]["spec"]["template"]["spec"]["containers"][0]

    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[name]["httpGet"] == {"path": "/health", "port": "http"}
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 60 + 3 * 10


def test_labels_of_the_stack_are_annotations() -> None:
    """A label of Kubernetes can't have a path for a value."""
    stack = dataclasses.replace(_stack(), labels={"org.example.checkout": "/home/me/shop"})

    for item in kubernetes.documents(stack, "shop")["web"]["items"]:
        assert item["metadata"]["annotations"] == {"org.example.checkout": "/home/me/shop"}
        assert item["metadata"]["namespace"] == "shop"


def test_a_secret_keeps_every_byte() -> None:
    """Under its own name, in an object whose name Kubernetes takes."""
    item = kubernetes.secret("shop", "shop", "a_token", b"one\ntwo\n\xff")

    assert item["metadata"]["name"] == "a-token"
    assert base64.b64decode(item["data"]["a_token"]) == b"one\ntwo\n\xff"


def test_the_namespace_enforces_the_restricted_profile() -> None:
    """It warns and audits by the same one."""
    assert set(kubernetes.namespace("shop")["metadata"]["labels"].values()) == {"restricted"}


def test_the_model_s_own_containers_are_rendered() -> None:
    """What has no value for a field is rendered without it, so that files are short."""
    container = _objects(_stack())["Deployment"]["spec"]["template"]["spec"]

    assert not {"nodeSelector", "topologySpreadConstraints", "initContainers"} & container.keys()
    assert model.RELEASE_FILE not in str(container)
