"""Event streams: order, completeness, replay, and many at once."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import pytest
from groupchat_harness import Api
from sse_reader import all_events, read
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


def test_the_stream_tells_the_whole_chat_and_ends(server: Api) -> None:
    """Every message and the outcome arrive once, numbered without a gap, and then the server closes."""
    session_id = server.start()
    seen = all_events(server.client, session_id)
    view = server.client.get(f"/groupchat/{session_id}").json()
    assert [event.id for event in seen] == list(range(1, view["last_seq"] + 1))
    assert [event.data for event in seen[:-1]] == view["messages"]
    assert (seen[-1].event, seen[-1].data["result"]) == ("finished", view["result"])


def test_a_reconnecting_client_gets_exactly_what_it_missed(server: Api) -> None:
    """Last-Event-ID replays from the log; at the end of a finished log 204 tells the client to stop."""
    session_id = str(server.chat()["session_id"])
    whole = all_events(server.client, session_id)
    assert all_events(server.client, session_id, **{"last-event-id": "5"}) == whole[5:]
    ended = server.client.get(f"/groupchat/{session_id}/events", headers={"last-event-id": str(len(whole))})
    assert ended.status_code == 204
    bad = server.client.get(f"/groupchat/{session_id}/events", headers={"last-event-id": "x"})
    assert bad.status_code == 422


def test_a_following_stream_sees_the_next_run_too(server: Api) -> None:
    """`follow` keeps the stream open after the end, for clients that talk on."""
    session_id = str(server.chat()["session_id"])
    with server.client.stream("GET", f"/groupchat/{session_id}/events?follow=true") as response:
        kinds = []
        for event in read(response):
            kinds.append(event.event)
            if event.event == "finished" and kinds.count("finished") == 1:
                server.client.post(f"/groupchat/{session_id}/messages", json={"content": "more"})
            if kinds.count("finished") == 2:
                break
    assert kinds.count("message") > 20
    deadline = time.monotonic() + 5
    while server.metric("autogen_streams"):
        assert time.monotonic() < deadline, "a stream that its client left is still counted"


def test_the_stream_uses_the_line_ends_and_headers_that_proxies_need(server: Api) -> None:
    """CRLF, no-store, no buffering."""
    session_id = str(server.chat()["session_id"])
    answer = server.client.get(f"/groupchat/{session_id}/events")
    assert answer.content.startswith(b"id: 1\r\nevent: message\r\ndata: {")
    assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-store", "no")


def test_chunks_are_shown_while_a_model_writes_and_never_replayed(server: Api) -> None:
    """With `stream` the text arrives in pieces without an id; the log holds the whole message only."""
    asked = server.chat(agents=["analyst", "human"], stream=True)
    address = f"/groupchat/{asked['session_id']}"
    seen = []
    with server.client.stream("GET", f"{address}/events?follow=true") as response:
        for event in read(response):
            seen.append(event)
            if event.event == "input_required":
                server.client.post(f"{address}/messages", json={"content": "yes"})
            if event.event == "finished":
                break
    chunks = [event for event in seen if event.event == "chunk"]
    assert chunks
    assert all(chunk.id is None for chunk in chunks)
    last = [event for event in seen if event.event == "message"][-1]
    assert "".join(chunk.data["text"] for chunk in chunks) == last.data["content"]


def test_32_chats_at_once_all_tell_every_event(server: Api) -> None:
    """No chat loses an event or takes another's while 32 run together."""

    def whole(_number: int) -> tuple[list[int | None], str]:
        with httpx.Client(base_url=server.url, headers=server.auth, timeout=30) as client:
            session_id = client.post("/groupchat", json={"task": "Assets/A.cs(1,2): error CS1002: ; expected"}).json()
            seen = all_events(client, session_id["session_id"])
            return [event.id for event in seen], seen[-1].event

    with ThreadPoolExecutor(32) as pool:
        results = list(pool.map(whole, range(32)))
    assert results == [(list(range(1, 16)), "finished")] * 32


def test_the_websocket_tells_the_same_as_the_log_and_closes_normally(server: Api) -> None:
    """All events after `after` as JSON, then close code 1000."""
    session_id = str(server.chat()["session_id"])
    messages, code = asyncio.run(_collect(server, f"/groupchat/{session_id}/ws?after=3"))
    whole = all_events(server.client, session_id)
    assert [(message["seq"], message["data"]) for message in messages] == [(one.id, one.data) for one in whole[3:]]
    assert code == 1000


def test_the_websocket_of_an_unknown_session_closes_with_its_own_code(server: Api) -> None:
    """4404, so that a client does not try for ever."""
    assert asyncio.run(_collect(server, "/groupchat/none/ws")) == ([], 4404)


def test_the_websocket_needs_the_token(server: Api) -> None:
    """The handshake itself is refused."""
    with pytest.raises(InvalidStatus) as refused:
        asyncio.run(_collect(server, "/groupchat/none/ws", headers={}))
    assert refused.value.response.status_code == 403


async def _collect(server: Api, path: str, headers: dict[str, str] | None = None) -> tuple[list[Any], int | None]:
    async with connect(
        f"ws{server.url.removeprefix('http')}{path}",
        additional_headers=server.auth if headers is None else headers,
        proxy=None,
    ) as socket:
        messages = [json.loads(text) async for text in _until_closed(socket)]
    return messages, socket.close_code


async def _until_closed(socket: ClientConnection) -> AsyncIterator[str | bytes]:
    with suppress(ConnectionClosed):
        while True:
            yield await socket.recv()
