"""What happens on a thread, run after run, for the clients that watch the thread and not one run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson

from langgraph_service.encode import dumps
from langgraph_service.events import Event, EventLog, in_modes
from langgraph_service.execution import Publish
from langgraph_service.job import Job

# The thread stream's own modes, as the stream modes that they let through.
MODES: dict[str, frozenset[str] | None] = {
    "run_modes": None,
    "lifecycle": frozenset(),
    "state_update": frozenset({"values", "updates"}),
}


class Feeds:
    """One event log for each thread that somebody watches."""

    def __init__(self) -> None:
        self._logs: dict[str, EventLog] = {}

    def publisher(self, job: Job) -> Publish:
        """Publishes to the run's own log, and to its thread's watchers."""

        def publish(name: str, data: object) -> None:
            job.log.publish(name, data)
            if feed := self._logs.get(job.thread_id):
                feed.publish(name, data)

        return publish

    def relay(self, job: Job, loop: asyncio.AbstractEventLoop) -> Publish:
        """The same, from the thread that the run is in: the event is written there, as it is at that moment."""
        publish = self.publisher(job)

        def relayed(name: str, data: object) -> None:
            if job.log.wanted or job.thread_id in self._logs:
                loop.call_soon_threadsafe(publish, name, orjson.Fragment(dumps(data)))

        return relayed

    def done(self, job: Job) -> None:
        """Tell the watchers that a run is over."""
        if feed := self._logs.get(job.thread_id):
            feed.publish("metadata", {"status": "run_done", "run_id": job.run_id})

    async def watch(self, thread_id: str, modes: frozenset[str] | None) -> AsyncIterator[Event]:
        """The thread's events from now on, for as long as the client stays."""
        log = self._logs.setdefault(thread_id, EventLog(resumable=False))
        try:
            async for event in log.reader().events(in_modes(modes)):
                yield event
        finally:
            if not log.watched:
                self._logs.pop(thread_id, None)
