"""What differs between a service and its spec, in words; what the engine fills in is no difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from build.deploy.target import SPEC_LABEL
from build.images.image import short
from build.stack.swarm import STACK_LABEL

# What the engine (26.1), or the docker command for it, adds to a spec that says nothing of it.
_FILLED = {
    "Isolation": "default", "Runtime": "container", "Order": None, "ForceUpdate": None, "SecretID": None,
    "Platforms": None,
}  # fmt: skip
_TMPFS_MODE = 0o1777  # of a tmpfs whose spec says nothing of it
_STACK_IMAGE = "com.docker.stack.image"  # added by `docker stack deploy`, as STACK_LABEL is to each container
_AREAS = {
    "TaskTemplate.ContainerSpec.Image": "image",
    "TaskTemplate.ContainerSpec.Env": "environment",
    "TaskTemplate.ContainerSpec.Privileges": "no-new-privileges",
    "TaskTemplate.ContainerSpec.ReadOnly": "read-only root",
    "TaskTemplate.ContainerSpec.Capability": "capabilities",
    "TaskTemplate.ContainerSpec.User": "user",
    "TaskTemplate.ContainerSpec.Healthcheck": "health check",
    "TaskTemplate.ContainerSpec.StopGracePeriod": "stop grace",
    "TaskTemplate.ContainerSpec.Mounts": "mounts",
    "TaskTemplate.ContainerSpec.Secrets": "secrets",
    "TaskTemplate.ContainerSpec": "container settings",
    "TaskTemplate.Resources": "limits",
    "TaskTemplate.RestartPolicy": "restart policy",
    "TaskTemplate.Placement": "placement",
    "TaskTemplate.Networks": "networks",
    "TaskTemplate.LogDriver": "log driver",
    "TaskTemplate": "task settings",
    "Mode": "scale",
    "UpdateConfig": "update settings",
    "RollbackConfig": "rollback settings",
    "EndpointSpec": "ports",
    "Labels": "labels",
    "Name": "name",
}


def drift(expected: Mapping[str, Any], actual: Mapping[str, Any], networks: Mapping[str, str]) -> tuple[str, ...]:
    """What somebody changed in a service: `expected` is a document's service, `actual` the spec that the API returns.

    `networks` maps the IDs of networks to their names. Values of the environment are not shown: they may be secret.
    """
    areas: dict[str, list[tuple[Any, Any]]] = {}
    for path, wanted, there in _differences(_comparable(expected, {}), _comparable(actual, networks), ""):
        area = next((words for prefix, words in _AREAS.items() if path.startswith(prefix)), path)
        areas.setdefault(area, []).append((wanted, there))
    return tuple(_words(area, pairs) for area, pairs in areas.items())


def _words(area: str, pairs: list[tuple[Any, Any]]) -> str:
    wanted, there = pairs[0]
    if area == "image":
        return f"image {_digest(there)} instead of {_digest(wanted)}"
    if area == "scale":
        return f"scale {there} instead of {wanted}"
    if area == "no-new-privileges":
        return "no-new-privileges is off"
    if area == "environment":
        return f"environment: {', '.join(sorted(_changed(wanted or {}, there or {})))}"
    return f"{area} changed"


def _changed(wanted: Mapping[str, str], there: Mapping[str, str]) -> Iterator[str]:
    for key in wanted.keys() | there.keys():
        if key not in there:
            yield f"{key} is gone"
        elif key not in wanted:
            yield f"{key} was added"
        elif wanted[key] != there[key]:
            yield f"{key} was changed"


def _digest(reference: Any) -> str:
    digest = str(reference).partition("@")[2]
    return short(digest) if digest else str(reference)


def _comparable(spec: Mapping[str, Any], networks: Mapping[str, str]) -> dict[str, Any]:
    """A spec without what is another in every swarm: IDs by name, the environment as a table, without our own label."""
    task = dict(spec["TaskTemplate"])
    container = dict(task["ContainerSpec"])
    container["Env"] = dict(entry.partition("=")[::2] for entry in container.get("Env") or ())
    container["Labels"] = _without(container.get("Labels"), STACK_LABEL)
    container["Mounts"] = [_mount(mount) for mount in container.get("Mounts") or ()]
    container["CapabilityDrop"] = sorted(container.get("CapabilityDrop") or ())
    container["Secrets"] = sorted(container.get("Secrets") or (), key=lambda secret: str(secret["File"]["Name"]))
    attached = [dict(entry) for entry in task.get("Networks") or spec.get("Networks") or ()]
    for entry in attached:
        entry["Target"] = networks.get(entry["Target"], entry["Target"])
    task["ContainerSpec"] = container
    task["Networks"] = sorted(attached, key=lambda entry: str(entry["Target"]))
    return {**spec, "TaskTemplate": task, "Labels": _without(spec.get("Labels"), SPEC_LABEL, _STACK_IMAGE)}


def _without(labels: Mapping[str, str] | None, *keys: str) -> dict[str, str]:
    return {key: value for key, value in (labels or {}).items() if key not in keys}


def _mount(mount: Mapping[str, Any]) -> dict[str, Any]:
    """A mount; one of a tmpfs with its mode, which a stack file can't say."""
    if mount["Type"] != "tmpfs":
        return dict(mount)
    return {**mount, "TmpfsOptions": {"Mode": _TMPFS_MODE, **(mount.get("TmpfsOptions") or {})}}


def _differences(wanted: Any, there: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    key = path.rpartition(".")[2]
    if key in _FILLED and (_FILLED[key] is None or there == _FILLED[key]):
        return
    if key == "Env":
        if wanted != there:
            yield path, wanted, there
    elif isinstance(wanted, dict) and isinstance(there, dict):
        for inner in sorted(wanted.keys() | there.keys()):
            yield from _differences(wanted.get(inner), there.get(inner), f"{path}.{inner}".lstrip("."))
    elif isinstance(wanted, list) and isinstance(there, list) and len(wanted) == len(there):
        for left, right in zip(wanted, there, strict=True):
            yield from _differences(left, right, path)
    elif (wanted or there) and wanted != there:
        yield from _filled(wanted, there, path)


def _filled(wanted: Any, there: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """A difference, unless one of both is a table that has nothing but what the engine fills in."""
    if isinstance(wanted, dict) != isinstance(there, dict) and (wanted is None or there is None):
        empty: dict[str, Any] = {}
        if not any(True for _ in _differences(wanted or empty, there or empty, path)):
            return
    yield path, wanted, there
