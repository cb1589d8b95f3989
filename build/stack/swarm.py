"""The stack as services of a Docker swarm: what the Engine API's `POST /services/create` takes (1.44, Engine 25).

Not a Compose file: `docker stack deploy` drops no-new-privileges, and with it a part of what the model promises.
A service answers by DNS (`dnsrr`) and publishes on its nodes (`host`), so that nothing needs IP_VS in the kernel.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from build.engine.hardening import UID
from build.stack.model import Container, Healthcheck, LogRotation, Network, Stack
from build.stack.sizes import in_bytes

STACK_LABEL = "com.docker.stack.namespace"  # by which `docker stack services PROJECT` finds a service
PROJECT_LABEL = "org.unity-claude.swarm"  # whose value is the project of a target
CONTAINER_LABEL = "org.unity-claude.container"
DATA_LABEL = "org.unity-claude.data"  # of the node that keeps a project's volumes
SECRET_MODE = 0o400
_RESTART = {"always": "any", "unless-stopped": "any", "on-failure": "on-failure", "no": "none"}
_SECURITY = {"no-new-privileges:true": {"NoNewPrivileges": True}}
_RELEASE_VARIABLE = "UC_RELEASE_FILE"  # names a file that no swarm gives: a config can't change


def documents(
    stack: Stack, secrets: Mapping[str, str], *, monitor_seconds: float, encrypted: bool = False
) -> dict[str, dict[str, Any]]:
    """Each container as `{"Service": …, "Networks": […]}`: its service, and the networks that it needs.

    `secrets` maps each secret of the stack to its name in the swarm. What only the swarm knows is not in it: the IDs of
    secrets, and whether an update may start the new one first.
    """
    return {
        name: {
            "Service": _service(stack, name, container, secrets, monitor_seconds),
            "Networks": [_network(stack, stack.networks[key], encrypted=encrypted) for key in container.networks],
        }
        for name, container in stack.containers.items()
    }


def data_label(project: str) -> str:
    """The label of the node that keeps the project's volumes."""
    return f"{DATA_LABEL}.{project}"


def service_name(project: str, container: str) -> str:
    """What a container's service is called in the swarm."""
    return f"{project}_{container}"


def _service(
    stack: Stack, name: str, container: Container, secrets: Mapping[str, str], monitor_seconds: float
) -> dict[str, Any]:
    limits = container.limits
    return {
        "Name": service_name(stack.name, name),
        "Labels": {**stack.labels, STACK_LABEL: stack.name, PROJECT_LABEL: stack.name, CONTAINER_LABEL: name},
        "TaskTemplate": {
            "ContainerSpec": _container(stack, container, secrets),
            "Resources": {
                "Limits": {
                    "MemoryBytes": in_bytes(limits.memory),
                    "NanoCPUs": int(Decimal(limits.cpus) * 10**9),
                    "Pids": limits.pids,
                }
            },
            "RestartPolicy": {"Condition": _RESTART[container.restart]},
            "Placement": {"Constraints": list(_constraints(stack, container))},
            # Other containers find it by the name that it has in the model.
            "Networks": [{"Target": stack.networks[key].name, "Aliases": [name]} for key in container.networks],
            "LogDriver": _log_driver(container.logs),
        },
        "Mode": {"Replicated": {"Replicas": container.replicas}},
        "UpdateConfig": {
            "Parallelism": 1,
            "FailureAction": "pause",
            "Monitor": _nanoseconds(max(monitor_seconds, 0.001)),  # 0 would be the engine's default
            "MaxFailureRatio": 0,
        },
        "EndpointSpec": {
            "Mode": "dnsrr",
            "Ports": [
                {
                    "Protocol": "tcp",
                    "TargetPort": port.target,
                    "PublishedPort": port.published,
                    "PublishMode": "host",
                }
                for port in container.ports
            ],
        },
    }


def _container(stack: Stack, container: Container, secrets: Mapping[str, str]) -> dict[str, Any]:
    variables = dict(container.environment)
    if container.release_folder:
        variables.pop(_RELEASE_VARIABLE, None)
    return {
        "Image": container.image,
        "Env": [f"{key}={_literal(value)}" for key, value in variables.items()],
        "User": container.user,
        "ReadOnly": container.read_only,
        "CapabilityDrop": list(container.dropped_capabilities),
        "Privileges": {key: value for option in container.security_options for key, value in _SECURITY[option].items()},
        "StopGracePeriod": _nanoseconds(container.stop_grace_seconds),
        "Healthcheck": _healthcheck(container.healthcheck),
        "Mounts": _mounts(stack, container),
        "Secrets": [
            {
                "SecretName": secrets[key],
                "File": {"Name": key, "UID": str(UID), "GID": str(UID), "Mode": SECRET_MODE},
            }
            for key in container.secrets
        ],
    }


def with_secrets(document: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A service's document in which each of these secrets (secret → name in the swarm) has another value."""
    result: dict[str, Any] = copy.deepcopy(dict(document))
    for entry in result["Service"]["TaskTemplate"]["ContainerSpec"].get("Secrets", []):
        entry["SecretName"] = names.get(entry["File"]["Name"], entry["SecretName"])
    return result


def _mounts(stack: Stack, container: Container) -> list[dict[str, Any]]:
    return [
        *(
            {
                "Type": "tmpfs",
                "Target": folder.target,
                "TmpfsOptions": {"SizeBytes": in_bytes(folder.size), "Mode": folder.mode},
            }
            for folder in container.tmpfs
        ),
        *(
            {
                "Type": "volume",
                "Source": stack.volumes[key],
                "Target": target,
                "VolumeOptions": {"Labels": {STACK_LABEL: stack.name}},
            }
            for key, target in container.volumes.items()
        ),
        *(
            {
                "Type": "volume" if mount.is_volume else "bind",
                "Source": _literal(str(mount.source)),
                "Target": mount.target,
                "ReadOnly": True,
            }
            for mount in container.mounts
        ),
    ]


def _constraints(stack: Stack, container: Container) -> tuple[str, ...]:
    """Where it may run: as the target's settings say, else what writes to a volume where the volume is."""
    if container.placement or not container.is_stateful:
        return container.placement
    return (f"node.labels.{data_label(stack.name)} == true",)


def _network(stack: Stack, network: Network, *, encrypted: bool) -> dict[str, Any]:
    return {
        "Name": network.name,
        "Driver": "overlay",
        "Internal": network.internal,
        "Options": {"encrypted": ""} if encrypted else {},
        "Labels": {STACK_LABEL: stack.name, PROJECT_LABEL: stack.name},
    }


def _healthcheck(check: Healthcheck) -> dict[str, Any]:
    return {
        "Interval": _nanoseconds(check.interval),
        "Timeout": _nanoseconds(check.timeout),
        "Retries": check.retries,
        "StartPeriod": _nanoseconds(check.start_period),
        "StartInterval": _nanoseconds(check.start_interval),
    }


def _log_driver(rotation: LogRotation) -> dict[str, Any]:
    return {"Name": "json-file", "Options": {"max-size": rotation.size, "max-file": str(rotation.files)}}


def _literal(text: str) -> str:
    """A text such that a node reads it as it is: it would expand {{.Node.Hostname}}."""
    return text.replace("{{", '{{"{{"}}')


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 10**9)
