"""The thread-centric event protocol (`client.threads.stream()`): one numbered sequence of events for each thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any

import orjson
from langchain_core.runnables import RunnableConfig
from langgraph_sdk.stream.subscription import matches_subscription

from langgraph_service.encode import dumps
from langgraph_service.events import Event, EventLog
from langgraph_service.execution import graph_input
from langgraph_service.job import Job
from langgraph_service.plugins import Graph

# How long the events of a thread that nobody watches, and that has no run, can still be asked for.
KEPT_SECONDS = 120.0


class Session:
    """The protocol events of one thread, numbered from 1."""

    def __init__(self) -> None:
        self.log = EventLog(resumable=True)
        self._asked: set[str] = set()
        self._loop, self._thread = asyncio.get_running_loop(), threading.current_thread()

    def emit(self, method: str, data: Any, *, namespace: Sequence[str] = (), identifier: str | None = None) -> None:
        """Add an event; from the service's thread, or from that of a run, where it is written."""
        name = data.get("name") if isinstance(data, Mapping) else None
        add = partial(self._add, method, orjson.Fragment(dumps(data)), name, list(namespace), identifier)
        if threading.current_thread() is self._thread:
            add()
        else:
            self._loop.call_soon_threadsafe(add)

    def _add(self, method: str, data: object, name: str | None, place: list[str], identifier: str | None) -> None:
        sequence = self.log.count + 1
        event = {
            "type": "event",
            "event_id": identifier or f"{time.time_ns() // 1_000_000}-{sequence}",
            "seq": sequence,
            "method": method,
            "params": {"namespace": place, "timestamp": time.time_ns() // 1_000_000, "data": data},
        }
        self.log.publish(method, event, {"method": method, "params": {"namespace": place, "data": {"name": name}}})

    def lifecycle(self, run_id: str, graph: str, event: str, **more: Any) -> None:
        """Tell that a run begins or ends."""
        told = {"event": event, "graph_name": graph, **more}
        self.emit("lifecycle", told, identifier=f"synth:{run_id}:lc||{event}")

    def relay(self, run_id: str, event: Mapping[str, Any]) -> None:
        """Pass on what the graph's own stream says, with a question for each new interrupt."""
        method, params = event["method"], event["params"]
        namespace, data = params["namespace"], params["data"]
        if method == "lifecycle":
            namespace = data.get("namespace", namespace)
        if method == "messages" and isinstance(data, tuple | list):
            data = data[0]
        for raised in params.get("interrupts") or ():
            if raised.id not in self._asked:
                self._asked.add(raised.id)
                asked = {"interrupt_id": raised.id, "payload": raised.value}
                identifier = f"synth:{run_id}:input|{'|'.join(namespace)}|{raised.id}"
                self.emit("input.requested", asked, namespace=namespace, identifier=identifier)
        self.emit(method, data, namespace=namespace)

    async def follow(self, wanted: Mapping[str, Any], since: int) -> AsyncIterator[tuple[int, Event]]:
        """The events that a subscription wants, after number `since`; all there are, if that is not reached here."""

        def chosen(event: Event) -> bool:
            return matches_subscription(event.tag, wanted)  # type: ignore[arg-type]

        reader = self.log.reader_from(since if since <= self.log.count else 0)
        async for event in reader.events(chosen):
            yield reader.position, event


class Sessions:
    """The sessions of all threads that are watched, or were a moment ago."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def of(self, thread_id: str) -> Session:
        """The thread's session."""
        return self._sessions.setdefault(thread_id, Session())

    def ended(self, job: Job) -> None:
        """Tell the thread's watchers how a protocol run ended."""
        if not job.run["kwargs"].get("protocol") or job.suspended:
            return
        session = self.of(job.thread_id)
        waiting = isinstance(job.values, dict) and job.values.get("__interrupt__")
        if job.error is not None:
            session.lifecycle(job.run_id, job.graph, "failed", error=job.error["message"])
        elif job.status == "interrupted":
            session.lifecycle(job.run_id, job.graph, "failed", error="the run was cancelled")
        else:
            session.lifecycle(job.run_id, job.graph, "interrupted" if waiting else "completed")
        self.release(job.thread_id)

    def release(self, thread_id: str) -> None:
        """Forget the session in a while, if nobody has come back by then."""
        before = self._sessions.get(thread_id)
        count = before.log.count if before else 0

        def forget() -> None:
            now = self._sessions.get(thread_id)
            if now is not None and now is before and not now.log.watched and now.log.count == count:
                del self._sessions[thread_id]

        asyncio.get_running_loop().call_later(KEPT_SECONDS, forget)


async def execute(graph: Graph, job: Job, config: RunnableConfig, session: Session) -> Any:
    """Run the graph and relay its protocol events; the last values, with the interrupts it stopped at."""
    session.lifecycle(job.run_id, job.graph, "running")
    kwargs = job.run["kwargs"]
    stream = await graph.astream_events(
        graph_input(kwargs), config, version="v3", durability=kwargs["durability"], context=kwargs.get("context")
    )
    last: Any = None
    async for event in stream:
        session.relay(job.run_id, event)
        if event["method"] == "values" and not event["params"]["namespace"]:
            last = event["params"]["data"]
            if isinstance(last, dict) and (raised := event["params"].get("interrupts")):
                last = {**last, "__interrupt__": list(raised)}
    return last
