"""What goes along with the triage's calls: each peer's token, and the request id of the event, also after kill -9."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
from langgraph_harness import Server, new_thread, until
from triage_rig import Answer, Stack

pytestmark = pytest.mark.anyio


async def test_tokens_and_the_request_id_go_along(stack: Stack) -> None:
    """Each peer gets its own token, read at each call, and the id of the request that started the run."""
    identifier = uuid.uuid4().hex
    body = {"assistant_id": "triage", "input": {"event": {"id": "1", "path": "a.txt", "kind": "added"}}}
    stack.token.write_text("rotated\n")
    async with stack.server.http() as http:
        await http.post("/runs/wait", json=body, headers={"x-request-id": identifier})
    stack.token.write_text("token-of-autogen\n")

    sent = [peer.requests[0][2] for peer in (stack.powershell, stack.autogen)]
    assert [headers["authorization"] for headers in sent] == ["Bearer token-of-powershell", "Bearer rotated"]
    assert [identifier] * 2 == [headers["x-request-id"] for headers in sent]


async def test_a_token_file_that_is_empty_for_a_moment_keeps_its_token(stack: Stack) -> None:
    """A rotation overwrites the file in place: a call made meanwhile is made with the token there was."""
    before = await stack.run("a.txt")
    stack.token.write_text("")
    try:
        meanwhile = await stack.run("a.txt")
    finally:
        stack.token.write_text("token-of-autogen\n")

    assert (before["result"]["status"], meanwhile["result"]["status"]) == ("done", "done")
    assert {headers["authorization"] for _, _, headers, _ in stack.autogen.requests} == {"Bearer token-of-autogen"}


def _told(stack: Stack, request_id: str) -> list[dict[str, Any]]:
    """What the log says under a request id, beside the lines for the requests themselves."""
    lines = map(json.loads, stack.server.log.read_text().splitlines())
    return [line for line in lines if line.get("request_id") == request_id and line["event"] != "request"]


@pytest.mark.parametrize("own", ["", "id-of-the-approval"])
async def test_an_approval_continues_the_story_of_its_event(stack: Stack, own: str) -> None:
    """After the answer the calls carry the id of the event's request, unless the one who answers gives an own one."""
    event = f"event-{uuid.uuid4().hex}"
    body: dict[str, Any] = {"assistant_id": "triage"}
    changed = {"event": {"id": "1", "path": "Tools/run.ps1", "kind": "added"}}
    approval = body | {"command": {"resume": {"approved": True, "by": "ada"}}}
    async with stack.server.client() as client, stack.server.http() as http:
        thread = await new_thread(client)
        await http.post(f"/threads/{thread}/runs/wait", json=body | {"input": changed}, headers={"x-request-id": event})
        headers = {"x-request-id": own} if own else {}
        await http.post(f"/threads/{thread}/runs/wait", json=approval, headers=headers)
    steps = ["run_accepted", "run_started", "peer_called", "run_ended"]
    expected = steps if own else steps * 2

    async def logged() -> bool:
        return len(_told(stack, event)) >= len(expected)

    await until(logged)
    assert stack.powershell.requests[0][2]["x-request-id"] == event
    assert stack.autogen.requests[0][2]["x-request-id"] == (own or event)
    assert [line["event"] for line in _told(stack, event)] == expected
    waits = [line["waits"] for line in _told(stack, event) if line["event"] == "run_ended"]
    assert waits == [True] + [False] * (not own)


async def test_a_run_that_is_taken_over_keeps_its_request_id(tmp_path: Path, server_kind: type[Server]) -> None:
    """After kill -9 the next process goes on under the same request id, in log and calls, and in the chat it began."""
    stack = Stack(tmp_path / "service", server_kind)
    stack.reset()
    identifier, asked = f"event-{uuid.uuid4().hex}", threading.Event()

    def begin(_path: str, _body: Any) -> Answer:
        asked.set()
        return 202, {"session_id": "s1", "status": "running"}

    stack.autogen.answer = begin
    body = {"assistant_id": "triage", "input": {"event": {"id": "1", "path": "a.txt", "kind": "added"}}}
    try:
        async with stack.server.client() as client, stack.server.http() as http:
            thread = await new_thread(client)
            made = await http.post(f"/threads/{thread}/runs", json=body, headers={"x-request-id": identifier})
            assert await asyncio.to_thread(asked.wait, 15)
            stack.server.kill()
            begun = stack.autogen.requests[0][3]
            stack.reset()
            stack.server.restart()
            values = await client.runs.join(thread, made.json()["run_id"])
    finally:
        stack.server.stop()
        stack.powershell.close()
        stack.autogen.close()

    assert isinstance(values, dict)
    assert values["result"] == {"status": "done", "text": "Mend A.cs"}
    assert [headers["x-request-id"] for _, _, headers, _ in stack.autogen.requests] == [identifier]
    assert begun["session_id"].startswith("triage-")
    assert [chat for _, _, _, chat in stack.autogen.requests] == [begun]
    run = [line["event"] for line in _told(stack, identifier) if "run_id" in line]
    assert run == ["run_accepted", "run_started", "run_resumed", "run_started", "run_ended"]
