"""The tasks of a service: which are those of its spec as it is now, and what became of them."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from build.deploy.targets.swarm.nodes import nodes
from build.engine.api import Api
from build.errors import ToolFailed

ENDED = {"failed", "rejected", "complete", "orphaned", "shutdown", "remove"}
_LINES = 15
_LOG_SECONDS = 10
_STOP_SECONDS = 120
_POLL_SECONDS = 0.3
_FRAME = struct.Struct(">BxxxL")  # of a log without a terminal: the stream, and how many bytes follow


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A task; `is_own` is whether it was made from the service's spec as it is now, not from an earlier one."""

    id: str
    state: str
    desired: str
    error: str
    image: str
    node: str
    slot: int
    since: datetime
    has_container: bool
    is_own: bool

    @property
    def runs(self) -> bool:
        """Whether it runs, and is to."""
        return self.state == "running" and self.desired == "running"


def tasks(service: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> list[Task]:
    """The tasks of a service among `entries`, both as the API has them; the newest first."""
    template = {key: value for key, value in service["Spec"]["TaskTemplate"].items() if key != "Runtime"}
    own = [_task(entry, template) for entry in entries if entry["ServiceID"] == service["ID"]]
    return sorted(own, key=lambda task: task.since, reverse=True)


def moment(text: str) -> datetime:
    """A time as the API writes it, which has nine decimals."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6].ljust(6, '0')}+00:00")


def last_lines(api: Api, task: Task) -> str:
    """The last lines that a task wrote, "" if they can't be had: its node may be down."""
    query = {"stdout": "1", "stderr": "1", "tail": str(_LINES)}
    try:
        content = api.request("GET", f"/tasks/{task.id}/logs", query, seconds=_LOG_SECONDS)
    except ToolFailed:
        return ""
    return _text(part for _, part in _frames(content)).rstrip()


def output(api: Api, task: str) -> tuple[str, str]:
    """What a task wrote to stdout and to stderr, as far as its node has sent it on. Raises as the API does."""
    query = {"stdout": "1", "stderr": "1"}
    frames = list(_frames(api.request("GET", f"/tasks/{task}/logs", query, seconds=_LOG_SECONDS)))
    out, err = (_text(part for stream, part in frames if stream == number) for number in (1, 2))
    return out, err


def _frames(content: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + _FRAME.size <= len(content):
        stream, length = _FRAME.unpack_from(content, position)
        position += _FRAME.size
        yield stream, content[position : position + length]
        position += length


def _text(parts: Iterator[bytes]) -> str:
    return b"".join(parts).decode("utf-8", "replace")


def wait_until_stopped(api: Api, labels: Sequence[str], name: str, *, stopping: bool = False) -> None:
    """Wait until no container is left of the tasks of services with these labels, on nodes that are not down.

    With `stopping`, those that are to go on are left out. Raises ToolFailed if one does not stop.
    """
    deadline = time.monotonic() + _STOP_SECONDS
    while True:
        left = [
            task
            for task in api.get("/tasks", filters={"label": list(labels)})
            if task["Status"]["State"] not in ENDED and not (stopping and task["DesiredState"] == "running")
        ]
        if not left:
            return
        there = {node.id: node.name for node in nodes(api) if node.state != "down"}
        names = sorted({there[task["NodeID"]] for task in left if task.get("NodeID") in there})
        if not names:
            return
        if time.monotonic() > deadline:
            hint = f"docker ps --filter name={name} on {', '.join(names)}"
            raise ToolFailed(f"{name} does not stop within {_STOP_SECONDS} s", hint=hint)
        time.sleep(_POLL_SECONDS)


def _task(entry: Mapping[str, Any], template: Mapping[str, Any]) -> Task:
    status, spec = entry["Status"], entry["Spec"]
    return Task(
        id=entry["ID"],
        state=status["State"],
        desired=entry["DesiredState"],
        error=status.get("Err", ""),
        image=spec["ContainerSpec"]["Image"],
        node=entry.get("NodeID", ""),
        slot=entry.get("Slot", 0),
        since=moment(status["Timestamp"]),
        has_container=bool((status.get("ContainerStatus") or {}).get("ContainerID")),
        is_own={key: value for key, value in spec.items() if key != "Runtime"} == template,
    )
