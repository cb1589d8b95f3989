"""How a run is answered: its last values when it ends, or its events while it goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from langgraph_service.encode import dumps_anyhow
from langgraph_service.events import Reader, in_modes
from langgraph_service.job import Job
from langgraph_service.runner import Runner

KEEP_ALIVE = 5.0
LEFT = "client disconnected from the run stream (on_disconnect=cancel)"


def location(job: Job, route: str) -> dict[str, str]:
    """The headers that say where the run is, and the route at which its answer can be asked for again."""
    base = f"/runs/{job.run_id}" if job.temporary else f"/threads/{job.thread_id}/runs/{job.run_id}"
    headers = {"content-location": base}
    return headers if not route else {**headers, "location": f"{base}/{route}"}


def _body(job: Job) -> bytes:
    return job.body if job.body is not None and job.error is None else dumps_anyhow(job.answer())


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Values(Response):
    """The values of a run when it is over. A blank line every five seconds keeps proxies from giving up.

    When the service stops first, the answer is cut off: the client comes back to Location and finds the resumed run.
    """

    media_type = "application/json"

    def __init__(
        self, runner: Runner, job: Job, *, headers: Mapping[str, str] | None = None, cancel: bool = False
    ) -> None:
        super().__init__(headers=dict(headers or {}))
        del self.headers["content-length"]
        self._runner, self._job, self._cancel = runner, job, cancel

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        job = self._job
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        done, left = asyncio.ensure_future(job.done.wait()), asyncio.ensure_future(_left(receive))
        try:
            while not done.done():
                await asyncio.wait({done, left}, timeout=KEEP_ALIVE, return_when=asyncio.FIRST_COMPLETED)
                if left.done() and not done.done():
                    if self._cancel:
                        await self._runner.cancel([job], "interrupt", LEFT)
                    return
                if not done.done():
                    await send({"type": "http.response.body", "body": b"\n", "more_body": True})
            if not job.suspended:
                await send({"type": "http.response.body", "body": _body(job), "more_body": False})
        finally:
            done.cancel()
            left.cancel()


async def _sent(
    runner: Runner, job: Job, reader: Reader, modes: frozenset[str] | None, *, cancel: bool
) -> AsyncIterator[ServerSentEvent]:
    try:
        async for event in reader.events(in_modes(modes)):
            identifier = event.id if job.log.resumable else None
            yield ServerSentEvent(data=event.data, event=event.name, id=identifier, sep="\r\n")
    finally:
        reader.close()
        if cancel and not job.done.is_set() and not runner.stopping.is_set():
            await asyncio.shield(runner.cancel([job], "interrupt", LEFT))


async def _watched(runner: Runner, thread_id: str, modes: frozenset[str] | None) -> AsyncIterator[ServerSentEvent]:
    async for event in runner.feeds.watch(thread_id, modes):
        yield ServerSentEvent(data=event.data, event=event.name, id=event.id, sep="\r\n")


def watching(runner: Runner, thread_id: str, modes: frozenset[str] | None) -> EventSourceResponse:
    """The events of every run of a thread, until the client leaves."""
    return EventSourceResponse(_watched(runner, thread_id, modes), ping=15, sep="\r\n")


def events(
    runner: Runner,
    job: Job,
    reader: Reader,
    *,
    modes: frozenset[str] | None = None,
    headers: Mapping[str, str] | None = None,
    cancel: bool = False,
) -> EventSourceResponse:
    """The events of a run as they happen."""
    content = _sent(runner, job, reader, modes, cancel=cancel)
    return EventSourceResponse(content, headers=headers, ping=15, sep="\r\n")
