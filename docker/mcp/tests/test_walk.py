"""The way an assistant goes: what changed, what it says, what the documentation knows of it, what a module makes of it."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp_rig import Server, elsewhere

LOG = "Assets/Player.cs(12,5): error CS0103: The name 'speed' does not exist in the current context\n"
MODULE, COMMAND = "Unity-Claude-CompileLog", "ConvertFrom-UnityCompileLog"


@pytest.fixture
def changed(request: pytest.FixtureRequest) -> Iterator[str]:
    """A compile log that has just been written into the watched tree; its name."""
    name = f"walk-{secrets.token_hex(4)}.log"
    peer = None if elsewhere() else request.getfixturevalue("peer")
    folder = request.getfixturevalue("workspace") if peer else Path(os.environ["UC_SERVICE_WATCHED"])
    if peer:
        record = {"file": "Assets/Player.cs", "line": 12, "code": "CS0103"}
        event = {"id": "w-1", "path": name, "kind": "added", "at": "2026-01-01T00:00:00Z", "deliveries": []}
        peer.answers = {
            "GET /events": (200, {"events": [event]}),
            "GET /modules": (200, {"modules": [{"name": MODULE, "state": "importable", "commands": [COMMAND]}]}),
            "POST /invoke": (200, {"ok": True, "result": [record], "errors": [], "ms": 1}),
        }
    (folder / name).write_text(LOG)
    yield name
    (folder / name).unlink()
    if peer:
        peer.answers = {}


def test_a_client_walks_from_the_event_to_the_module(servers: dict[str, Server], changed: str) -> None:
    """list_events → read_file → search and read → invoke, over the four servers, under one request id."""

    async def walk() -> None:
        async with AsyncExitStack() as stack:
            sent = {"X_Request_Id": f"walk-{changed[5:-4]}"}
            at = {name: await stack.enter_async_context(one.client(**sent)) for name, one in servers.items()}
            path = await _event(at["events"], changed)
            text = (await _answer(at["repository"], "read_file", path=path))["text"]
            assert "CS0103" in text
            hits = (await _answer(at["docs"], "search", query="compile log"))["results"]
            page = await _answer(at["docs"], "read", page=hits[0]["page"])
            assert "compile" in page["text"].lower()
            assert MODULE in str(await _answer(at["modules"], "list_modules"))
            call = {"module": MODULE, "command": COMMAND, "parameters": {"Path": path}}
            made = await _answer(at["modules"], "invoke", **call)
            assert "CS0103" in str(made["result"])

    asyncio.run(walk())


async def _event(events: Client, name: str) -> str:
    """The changed file's path, as soon as an event tells of it."""
    async with asyncio.timeout(30):
        while True:
            listed = (await _answer(events, "list_events", path=name))["events"]
            if listed:
                return str(listed[0]["path"])
            await asyncio.sleep(0.1)


async def _answer(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    content: dict[str, Any] = result.structured_content
    return content
