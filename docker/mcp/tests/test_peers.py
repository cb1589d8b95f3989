"""The servers that speak for another service."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from mcp_rig import LocalServer, LoopbackPeer, LoopbackServer, Server, running
from mcp_types import CallToolResult


@pytest.fixture
def modules(local_servers: dict[str, LocalServer]) -> Server:
    """The modules server."""
    return local_servers["modules"]


@pytest.fixture
def events(local_servers: dict[str, LocalServer]) -> Server:
    """The events server."""
    return local_servers["events"]


def call(server: Server, tool: str, arguments: dict[str, Any] | None = None, **headers: str) -> CallToolResult:
    """One call by the real client."""

    async def once() -> CallToolResult:
        async with server.client(**headers) as client:
            return await client.call_tool(tool, arguments or {})

    return asyncio.run(once())


def text(result: CallToolResult) -> str:
    """What the model would read."""
    return "".join(getattr(block, "text", "") for block in result.content)


def test_invoke_passes_the_call_on(modules: Server, peer: LoopbackPeer) -> None:
    """The peer gets module, command and parameters as they came, its own token and the request's id."""
    peer.answers = {"POST /invoke": (200, {"ok": True, "result": [{"n": 1}], "errors": [], "ms": 3})}
    result = call(
        modules, "invoke", {"module": "M", "command": "Get-It", "parameters": {"Path": "a"}}, X_Request_Id="trace-9"
    )
    assert not result.is_error
    assert result.structured_content == {"ok": True, "result": [{"n": 1}], "errors": [], "ms": 3}
    asked, headers, body = peer.seen[-1]
    assert asked == "POST /invoke"
    assert body == {"module": "M", "command": "Get-It", "parameters": {"Path": "a"}}
    assert headers["authorization"] == "Bearer the-powershell_token"
    assert headers["x-request-id"] == "trace-9"


def test_a_command_that_failed_is_a_failed_call(modules: Server, peer: LoopbackPeer) -> None:
    """`ok: false` reaches the model as an error that still holds the command's own words."""
    peer.answers = {"POST /invoke": (200, {"ok": False, "result": [], "errors": ["no such file"], "ms": 3})}
    result = call(modules, "invoke", {"module": "M", "command": "Get-It"})
    assert result.is_error
    assert "no such file" in text(result)


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (403, {"error": "unknown command"}, "powershell-modules answered 403: unknown command"),
        (504, {"error": "timeout", "detail": "5 s"}, "answered 504: timeout: 5 s"),
        (500, b"<html>oops", "answered 500: <html>oops"),
        (200, b"[]", "something else than a JSON object"),
    ],
)
def test_a_refusal_by_the_peer_is_reported(
    modules: Server,
    peer: LoopbackPeer,
    status: int,
    answer: Any,
    said: str,
) -> None:
    """The model reads the peer's own reason."""
    peer.answers = {"POST /invoke": (status, answer)}
    result = call(modules, "invoke", {"module": "M", "command": "Get-It"})
    assert result.is_error
    assert said in text(result)


def test_a_slow_peer_is_reported(tmp_path: Path) -> None:
    """UC_PEER_TIMEOUT bounds a call."""
    with (
        LoopbackServer.on() as slow,
        running(tmp_path, "modules", POWERSHELL_URL=slow.state.url, UC_PEER_TIMEOUT="0.5") as server,
    ):
        slow.state.answers, slow.state.delay = {"GET /modules": (200, {"modules": []})}, 5
        result = call(server, "list_modules")
    assert result.is_error
    assert "powershell-modules did not answer in time" in text(result)


def test_a_peer_that_is_down(tmp_path: Path) -> None:
    """Health is about local dependencies; ready and the call name the service and the address, with no traceback."""
    with running(tmp_path, "modules", POWERSHELL_URL="http://127.0.0.1:9") as server:
        assert server.get("/health")[0] == 200
        status, body = server.get("/ready")
        assert status == 503
        assert "can't be reached at http://127.0.0.1:9" in body
        result = call(server, "list_modules")
    assert result.is_error
    assert text(result).endswith(
        "powershell-modules can't be reached at http://127.0.0.1:9: All connection attempts failed"
    )


def test_a_peer_that_was_restarted_is_called_at_once(tmp_path: Path) -> None:
    """No connection from before the restart is used again."""
    body = {"module": "M", "command": "Get-It"}
    with LoopbackServer.on() as first, running(tmp_path, "modules", POWERSHELL_URL=first.state.url) as server:
        first.state.answers = {"POST /invoke": (200, {"ok": True})}
        assert not call(server, "invoke", body).is_error
        first.stop()
        with LoopbackServer.on(first.server_address[1]) as second:
            second.state.answers = {"POST /invoke": (200, {"ok": True})}
            assert not call(server, "invoke", body).is_error
            assert len(second.state.seen) == 1


def test_modules_and_commands_are_listed(modules: Server, peer: LoopbackPeer) -> None:
    """The list counts commands; a module's name can't leave its place in the path."""
    peer.answers = {
        "GET /modules": (200, {"modules": [{"name": "M", "state": "importable", "commands": ["Get-It", "Set-It"]}]}),
        "GET /modules/..%2Finvoke/commands": (200, {"commands": ["odd"]}),
    }
    listed = call(modules, "list_modules").structured_content
    assert listed == {"modules": [{"name": "M", "state": "importable", "commands": 2}]}
    assert call(modules, "list_commands", {"module": "../invoke"}).structured_content == {"commands": ["odd"]}


def test_events_are_listed_and_found(events: Server, peer: LoopbackPeer) -> None:
    """Only the filters that were given are asked for, with the peer's own token."""
    one = {"id": "a-2", "path": "b", "kind": "deleted", "at": "2026-01-01T00:00:00Z", "deliveries": []}
    peer.answers = {"GET /events": (200, {"events": [one]}), "GET /events/a-2": (200, one)}
    listed = call(events, "list_events", {"path": "a/b.log", "status": "dead", "limit": 7})
    assert listed.structured_content == {"events": [one]}
    assert peer.seen[-1][0] == "GET /events?path=a%2Fb.log&status=dead&limit=7"
    assert peer.seen[-1][1]["authorization"] == "Bearer the-monitoring_token"
    assert call(events, "get_event", {"event_id": "a-2"}).structured_content == one
    assert "monitoring answered 404" in text(call(events, "get_event", {"event_id": "../health"}))
