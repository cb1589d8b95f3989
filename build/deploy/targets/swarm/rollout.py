"""Whether an update has come about: judged by the tasks of its own spec, never by what the swarm calls converged."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from build.deploy.target import SPEC_LABEL, Spec
from build.deploy.targets.swarm.nodes import nodes
from build.deploy.targets.swarm.tasks import ENDED, Task, last_lines, moment, tasks
from build.engine.api import Api
from build.errors import SmokeFailed

_POLL_SECONDS = 0.5
_FAILURES = 2  # of a task that an update does not judge by itself: a service that is new
_PENDING_SECONDS = 30  # beyond the time that the task before it may take to stop
_VERBS = {"rejected": "was rejected", "complete": "ended", "failed": "failed"}
# A task may get a node where one that is being stopped still has the port: the scheduler counts it as gone.
_PORT_TAKEN, _PORT_RETRIES, _PORT_SECONDS = "port is already allocated", 3, 3
_GIVEN_UP = {"paused", "rollback_started", "rollback_paused", "rollback_completed"}


@dataclass(slots=True)
class Rollout:
    """A service on its way to a spec, with `seconds` to become healthy and a monitor window of `monitor` seconds.

    `again` applies the spec once more, which resumes an update that the swarm has paused.
    """

    api: Api
    service: str
    spec: Spec
    seconds: float
    monitor: float
    again: Callable[[], None]
    _all_run_since: float | None = field(default=None, init=False)

    def wait(self) -> None:
        """Wait until every task of the spec runs, and has done so for the monitor window.

        Raises SmokeFailed as soon as that can't happen any more, or at the deadline.
        """
        began = time.monotonic()
        replicas = self.spec.document["Service"]["Mode"]["Replicated"]["Replicas"]
        deadline = began + self.seconds * replicas + self.monitor
        retries = _PORT_RETRIES
        while True:
            service = self.api.get(f"/services/{self.service}")
            every = tasks(service, self.api.get("/tasks", filters={"service": [service["ID"]]}))
            own = [task for task in every if task.is_own]
            self._require_ours(service)
            if reason := self._hopeless(service, own, time.monotonic() - began):
                if _PORT_TAKEN not in reason or not retries:
                    raise self._failure(reason, own)
                retries -= 1
                time.sleep(_PORT_SECONDS)
                self.again()
                continue
            if self._done(service, every, replicas):
                return
            if time.monotonic() > deadline:
                states = ", ".join(sorted({task.state for task in own if task.desired == "running"})) or "not there"
                raise self._failure(f"is not healthy after {time.monotonic() - began:.0f} s ({states})", own)
            time.sleep(_POLL_SECONDS)

    def _done(self, service: dict[str, Any], every: Sequence[Task], replicas: int) -> bool:
        running = [task for task in every if task.is_own and task.runs]
        others = [task for task in every if not task.is_own and task.state not in ENDED]
        if len(running) != replicas or (others and self._on_nodes(others)):
            self._all_run_since = None
            return False
        looked = time.monotonic()
        if self._all_run_since is None:
            self._all_run_since = looked
            # What no task was started for has been watched long ago.
            updated = moment(service["UpdatedAt"])
            if all((updated - task.since).total_seconds() >= self.monitor for task in running):
                self._all_run_since -= self.monitor
        status = (service.get("UpdateStatus") or {}).get("State", "completed")
        return status == "completed" and looked - self._all_run_since >= self.monitor

    def _on_nodes(self, others: Sequence[Task]) -> bool:
        """Whether one of these tasks is really there: nobody hears of the end of one on a node that is down."""
        down = {node.id for node in nodes(self.api) if node.state == "down"}
        return any(task.desired == "running" or task.node not in down for task in others)

    def _hopeless(self, service: dict[str, Any], own: Sequence[Task], waited: float) -> str:
        """Why it can't come about any more; "" while it can."""
        update = service.get("UpdateStatus") or {}
        updated = moment(service["UpdatedAt"])
        ended = [task for task in own if task.state in _VERBS]
        if update.get("State") in _GIVEN_UP:
            return _reason(ended[0]) if ended else f"update {update['State']}: {update.get('Message', '')}"
        since = [task for task in ended if task.since >= updated]  # what ended earlier has been started anew
        for task in since:
            slot = [other for other in since if other.slot == task.slot]
            if task.state in {"rejected", "complete"} or "unhealthy" in task.error or len(slot) >= _FAILURES:
                return _reason(task)
        grace = service["Spec"]["TaskTemplate"]["ContainerSpec"].get("StopGracePeriod", 0) / 10**9
        if waited > grace + _PENDING_SECONDS:
            return next((f"has no node: {task.error}" for task in own if task.state == "pending" and task.error), "")
        return ""

    def _require_ours(self, service: dict[str, Any]) -> None:
        spec = service["Spec"]
        image = spec["TaskTemplate"]["ContainerSpec"]["Image"]
        if spec["Labels"].get(SPEC_LABEL) != self.spec.hash or image != self.spec.image:
            message = f"{self.service} was changed by somebody else meanwhile: its image is {image}"
            raise SmokeFailed(message, hint="./inv status")

    def _failure(self, reason: str, own: Sequence[Task]) -> SmokeFailed:
        shown = [task for task in own if task.has_container and task.state in {"failed", "complete"}]
        shown += [task for task in own if task.has_container]
        output = last_lines(self.api, shown[0]) if shown else ""
        hint = self.api.engine.shown("service", "ps", "--no-trunc", self.service)
        return SmokeFailed(f"{self.service} {reason}", hint=hint, output=output)


def _reason(task: Task) -> str:
    verb = _VERBS[task.state]
    if "No such image" in task.error:
        return f"{verb}: {task.error}: the node has no credentials for the registry, or knows no such address"
    if task.state == "complete":
        return f"{verb} with exit code 0: by itself, or stopped by the engine as unhealthy"
    return f"{verb}: {task.error}"
