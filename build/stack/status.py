"""The containers of the stack as the engine sees them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import Any

from build.config.manifest import Manifest
from build.engine import client as docker
from build.errors import ToolFailed
from build.parallel import together

LABEL = "com.docker.compose.project"


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """The state of one container, running or not.

    `health` is healthy, starting, unhealthy, or "" without a healthcheck; `error` is why the engine could not start it.
    """

    name: str
    service: str
    state: str
    health: str
    image: str
    url: str
    exit_code: int
    restarts: int
    error: str

    @property
    def healthy(self) -> bool:
        """Whether its healthcheck passes; true without one."""
        return self.health in {"healthy", ""}


def containers(manifest: Manifest) -> list[Running]:
    """Every container of the project, stopped ones included, in manifest order; two calls of the engine for all."""
    known = manifest.containers()
    order = {name: position for position, name in enumerate(known)}
    states = [_running(manifest, record) for record in _inspected(manifest)]
    return sorted(states, key=lambda container: order.get(container.name, len(order)))


def running(manifest: Manifest) -> set[str]:
    """The names of the project's containers that run."""
    return {container.name for container in containers(manifest) if container.state == "running"}


def left(manifest: Manifest, *, volumes: bool) -> list[str]:
    """What the engine has of the project, as "container NAME" and the like; data volumes only with `volumes`."""
    names = []
    for kind in ("container", "network", *(["volume"] if volumes else [])):
        every = ["--all"] if kind == "container" else []
        column = "{{.Names}}" if kind == "container" else "{{.Name}}"
        label = f"label={LABEL}={manifest.project.name}"
        listed = docker.cli(kind, "ls", *every, "--filter", label, "--format", column).stdout.split()
        names += [f"{kind} {name}" for name in listed]
    return names


def _running(manifest: Manifest, record: dict[str, Any]) -> Running:
    name = record["Config"]["Labels"]["com.docker.compose.service"]
    service, settings = manifest.containers().get(name, ("", None))
    state = record["State"]
    return Running(
        name=name,
        service=service,
        state=state["Status"],
        health=state.get("Health", {}).get("Status", ""),
        image=record["Config"]["Image"],
        url=f"http://127.0.0.1:{settings.published}" if settings else "",
        exit_code=state["ExitCode"],
        restarts=record["RestartCount"],
        error=state["Error"],
    )


def _inspected(manifest: Manifest) -> list[dict[str, Any]]:
    """The engine's record of each container.

    The engine takes longer to list containers than to inspect them, so those of the manifest are inspected by their
    names meanwhile. It lists again when a container was removed before it could be inspected.
    """
    identifiers, expected = together([partial(_identifiers, manifest), partial(_expected, manifest)])
    known = {record["Id"]: record for record in expected}
    while True:
        lacking = [identifier for identifier in identifiers if identifier not in known]
        if not lacking:
            return [known[identifier] for identifier in identifiers]
        try:
            records = json.loads(docker.cli("inspect", *lacking).stdout)
        except ToolFailed:
            before, identifiers = identifiers, _identifiers(manifest)
            if identifiers == before:
                raise
        else:
            known |= {record["Id"]: record for record in records}


def _expected(manifest: Manifest) -> list[Any]:
    """The records of the manifest's containers; none when one of them is not there."""
    try:
        names = [f"{manifest.project.name}-{name}-1" for name in manifest.containers()]
        return list(json.loads(docker.cli("inspect", "--type", "container", *names).stdout))
    except ToolFailed:
        return []


def _identifiers(manifest: Manifest) -> list[Any]:
    filters = ("--filter", f"label={LABEL}={manifest.project.name}")
    return docker.cli("ps", "--all", "--quiet", "--no-trunc", *filters).stdout.split()
