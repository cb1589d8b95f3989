"""A container of the stack as Kubernetes' pod template: hardened alike, with its limits, probes and mounts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from build.stack.model import RELEASE_FILE, Container, Healthcheck, Limits, Stack, Tmpfs
from build.stack.sizes import in_bytes

RELEASE_MAP = "release"  # the ConfigMap with what `release_folder` reads
SECRETS_FOLDER = "/run/secrets"
PORT = "http"
LABEL = "app.kubernetes.io"
# What a pod may reach depends on these labels: one for each network that its container is in.
NETWORK_LABEL = "org.unity-claude.network"
# A share of the limit on CPUs is reserved, and all of the memory: too little of that kills, too little CPU only slows.
_RESERVED_CPU = 0.1


def selector(project: str, name: str) -> dict[str, str]:
    """The labels that select a container's pods: never to be changed, or its workload can't be updated."""
    return {f"{LABEL}/name": name, f"{LABEL}/part-of": project}


def secret_name(secret: str) -> str:
    """The Secret object of a secret of the manifest: underscores are not allowed in its name."""
    return secret.replace("_", "-").replace(".", "-")


def template(stack: Stack, name: str) -> dict[str, Any]:
    """The pod template of a container."""
    container = stack.containers[name]
    networks = {f"{NETWORK_LABEL}.{network}": "true" for network in container.networks}
    return {
        "metadata": {"labels": labels(stack.name, name) | networks},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": container.restart.capitalize(),
            "terminationGracePeriodSeconds": math.ceil(container.stop_grace_seconds),
            "securityContext": _pod_security(container),
            "containers": [_container(name, container)],
            **_optional(
                volumes=_volumes(container),
                nodeSelector=_nodes(container.placement),
                topologySpreadConstraints=_spread(stack.name, name) if container.replicas > 1 else [],
            ),
        },
    }


def labels(project: str, name: str) -> dict[str, str]:
    """The labels of everything that belongs to a container."""
    return selector(project, name) | {f"{LABEL}/instance": project, f"{LABEL}/managed-by": "unity-claude"}


def _optional(**parts: Any) -> dict[str, Any]:
    return {key: value for key, value in parts.items() if value}


def _container(name: str, container: Container) -> dict[str, Any]:
    check = container.healthcheck
    return {
        "name": name,
        "image": container.image,
        "imagePullPolicy": "IfNotPresent",
        # Kubernetes expands $(NAME), and reads $$ as $.
        "env": [{"name": key, "value": value.replace("$", "$$")} for key, value in container.environment.items()],
        "ports": [{"name": PORT, "containerPort": port.target, "protocol": "TCP"} for port in container.ports],
        "resources": _resources(container.limits),
        "securityContext": {
            "allowPrivilegeEscalation": "no-new-privileges:true" not in container.security_options,
            "readOnlyRootFilesystem": container.read_only,
            "capabilities": {"drop": list(container.dropped_capabilities)},
        },
        "startupProbe": _startup(check),
        "readinessProbe": _probe(check),
        "livenessProbe": _probe(check),
        **_optional(volumeMounts=_mounts(container)),
    }


def _pod_security(container: Container) -> dict[str, Any]:
    user, _, group = container.user.partition(":")
    return {
        "runAsNonRoot": True,
        "runAsUser": int(user),
        "runAsGroup": int(group or user),
        "fsGroup": int(group or user),
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _startup(check: Healthcheck) -> dict[str, Any]:
    """Asked often until the first success; fails when Docker would call the container unhealthy."""
    period = max(1, round(check.start_interval))
    allowed = check.start_period + check.interval * check.retries
    return _probe(check) | {"periodSeconds": period, "failureThreshold": math.ceil(allowed / period)}


def _probe(check: Healthcheck) -> dict[str, Any]:
    return {
        "httpGet": {"path": "/health", "port": PORT},
        "periodSeconds": math.ceil(check.interval),
        "timeoutSeconds": math.ceil(check.timeout),
        "failureThreshold": check.retries,
    }


def _resources(limits: Limits) -> dict[str, Any]:
    memory, cpus = size(limits.memory), float(limits.cpus)
    return {
        "requests": {"cpu": _cpus(cpus * _RESERVED_CPU), "memory": memory},
        "limits": {"cpu": _cpus(cpus), "memory": memory},
    }


def size(text: str) -> str:
    """A size as Docker writes it (512m, 1.5g), as Kubernetes does."""
    count = in_bytes(text)
    for unit, factor in (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
        if count % factor == 0:
            return f"{count // factor}{unit}"
    return str(count)


def _cpus(count: float) -> str:
    thousandths = max(1, round(count * 1000))
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


def _volumes(container: Container) -> list[dict[str, Any]]:
    """What is mounted, except the volumes that it writes to: those are claimed by its StatefulSet."""
    volumes = [_memory(index, folder) for index, folder in enumerate(container.tmpfs)]
    for index, mount in enumerate(container.mounts):
        source = (
            {"persistentVolumeClaim": {"claimName": str(mount.source), "readOnly": True}}
            if mount.is_volume
            else {"hostPath": {"path": str(mount.source), "type": ""}}
        )
        volumes.append({"name": f"source-{index}", **source})
    if container.secrets:
        sources = [
            {"secret": {"name": secret_name(secret), "items": [{"key": secret, "path": secret}]}}
            for secret in container.secrets
        ]
        # Group-readable by fsGroup: the files belong to root. One directory, since a subPath is never refreshed.
        volumes.append({"name": "secrets", "projected": {"defaultMode": 0o440, "sources": sources}})
    if container.release_folder:
        items = [{"key": RELEASE_FILE, "path": RELEASE_FILE}]
        volumes.append({"name": "release", "configMap": {"name": RELEASE_MAP, "defaultMode": 0o444, "items": items}})
    return volumes


def _memory(index: int, folder: Tmpfs) -> dict[str, Any]:
    return {"name": f"memory-{index}", "emptyDir": {"medium": "Memory", "sizeLimit": size(folder.size)}}


def _mounts(container: Container) -> list[dict[str, Any]]:
    mounts = [{"name": f"memory-{index}", "mountPath": tmpfs.target} for index, tmpfs in enumerate(container.tmpfs)]
    mounts += [{"name": volume, "mountPath": path} for volume, path in container.volumes.items()]
    read = {f"source-{index}": mount.target for index, mount in enumerate(container.mounts)}
    if container.secrets:
        read["secrets"] = SECRETS_FOLDER
    if container.release_folder:
        read["release"] = container.release_folder
    return mounts + [{"name": name, "mountPath": path, "readOnly": True} for name, path in read.items()]


def _nodes(placement: tuple[str, ...]) -> Mapping[str, str]:
    return {key: value for key, _, value in (label.partition("=") for label in placement)}


def _spread(project: str, name: str) -> list[dict[str, Any]]:
    return [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector(project, name)},
        }
    ]
