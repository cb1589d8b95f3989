"""Streams: what a client sees, misses, and gets back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx
import pytest
from langgraph_harness import Json, at_second, in_state, new_thread, until
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.schema import RunCreateMetadata, StreamMode, StreamPart, ThreadStreamMode

pytestmark = pytest.mark.anyio


async def _events(stream: AsyncIterator[StreamPart]) -> list[tuple[str, Any]]:
    return [(part.event, part.data) async for part in stream]


async def test_a_resumable_stream_continues_after_the_last_event(client: LangGraphClient) -> None:
    """A client that comes back with Last-Event-ID gets exactly the events it has not seen."""
    thread, seen, identifiers = await new_thread(client), [], []
    given: Json = {"text": "r", "custom": 5, "sleep": 1, "log": []}
    modes: list[StreamMode] = ["custom", "values"]
    created: list[RunCreateMetadata] = []
    stream = client.runs.stream(
        thread, "probe", input=given, stream_mode=modes, stream_resumable=True, on_run_created=created.append
    )
    async for part in stream:
        seen.append((part.event, part.data))
        identifiers.append(part.id)
        if len(seen) == 4:
            break
    assert isinstance(stream, AsyncGenerator)
    await stream.aclose()
    run = created[0]

    rest = await _events(client.runs.join_stream(thread, run["run_id"], last_event_id=identifiers[-1]))
    whole = await _events(client.runs.join_stream(thread, run["run_id"], last_event_id="-"))

    assert whole == seen + rest
    assert [data["number"] for name, data in whole if name == "custom"] == [0, 1, 2, 3, 4]
    assert whole[-1][1]["log"] == ["first r", "second r"]
    assert len(set(identifiers)) == len(identifiers)


async def test_joining_a_stream_sees_only_later_events(client: LangGraphClient) -> None:
    """A stream that is not resumable starts at the moment of joining, and ends with the run."""
    thread = await new_thread(client)
    run = await client.runs.create(
        thread, "probe", input={"text": "l", "custom": 3, "sleep": 3, "log": []}, stream_mode=["custom", "values"]
    )
    await in_state(client, thread, at_second)

    late = await _events(client.runs.join_stream(thread, run["run_id"]))
    over = await _events(client.runs.join_stream(thread, run["run_id"]))

    assert late == [("values", {"text": "l", "custom": 3, "sleep": 3, "log": ["first l", "second l"]})]
    assert over == []


async def test_join_stream_selects_modes(client: LangGraphClient) -> None:
    """A joining client may ask for some of the run's stream modes only."""
    thread = await new_thread(client)
    run = await client.runs.create(
        thread,
        "probe",
        input={"text": "m", "custom": 2, "sleep": 1, "log": []},
        stream_mode=["custom", "values"],
        stream_resumable=True,
    )

    got = await _events(client.runs.join_stream(thread, run["run_id"], stream_mode="custom"))

    assert [name for name, _ in got] == ["metadata", "custom", "custom"]


async def test_two_clients_read_one_run(client: LangGraphClient) -> None:
    """Every reader of a run gets every event."""
    thread = await new_thread(client)
    run = await client.runs.create(
        thread, "probe", input={"text": "2", "custom": 3, "sleep": 1, "log": []}, stream_resumable=True
    )
    joins = [_events(client.runs.join_stream(thread, run["run_id"])) for _ in range(2)]

    one, other = await asyncio.gather(*joins)

    assert one == other
    assert one[-1][1]["log"] == ["first 2", "second 2"]


async def test_the_wire_format(http: httpx.AsyncClient) -> None:
    """CRLF lines, no event ids unless resumable, no end event, and headers that keep proxies from buffering."""
    body = {"assistant_id": "probe", "input": {"text": "w", "log": []}}

    plain = await http.post("/runs/stream", json=body)
    resumable = await http.post("/runs/stream", json={**body, "stream_resumable": True})

    blocks = plain.text.strip().split("\r\n\r\n")
    assert [block.split("\r\n")[0] for block in (blocks[0], blocks[-1])] == ["event: metadata", "event: values"]
    assert "id:" not in plain.text
    assert resumable.text.count("\r\nid:") + resumable.text.startswith("id:") == 4
    assert "event: end" not in plain.text
    expected = ("text/event-stream", "no-store", "no")
    shown = (plain.headers["content-type"], plain.headers["cache-control"], plain.headers["x-accel-buffering"])
    assert expected == (shown[0].partition(";")[0], *shown[1:])
    assert plain.headers["location"] == plain.headers["content-location"] + "/stream"


@pytest.mark.parametrize(("choice", "expected"), [("cancel", "interrupted"), ("continue", "success")])
@pytest.mark.parametrize("route", ["stream", "wait"])
async def test_a_client_that_leaves(
    client: LangGraphClient, http: httpx.AsyncClient, route: str, choice: str, expected: str
) -> None:
    """on_disconnect decides whether a run outlives its client, streaming or waiting."""
    thread = await new_thread(client)
    body = {"assistant_id": "probe", "input": {"sleep": 2, "log": []}, "on_disconnect": choice}

    async with http.stream("POST", f"/threads/{thread}/runs/{route}", json=body) as answer:
        run_id = answer.headers["content-location"].rpartition("/")[2]

    async def over() -> bool:
        return (await client.runs.get(thread, run_id))["status"] not in {"pending", "running"}

    await until(over)
    assert expected == (await client.runs.get(thread, run_id))["status"]


async def test_a_failure_in_a_stream_ends_it_with_an_error_event(client: LangGraphClient) -> None:
    """The last event of a failed run names the exception; the run is recorded as failed by then."""
    thread = await new_thread(client)
    created: list[RunCreateMetadata] = []

    got = await _events(client.runs.stream(thread, "probe", input={"fail": True}, on_run_created=created.append))

    assert got[-1] == ("error", {"error": "ValueError", "message": "asked to fail"})
    assert (await client.runs.get(thread, created[0]["run_id"]))["status"] == "error"


@pytest.mark.parametrize(
    ("mode", "hidden"), [("run_modes", ""), ("lifecycle", "values custom"), ("state_update", "custom")]
)
async def test_watching_a_thread_sees_every_run(client: LangGraphClient, mode: ThreadStreamMode, hidden: str) -> None:
    """Who watches a thread is told of each of its runs, from begin to end, whoever started it."""
    thread, seen = await new_thread(client), []

    async def watch() -> None:
        async for part in await client.threads.join_stream(thread, stream_mode=mode):
            seen.append((part.event, part.data))

    begun = asyncio.Event()

    async def begins(answer: httpx.Response) -> None:
        if answer.url.path.endswith("/stream"):
            begun.set()

    client.http.client.event_hooks["response"].append(begins)
    watching = asyncio.create_task(watch())
    await begun.wait()
    given: Json = {"text": "w", "custom": 1, "log": []}
    run = await client.runs.create(thread, "probe", input=given, stream_mode=["custom", "values"])
    await client.runs.join(thread, run["run_id"])
    await client.runs.wait(thread, "probe", input={"fail": True, "custom": 0}, raise_error=False)

    async def both() -> bool:
        ends = [data for _, data in seen if data.get("status") == "run_done"]
        return len(ends) == 2

    await until(both)
    watching.cancel()

    first, second = "metadata values custom values values metadata", "metadata values values error metadata"
    expected = [name for name in f"{first} {second}".split() if name not in hidden.split()]
    assert [name for name, _ in seen] == expected
