"""What a client finds at every server: the tools, the gate, the probes. Runs against any servers (see mcp_rig)."""

from __future__ import annotations

import asyncio
import json

import pytest
from mcp_rig import Server

NAMES = ("modules", "docs", "repository", "events")
TOOLS = {
    "modules": {"list_modules", "list_commands", "invoke"},
    "docs": {"search", "read", "list_pages"},
    "repository": {"list_files", "read_file", "search", "git_log", "git_show", "git_status"},
    "events": {"list_events", "get_event"},
}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("name", NAMES)
def test_the_client_lists_the_tools(servers: dict[str, Server], name: str, mode: str) -> None:
    """Every server speaks both the stateless and the handshake protocol, and each tool says whether it only reads."""

    async def ask() -> dict[str, bool]:
        async with servers[name].client(mode) as client:
            tools = (await client.list_tools()).tools
            return {tool.name: bool(tool.annotations and tool.annotations.read_only_hint) for tool in tools}

    found = asyncio.run(ask())
    assert set(found) == TOOLS[name]
    assert {tool for tool, reads in found.items() if not reads} == {"invoke"} & TOOLS[name]


@pytest.mark.parametrize("name", NAMES)
def test_only_the_token_comes_in(servers: dict[str, Server], name: str) -> None:
    """No token and a wrong token get 401 with a challenge; the right one gets 200."""
    server = servers[name]
    assert [server.initialize(None), server.initialize("wrong"), server.initialize()] == [401, 401, 200]
    _, _, headers = server.request("POST", "/mcp", b"{}")
    assert headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("name", NAMES)
def test_foreign_hosts_and_origins_are_refused(servers: dict[str, Server], name: str) -> None:
    """DNS rebinding: a Host of somebody else gets 421, an Origin of somebody else 403, the stack's own names pass."""
    server = servers[name]
    hosts = {"evil.example": 421, "evil.example:8002": 421, "localhost": 200, f"mcp-{name}:8002": 200}
    assert {host: server.initialize(Host=host) for host in hosts} == hosts
    origins = {"http://evil.example": 403, "null": 403, "http://localhost:6274": 200}
    assert {origin: server.initialize(Origin=origin) for origin in origins} == origins


@pytest.mark.parametrize("name", NAMES)
def test_probes_are_open(servers: dict[str, Server], name: str) -> None:
    """Health and metrics need no token and any Host may ask."""
    status, body = servers[name].get("/health", Host="anything.example")
    assert (status, json.loads(body)["status"]) == (200, "healthy")
    status, text = servers[name].get("/metrics")
    assert status == 200
    assert "# TYPE mcp_tool_calls_total counter" in text
    assert 'http_requests_total{method="GET",status="200"}' in text
    assert "http_requests_in_flight 1.0" in text
    assert "_created" not in text
    assert 'mcp_dependency_up{check="mcp_token"} 1.0' in text
