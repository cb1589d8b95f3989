"""The stack as Kubernetes objects, for any cluster whose namespace enforces the restricted profile.

What is of one container goes into its document, so that a recorded set of documents is all that a roll back needs:
its workload (a StatefulSet if it writes to a volume, else a Deployment), Service, NetworkPolicy and disruption budget.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from build.stack import pods
from build.stack.model import RELEASE_FILE, Container, Stack

# Of each claim of a volume. Another size is a patch of volumeClaimTemplates in an overlay, before the first start.
VOLUME_SIZE = "5Gi"
WORKLOADS = ("Deployment", "StatefulSet")
# Everything of the model that no object has, with who sees to it instead; by the path of its field.
WITHOUT_COUNTERPART: Mapping[str, str] = {
    "Limits.pids": "the kubelet: podPidsLimit, the same for each pod of a node",
    "LogRotation.size": "the kubelet: containerLogMaxSize",
    "LogRotation.files": "the kubelet: containerLogMaxFiles",
    "Tmpfs.mode": "a folder in memory is open to the pod's own group (fsGroup), and a pod has one container",
    "Port.published": "a Service has the container's own port; a Gateway or an Ingress of the cluster publishes it",
    "Port.address": "as the published port",
    "Container.depends_on": "the deploy: one container after another; a later restart waits for nobody",
    "Network.name": "a pod's network is the cluster's; policies keep the stack's networks apart",
    "Stack.volumes": "a claim has the name of its StatefulSet's pod",
}

Object = dict[str, Any]


def documents(stack: Stack, namespace: str) -> dict[str, Object]:
    """A List of objects for each container, in which every value arrives as the model has it."""
    return {name: {"apiVersion": "v1", "kind": "List", "items": _objects(stack, name, namespace)}
            for name in stack.containers}  # fmt: skip


def _objects(stack: Stack, name: str, namespace: str) -> list[Object]:
    container = stack.containers[name]
    metadata: Object = {"name": name, "namespace": namespace, "labels": pods.labels(stack.name, name)}
    if stack.labels:  # values of any kind, which labels of Kubernetes may not have
        metadata["annotations"] = dict(stack.labels)
    selector = {"matchLabels": pods.selector(stack.name, name)}
    objects = [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata,
            "spec": {"podSelector": selector, **_traffic(stack, container)},
        },
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": _service(stack.name, name, container)},
    ]
    if container.replicas > 1:
        spec: Object = {"maxUnavailable": 1, "selector": selector}
        objects.append({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec
        })  # fmt: skip
    workload = _stateful(name, container) if container.is_stateful else _stateless()
    spec = {"replicas": container.replicas, "selector": selector, "template": pods.template(stack, name)}
    kind = "StatefulSet" if container.is_stateful else "Deployment"
    return [*objects, {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec | workload}]


def _service(project: str, name: str, container: Container) -> Object:
    return {
        "type": "ClusterIP",
        "selector": pods.selector(project, name),
        "ports": [
            {"name": pods.PORT, "port": port.target, "targetPort": pods.PORT, "protocol": "TCP"}
            for port in container.ports
        ],
    }


def _stateless() -> Object:
    update = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    # Going back is by documents, never by a workload's own history.
    return {"strategy": update, "revisionHistoryLimit": 1}


def _stateful(name: str, container: Container) -> Object:
    claims = [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": volume},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": VOLUME_SIZE}}},
        }
        for volume in container.volumes
    ]
    update = {"type": "RollingUpdate"}
    return {"serviceName": name, "updateStrategy": update, "revisionHistoryLimit": 1, "volumeClaimTemplates": claims}


def _traffic(stack: Stack, container: Container) -> Object:
    """Who may reach a container, and whom it may: on an internal network only those who are in it too, and DNS."""
    open_to_all = any(not stack.networks[network].internal for network in container.networks)
    stack_pods = {f"{pods.LABEL}/part-of": stack.name}
    peers = [
        {"podSelector": {"matchLabels": stack_pods | {f"{pods.NETWORK_LABEL}.{network}": "true"}}}
        for network in container.networks
    ]
    own_ports = [{"port": port.target, "protocol": "TCP"} for port in container.ports]
    return {
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": own_ports} if open_to_all else {"from": peers, "ports": own_ports}],
        "egress": [{}] if open_to_all else [{"to": peers}, {"ports": _dns()}],
    }


def _dns() -> list[Object]:
    return [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]


def namespace(name: str) -> Object:
    """The namespace, in which no pod starts that is not hardened."""
    modes = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": modes}}


def default_deny(project: str, namespace: str) -> Object:
    """The policy under which a pod of the stack reaches nothing, and nothing reaches it, without one of its own."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _shared(project, "default-deny", namespace),
        "spec": {
            "podSelector": {"matchLabels": {f"{pods.LABEL}/part-of": project}},
            "policyTypes": ["Ingress", "Egress"],
        },
    }


def release_map(project: str, namespace: str, content: Mapping[str, Any]) -> Object:
    """The ConfigMap that containers with a `release_folder` read; a kubelet refreshes the file, nothing restarts."""
    data = {RELEASE_FILE: json.dumps(content, indent=2) + "\n"}
    metadata = _shared(project, pods.RELEASE_MAP, namespace)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def secret(project: str, namespace: str, name: str, value: bytes) -> Object:
    """The Secret object of a secret of the manifest."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _shared(project, pods.secret_name(name), namespace),
        "type": "Opaque",
        "data": {name: base64.b64encode(value).decode()},
    }


def _shared(project: str, name: str, namespace: str) -> Object:
    return {"name": name, "namespace": namespace, "labels": pods.labels(project, name)}


def workload(document: Mapping[str, Any]) -> Object:
    """The StatefulSet or Deployment of a container's document."""
    objects: Sequence[Object] = document["items"]
    return next(item for item in objects if item["kind"] in WORKLOADS)
