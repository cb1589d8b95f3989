"""A run in this process: from its acceptance until the last client that may ask has its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from langgraph.types import StateSnapshot

from langgraph_service.events import EventLog

CANCEL = "POST /threads/{thread_id}/runs/{run_id}/cancel"
Stop = Literal["interrupt", "rollback", "suspend"]


@dataclass(eq=False, kw_only=True)
class Job:
    """One run and everything that is known of it while it lives."""

    run: dict[str, Any]
    graph: str
    log: EventLog
    status: str = "pending"
    stop: Stop | None = None
    held: bool = False  # until its time (after_seconds)
    task: asyncio.Task[Any] | None = None
    recorded: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    mark: int | None = None
    values: Any = None
    error: Mapping[str, Any] | None = None
    asked: str = ""  # why it was cancelled, in the words of a thread's error
    body: bytes | None = None  # the answer, when it was written already

    @property
    def run_id(self) -> str:
        """The run's id."""
        return str(self.run["run_id"])

    @property
    def thread_id(self) -> str:
        """The id of the thread it runs on."""
        return str(self.run["thread_id"])

    @property
    def temporary(self) -> bool:
        """Whether the thread ends with the run."""
        return bool(self.run["kwargs"]["temporary"])

    @property
    def suspended(self) -> bool:
        """Whether the process stops before the run could end: the next process goes on with it."""
        return self.stop == "suspend"

    @property
    def named(self) -> dict[str, str]:
        """What every log line about it carries: run, thread, graph, and the id of the request it came with."""
        return {
            "run_id": self.run_id,
            "thread_id": self.thread_id,
            "graph": self.graph,
            "request_id": str(self.run["request_id"]),
        }

    @property
    def cancelled(self) -> dict[str, str] | None:
        """What the thread says of a run that was cancelled; None for any other."""
        if self.stop not in {"interrupt", "rollback"}:
            return None
        kind = "UserRollback" if self.stop == "rollback" else "UserInterrupt"
        return {"error": kind, "message": self.asked or f"{self.stop} requested via {CANCEL}"}

    def leave(self, snapshot: StateSnapshot) -> None:
        """Take over what the run left in its thread: every question that waits, not only the last one asked."""
        if self.values is None or self.status != "success":
            self.values, self.body = snapshot.values, None
        if self.error is None and isinstance(self.values, dict) and snapshot.interrupts:
            self.values, self.body = {**self.values, "__interrupt__": list(snapshot.interrupts)}, None

    def answer(self) -> Any:
        """What a client that waits reads."""
        return {"__error__": self.error} if self.error else self.values

    def finish(self) -> None:
        """Let readers and waiters go."""
        self.log.close()
        self.done.set()


def delay_of(run: Mapping[str, Any]) -> float:
    """The seconds until a run's time: counted from its acceptance, over restarts too, and none for one that began."""
    wished = float(run["kwargs"].get("after_seconds") or 0)
    if not wished or "created_at" not in run:
        return wished
    if run["attempt"]:
        return 0
    age = (datetime.now(UTC) - datetime.fromisoformat(run["created_at"])).total_seconds()
    return min(wished, wished - age)
