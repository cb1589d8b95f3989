"""The services of a swarm as a stack file, for people who run `docker stack deploy` themselves.

A stack file has no words for no-new-privileges: what it brings up lacks that, and nothing else of the services.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from build.stack.compose import duration, literal
from build.stack.swarm import STACK_LABEL

VERSION = "3.12"  # of the file's format: the first with a health check's start interval (Docker 25)


def document(services: Mapping[str, Mapping[str, Any]], networks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The content of the file: `services` by container and `networks` as the Engine API takes them."""
    containers = [service["TaskTemplate"]["ContainerSpec"] for service in services.values()]
    volumes = [mount for container in containers for mount in container["Mounts"] if mount["Type"] == "volume"]
    content: dict[str, Any] = literal(
        {
            "version": VERSION,
            "services": {name: _service(service) for name, service in services.items()},
            "networks": {network["Name"]: _network(network) for network in networks},
            "volumes": {mount["Source"]: _volume(mount) for mount in volumes},
            "secrets": {
                secret["SecretName"]: {"external": True, "name": secret["SecretName"]}
                for container in containers
                for secret in container["Secrets"]
            },
        }
    )
    return {key: part for key, part in content.items() if part}


def _service(service: Mapping[str, Any]) -> dict[str, Any]:
    task = service["TaskTemplate"]
    container = task["ContainerSpec"]
    optional = {
        "networks": [entry["Target"] for entry in task["Networks"]],  # each service is known there by its key
        "ports": [_port(port) for port in service["EndpointSpec"]["Ports"]],
        "volumes": [_mount(mount) for mount in container["Mounts"]],
        "secrets": [_secret(secret) for secret in container["Secrets"]],
    }
    return {
        "image": container["Image"],
        "user": container["User"],
        "read_only": container["ReadOnly"],
        "cap_drop": container["CapabilityDrop"],
        "environment": dict(entry.partition("=")[::2] for entry in container["Env"]),
        "stop_grace_period": _duration(container["StopGracePeriod"]),
        "healthcheck": _healthcheck(container["Healthcheck"]),
        **{key: part for key, part in optional.items() if part},
        "logging": {"driver": task["LogDriver"]["Name"], "options": task["LogDriver"]["Options"]},
        "deploy": _deploy(service),
    }


def _deploy(service: Mapping[str, Any]) -> dict[str, Any]:
    task, update = service["TaskTemplate"], service["UpdateConfig"]
    limits = task["Resources"]["Limits"]
    constraints = task["Placement"]["Constraints"]
    return {
        "labels": {key: value for key, value in service["Labels"].items() if key != STACK_LABEL},
        "mode": "replicated",
        "replicas": service["Mode"]["Replicated"]["Replicas"],
        "endpoint_mode": service["EndpointSpec"]["Mode"],
        **({"placement": {"constraints": constraints}} if constraints else {}),
        "resources": {
            "limits": {
                "memory": str(limits["MemoryBytes"]),
                "cpus": f"{limits['NanoCPUs'] / 10**9:.9g}",
                "pids": limits["Pids"],
            }
        },
        "restart_policy": {"condition": task["RestartPolicy"]["Condition"]},
        "update_config": {
            "parallelism": update["Parallelism"],
            "failure_action": update["FailureAction"],
            "monitor": _duration(update["Monitor"]),
            "max_failure_ratio": update["MaxFailureRatio"],
        },
    }


def _port(port: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "target": port["TargetPort"],
        "published": port["PublishedPort"],
        "protocol": port["Protocol"],
        "mode": port["PublishMode"],
    }


def _mount(mount: Mapping[str, Any]) -> dict[str, Any]:
    if mount["Type"] == "tmpfs":
        # The file has no words for its mode, which is 1777 then, as in the model.
        return {"type": "tmpfs", "target": mount["Target"], "tmpfs": {"size": mount["TmpfsOptions"]["SizeBytes"]}}
    access = {"read_only": True} if mount.get("ReadOnly") else {}
    return {"type": mount["Type"], "source": mount["Source"], "target": mount["Target"], **access}


def _secret(secret: Mapping[str, Any]) -> dict[str, Any]:
    file = secret["File"]
    return {
        "source": secret["SecretName"],
        "target": file["Name"],
        "uid": file["UID"],
        "gid": file["GID"],
        "mode": file["Mode"],
    }


def _network(network: Mapping[str, Any]) -> dict[str, Any]:
    labels = {key: value for key, value in network["Labels"].items() if key != STACK_LABEL}
    return {
        "name": network["Name"],
        "driver": network["Driver"],
        **({"internal": True} if network["Internal"] else {}),
        **({"driver_opts": network["Options"]} if network["Options"] else {}),
        **({"labels": labels} if labels else {}),
    }


def _volume(mount: Mapping[str, Any]) -> dict[str, Any]:
    """Its own name; one that containers only read is not the stack's to create."""
    return {"name": mount["Source"], **({} if "VolumeOptions" in mount else {"external": True})}


def _healthcheck(check: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "interval": _duration(check["Interval"]),
        "timeout": _duration(check["Timeout"]),
        "retries": check["Retries"],
        "start_period": _duration(check["StartPeriod"]),
        "start_interval": _duration(check["StartInterval"]),
    }


def _duration(nanoseconds: int) -> str:
    return duration(nanoseconds / 10**9)
