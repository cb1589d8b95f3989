"""A session's events as Server-Sent Events and over a WebSocket: first what the log holds, then what comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect
from sse_starlette import ServerSentEvent

from groupchat_service import metrics
from groupchat_service.desk import Desk
from groupchat_service.store import Event
from groupchat_service.team import Chunk

# The server closes what it still finds open with 1012 too (service restart, IANA registry of close codes).
UNKNOWN_SESSION, RESTART, NORMAL = 4404, 1012, 1000
_NEWLINE = "\r\n"


async def follow(desk: Desk, session_id: str, *, after: int, forever: bool) -> AsyncIterator[Event | Chunk]:
    """Events with a seq above `after` in order, each exactly once, until the run has stopped (or the session is gone).

    Status and events come from one read, so the stream can't end before the event that tells why.
    """
    with desk.feed.subscribe(session_id) as subscription, metrics.STREAMS.track_inprogress():
        while True:
            chunks = subscription.take()
            status, events, more = await desk.store.events(session_id, after=after)
            ordered: list[tuple[int, int, Event | Chunk]] = [(event.seq, 0, event) for event in events]
            ordered += [(seq, 1, chunk) for seq, chunk in chunks if seq >= after]
            for _, _, item in sorted(ordered, key=lambda entry: entry[:2]):
                yield item
            after = events[-1].seq if events else after
            if status is None or desk.closing.is_set() or (status != "running" and not more and not forever):
                return
            if not more:
                await subscription.wait()


async def sse(items: AsyncIterator[Event | Chunk]) -> AsyncIterator[ServerSentEvent]:
    """Events carry their seq as id, for Last-Event-ID; chunks carry none, so they are never asked for again."""
    async for item in items:
        if isinstance(item, Event):
            data = json.dumps(item.data, ensure_ascii=False)
            yield ServerSentEvent(data, id=str(item.seq), event=item.kind, sep=_NEWLINE)
        else:
            data = json.dumps({"source": item.source, "text": item.text}, ensure_ascii=False)
            yield ServerSentEvent(data, event="chunk", sep=_NEWLINE)


async def websocket(desk: Desk, socket: WebSocket, session_id: str, *, after: int, forever: bool) -> None:
    """Send each event as one JSON object; close with 1000 when the run has stopped, 1012 when the service closes."""
    await socket.accept()
    if await desk.store.session(session_id) is None:
        await socket.close(UNKNOWN_SESSION, f"session {session_id[:80]} not found")
        return
    sender = asyncio.create_task(_send(socket, follow(desk, session_id, after=after, forever=forever)))
    gone = asyncio.create_task(_disconnected(socket))
    await asyncio.wait({sender, gone}, return_when=asyncio.FIRST_COMPLETED)
    finished = sender.done()
    for task in (sender, gone):
        task.cancel()
        with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
            await task
    if finished:
        with suppress(RuntimeError):
            await socket.close(RESTART if desk.closing.is_set() else NORMAL)


async def _send(socket: WebSocket, items: AsyncIterator[Event | Chunk]) -> None:
    async for item in items:
        message: dict[str, Any] = (
            {"seq": item.seq, "event": item.kind, "data": item.data}
            if isinstance(item, Event)
            else {"event": "chunk", "data": {"source": item.source, "text": item.text}}
        )
        await socket.send_text(json.dumps(message, ensure_ascii=False))


async def _disconnected(socket: WebSocket) -> None:
    """Return when the client has gone; what it sends is not read as commands."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
