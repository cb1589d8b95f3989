"""A trial on every node that may run a container: a short global service, the only way to a node's own engine.

Its command does not exist, so that nothing of the image runs. A node that gets as far as that has the image and what is
mounted; one that does not rejects the task and says why.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from build.deploy.targets.swarm.nodes import eligible, nodes
from build.engine.api import Api, ApiError
from build.engine.hardening import DROPPED_CAPABILITIES, USER
from build.errors import BuildError

TRIAL_LABEL = "org.unity-claude.trial"
NO_IMAGE = "No such image"  # what a node says of every pull that failed, whatever the reason
_COMMAND = "/org.unity-claude.nothing"
_DONE = {"starting", "running", "complete", "failed", "rejected"}
_POLL_SECONDS = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """An image, what is mounted into it, and where it may run; `auth` is the login of its registry."""

    image: str
    constraints: tuple[str, ...] = ()
    mounts: Sequence[Mapping[str, Any]] = ()
    auth: str = ""


def failures(api: Api, project: str, trials: Sequence[Trial], *, seconds: float) -> Iterator[tuple[Trial, str, str]]:
    """Make all trials at once, and yield (trial, node, reason) where one fails. Raises as the API does."""
    pending = {_start(api, project, trial): trial for trial in trials}
    every = nodes(api)
    deadline = time.monotonic() + seconds
    try:
        while pending:
            for service, trial in list(pending.items()):
                found = _tasks(api, service)
                if found is None:
                    del pending[service]  # a deploy took it for what a killed one had left
                    pending[_start(api, project, trial)] = trial
                    continue
                tasks = {task["NodeID"]: task for task in found if task.get("NodeID")}
                wanted = eligible(every, trial.constraints)
                missing = [
                    node for node in wanted if tasks.get(node.id, {}).get("Status", {}).get("State") not in _DONE
                ]
                late = time.monotonic() >= deadline
                if missing and not late:
                    continue
                del pending[service]
                api.delete(f"/services/{service}")
                for node in wanted:
                    status = tasks.get(node.id, {}).get("Status", {})
                    if status.get("State") == "rejected":
                        yield trial, node.name, status.get("Err", "rejected")
                    elif node in missing:
                        state = status.get("State", "pending")
                        yield trial, node.name, f"is still {state} after {seconds:g} s"
            time.sleep(_POLL_SECONDS if pending else 0)
            every = nodes(api) if pending else every  # one that goes down meanwhile is not waited for
    finally:
        with contextlib.suppress(BuildError):  # the failure that ended it is the one to report
            for service in pending:
                api.delete(f"/services/{service}")


def pull_hint(image: str, table: str) -> str:
    """What lets a node pull an image; `table` is that of the target."""
    host = image.partition("/")[0]
    return (
        f"docker login {host} here, whose login the nodes get; and each node must reach {host}, "
        f'or under another name: registry = "HOST:PORT" in {table}'
    )


def sweep(api: Api, project: str) -> None:
    """Remove what trials left that were killed. Raises as the API does."""
    for service in api.get("/services", filters={"label": [f"{TRIAL_LABEL}={project}"]}):
        api.delete(f"/services/{service['ID']}")
    for network in api.get("/networks", filters={"label": [f"{TRIAL_LABEL}={project}"]}):
        with contextlib.suppress(ApiError):  # its tasks are about to end
            api.delete(f"/networks/{network['Id']}")


def _start(api: Api, project: str, trial: Trial) -> str:
    body = once(new_name(), project, trial.image, [_COMMAND], trial.constraints)
    body["TaskTemplate"]["ContainerSpec"]["Mounts"] = list(trial.mounts)
    return str(api.post("/services/create", body, registry_auth=trial.auth)["ID"])


def new_name() -> str:
    """A name that nothing in the swarm has."""
    return f"trial-{uuid4().hex[:16]}"


def once(name: str, project: str, image: str, command: Sequence[str], constraints: Sequence[str]) -> dict[str, Any]:
    """A service that runs a command once on each node, with the rights that containers of a set have."""
    return {
        "Name": name,
        "Labels": {TRIAL_LABEL: project},
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": image,
                "Command": list(command),
                "User": USER,
                "ReadOnly": True,
                "CapabilityDrop": list(DROPPED_CAPABILITIES),
                "Privileges": {"NoNewPrivileges": True},
                "Healthcheck": {"Test": ["NONE"]},
            },
            "RestartPolicy": {"Condition": "none"},  # a global job would start it again and again
            "Placement": {"Constraints": list(constraints)},
        },
        "Mode": {"Global": {}},
    }


def _tasks(api: Api, service: str) -> list[dict[str, Any]] | None:
    """The tasks of a service; None if there is no such service."""
    try:
        tasks: list[dict[str, Any]] = api.get("/tasks", filters={"service": [service]})
    except ApiError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise
    return tasks
