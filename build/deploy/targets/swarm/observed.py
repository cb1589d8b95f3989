"""The services of a project as they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from build.deploy.target import SPEC_LABEL, Observed, Spec
from build.deploy.targets.swarm.drift import drift
from build.deploy.targets.swarm.nodes import nodes
from build.deploy.targets.swarm.problems import belongs, overlays
from build.deploy.targets.swarm.tasks import ENDED, Task, tasks
from build.engine.api import Api
from build.stack.swarm import CONTAINER_LABEL


def observed(api: Api, project: str, expected: Mapping[str, Spec]) -> dict[str, Observed]:
    """Each container of the project's services, compared with what is expected of it. Raises as the API does."""
    services = [service for service in api.get("/services") if belongs(service, project)]
    entries = api.get("/tasks", filters={"service": [service["ID"] for service in services]}) if services else []
    every = nodes(api) if services else []
    names = {node.id: node.name for node in every}
    up = {node.id for node in every if node.state != "down"}
    networks = {network["Id"]: network["Name"] for network in overlays(api)} if services else {}
    result = {}
    for service in services:
        name = (service["Spec"].get("Labels") or {}).get(CONTAINER_LABEL)
        name = name or service["Spec"]["Name"].removeprefix(f"{project}_")
        result[name] = _observed(service, tasks(service, entries), expected.get(name), names, up, networks)
    return result


def _observed(
    service: Mapping[str, Any],
    every: Sequence[Task],
    expected: Spec | None,
    names: Mapping[str, str],
    up: Collection[str],
    networks: Mapping[str, str],
) -> Observed:
    spec = service["Spec"]
    running = [task for task in every if task.runs]
    own = [task for task in running if task.is_own]
    # What is to end goes on until it has: an update that was cut short may have left one beside the new one.
    ending = [task for task in every if task.state == "running" and not task.runs and task.node in up]
    ours = expected.document["Service"] if expected else spec
    wanted = ours["Mode"].get("Replicated", {}).get("Replicas", len(own))
    newest = next((task for task in every if task.desired not in ENDED), every[0] if every else None)
    state = "running" if running else newest.state if newest else "pending"
    image = next((task.image for task in running if not task.is_own), spec["TaskTemplate"]["ContainerSpec"]["Image"])
    return Observed(
        spec=(spec.get("Labels") or {}).get(SPEC_LABEL, ""),
        image=_by_digest(image),
        state=state,
        health="healthy" if running else "starting" if state == "starting" else "",
        since=_since(running or ([newest] if newest else [])),
        replicas=len(own) + len(ending),
        wanted=wanted,
        nodes=tuple(sorted({names.get(task.node, task.node) for task in running})),
        drift=tuple(_drift(spec, every, expected, networks)),
        error="" if len(own) == wanted else _error(service, every),
    )


def _since(shown: Sequence[Task]) -> str:
    """Since when the first of these tasks is in its state."""
    return min(task.since for task in shown).isoformat(timespec="seconds").replace("+00:00", "Z") if shown else ""


def _drift(
    spec: Mapping[str, Any], every: Sequence[Task], expected: Spec | None, networks: Mapping[str, str]
) -> Iterator[str]:
    if expected:
        yield from drift(expected.document["Service"], spec, networks)
    if any(task.runs and not task.is_own for task in every):
        yield "tasks of an earlier spec run"


def _error(service: Mapping[str, Any], every: Sequence[Task]) -> str:
    """Why it does not run as it should: what is to run says so, before what has ended, which may be the later event."""
    update = service.get("UpdateStatus") or {}
    reasons = [task.error for task in sorted(every, key=lambda task: task.desired in ENDED) if task.error]
    reason = next(iter(reasons), "")
    if update.get("State") in {None, "completed", "updating"}:
        return reason
    return reason or f"update {update['State']}: {update.get('Message', '')}"


def _by_digest(image: str) -> str:
    """NAME@DIGEST, without the tag that the docker command leaves between them."""
    name, at, digest = image.partition("@")
    if not at:
        return image
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}@{digest}"
