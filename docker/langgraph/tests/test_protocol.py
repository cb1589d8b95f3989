"""The thread-centric protocol, through the official client's `threads.stream()` and on the wire."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import httpx
import pytest
from langgraph_harness import new_thread, until
from langgraph_sdk.client import LangGraphClient

pytestmark = pytest.mark.anyio


async def test_values_and_output_of_a_run(client: LangGraphClient) -> None:
    """A thread that is made on the way streams its values, and its output is the thread's state."""
    async with client.threads.stream(assistant_id="probe") as thread:
        await thread.run.start(input={"text": "p", "log": []})
        # The client shows the state as it finds it first, and then every event.
        seen = [values.get("log") async for values in thread.values]
        output = await thread.output

    assert seen[-3:] == [[], ["first p"], ["first p", "second p"]]
    assert output["log"] == ["first p", "second p"]


async def test_a_message_arrives_in_pieces(client: LangGraphClient) -> None:
    """A model's answer streams as text, piece by piece."""
    async with client.threads.stream(assistant_id="chat") as thread:
        await thread.run.start(input={"messages": [{"role": "user", "content": "hi"}]})
        messages = [message async for message in thread.messages]
        texts = [[piece async for piece in message.text] for message in messages]

    assert texts == [["one", " ", "two", " ", "three"]]


@pytest.mark.parametrize("graph", ["gate", "nested"])
async def test_a_question_is_asked_and_answered(client: LangGraphClient, graph: str) -> None:
    """An interrupt, of the graph or of one inside it, is announced and can be answered on the same stream."""
    async with client.threads.stream(assistant_id=graph) as thread:
        await thread.run.start(input={"subject": "x"} if graph == "gate" else {"text": "x"})

        async def asked() -> bool:
            return bool(thread.interrupts)

        await until(asked)
        await thread.run.respond("yes")
        output = await thread.output

    assert output["answer"] == "yes"


async def test_a_failed_run_fails_the_stream(client: LangGraphClient) -> None:
    """Whoever waits for the output of a run that failed learns why."""
    async with client.threads.stream(assistant_id="probe") as thread:
        await thread.run.start(input={"fail": True, "sleep": 0.3})
        with pytest.raises(Exception, match="asked to fail"):
            await thread.output


async def _read(http: httpx.AsyncClient, thread: str, wanted: dict[str, Any], count: int) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    async with asyncio.timeout(15), http.stream("POST", f"/threads/{thread}/stream/events", json=wanted) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                events.append(json.loads(line[6:]))
            if len(events) == count:
                break
    return events


async def test_a_stream_continues_after_a_number(http: httpx.AsyncClient) -> None:
    """Events are numbered without a gap; `since` continues, and a number from another life starts at the beginning."""
    thread, channels = str(uuid.uuid4()), ["lifecycle", "values"]
    start = {"id": 1, "method": "run.start", "params": {"assistant_id": "probe", "input": {"text": "n", "log": []}}}

    started = (await http.post(f"/threads/{thread}/commands", json=start)).json()
    whole = await _read(http, thread, {"channels": channels}, 5)
    rest = await _read(http, thread, {"channels": channels, "since": 2}, 3)
    values = await _read(http, thread, {"channels": ["values"], "namespaces": [[]], "depth": 0}, 3)
    lost = await _read(http, thread, {"channels": channels, "since": 10_000}, 5)

    assert (started["type"], set(started["result"])) == ("success", {"run_id"})
    assert [event["seq"] for event in whole] == [1, 2, 3, 4, 5]
    assert [event["params"]["data"].get("event") for event in whole] == ["running", None, None, None, "completed"]
    assert (rest, lost) == (whole[2:], whole)
    assert values == whole[1:4]


@pytest.mark.parametrize(
    ("method", "params", "error"),
    [
        ("nonsense", {}, "unknown_command"),
        ("run.start", {"assistant_id": "absent"}, "unknown_error"),
        ("run.start", {}, "unknown_error"),
        ("input.respond", {"interrupt_id": "x", "response": 1}, "no_such_interrupt"),
    ],
)
async def test_a_wrong_command_is_an_error_answer(
    client: LangGraphClient, http: httpx.AsyncClient, method: str, params: dict[str, Any], error: str
) -> None:
    """What is wrong with a command is said in the protocol's own terms, with the command's id."""
    thread = await new_thread(client)

    answer = await http.post(f"/threads/{thread}/commands", json={"id": 7, "method": method, "params": params})

    assert (answer.status_code, answer.json()["type"]) == (200, "error")
    assert (answer.json()["id"], answer.json()["error"]) == (7, error)
