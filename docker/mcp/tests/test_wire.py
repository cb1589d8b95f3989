"""What holds for every server: who may come in, how it ends, what it says about itself."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from mcp_rig import TOKEN, LocalServer, LoopbackPeer, free_port, running

# What uvicorn logs when something held the shutdown up for its whole grace.
CUT = "graceful shutdown exceeded"


def test_allowed_hosts_and_origins_can_be_set(tmp_path: Path) -> None:
    """UC_ALLOWED_HOSTS and UC_ALLOWED_ORIGINS take the place of the defaults."""
    allowed = {"UC_ALLOWED_HOSTS": "mcp.example", "UC_ALLOWED_ORIGINS": "https://app.example"}
    with running(tmp_path, "docs", **allowed, UC_DOCS=str(tmp_path)) as server:
        assert server.initialize(Host="mcp.example") == 200
        assert server.initialize(Host="mcp.example:8443", Origin="https://app.example") == 200
        assert server.initialize(Host="localhost") == 421
        assert server.initialize(Host="mcp.example", Origin="http://localhost") == 403


def test_a_request_to_an_address_is_answered(tmp_path: Path) -> None:
    """Whatever machine publishes the port; what only looks like an address is a name, which has to be allowed."""
    with running(tmp_path, "docs", UC_ALLOWED_HOSTS="mcp.example:8443", UC_DOCS=str(tmp_path)) as server:
        for host in ("10.0.0.5:8012", "192.0.2.1", "[2001:db8::5]:8012", "[::1]"):
            assert (host, server.initialize(Host=host)) == (host, 200)
        for host in ("10.0.0.5.example:8012", "localhost", "10.0.0:8012", "[10.0.0.5]", "2001:db8::5", "10.0.0.5:"):
            assert (host, server.initialize(Host=host)) == (host, 421)


def test_e7_a_refusal_names_the_port_on_the_host(tmp_path: Path) -> None:
    """The challenge and the metadata it leads to name the published port, wherever the stack publishes it."""
    with running(tmp_path, "docs", UC_DOCS=str(tmp_path), UC_PUBLISHED_PORT="18012") as server:
        status, _, headers = server.post(b"{}", None)
        assert (status, "http://127.0.0.1:18012/" in headers["WWW-Authenticate"]) == (401, True)
        status, body = server.get("/.well-known/oauth-protected-resource/mcp")
        assert (status, json.loads(body)["resource"]) == (200, "http://127.0.0.1:18012/mcp")


def test_rotation_needs_no_restart(tmp_path: Path) -> None:
    """The secret file decides at each request: two lines are an overlap, then the old token is refused."""
    with running(tmp_path, "docs", UC_DOCS=str(tmp_path)) as server:
        server.token_file.write_text("second-token\nfirst-token\n")
        assert [server.initialize(TOKEN), server.initialize("second-token")] == [200, 200]
        server.token_file.write_text("second-token\n")
        assert [server.initialize(TOKEN), server.initialize("second-token")] == [401, 200]
        server.token_file.unlink()
        assert server.initialize("second-token") == 401
        status, body = server.get("/health")
        assert (status, "missing or empty" in json.loads(body)["checks"]["mcp_token"]) == (503, True)


@pytest.mark.parametrize(
    ("name", "setting", "check"), [("docs", "UC_DOCS", "docs"), ("repository", "UC_WORKSPACE", "workspace")]
)
def test_a_missing_folder_is_unhealthy(tmp_path: Path, name: str, setting: str, check: str) -> None:
    """The server still runs, and its health names what is missing."""
    with running(tmp_path, name, **{setting: "/nowhere"}) as server:
        status, body = server.get("/health")
        assert status == 503
        assert "/nowhere" in json.loads(body)["checks"][check]


@pytest.mark.parametrize(("name", "secret"), [("modules", "powershell_token"), ("events", "monitoring_token")])
def test_a_missing_token_is_unhealthy(local_servers: dict[str, LocalServer], name: str, secret: str) -> None:
    """Without the peer's token every call would fail, and that can be seen here."""
    path = local_servers[name].token_file.with_name(secret)
    kept = path.read_text()
    path.unlink()
    status, body = local_servers[name].get("/health")
    path.write_text(kept)
    assert status == 503
    assert "missing or empty" in json.loads(body)["checks"][secret]
    assert local_servers[name].get("/health")[0] == 200


def test_sigterm_with_an_open_stream(tmp_path: Path) -> None:
    """A client that listens does not hold the process up until it is cut."""

    async def listen_and_stop(server: LocalServer) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/event-stream"}
        async with (
            httpx2.AsyncClient(timeout=30, headers=headers) as http,
            http.stream("GET", f"{server.url}/mcp") as stream,
        ):
            assert stream.status_code == 200
            await stop(server)

    with running(tmp_path, "docs", "patient_server", UC_DOCS=str(tmp_path)) as server:
        asyncio.run(listen_and_stop(server))
        assert CUT not in server.log.read_text()


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_sigterm_finishes_the_call_in_flight(tmp_path: Path, peer: LoopbackPeer, mode: str) -> None:
    """A call that has begun is answered before the process ends."""
    peer.answers = {"GET /modules": (200, {"modules": []})}

    async def call_and_stop(server: LocalServer) -> None:
        async with server.client(mode) as client:
            await client.list_tools()
            peer.delay = 1.0
            before = len(peer.seen)
            call = asyncio.create_task(client.call_tool("list_modules", {}))
            while len(peer.seen) == before:
                await asyncio.sleep(0.02)
            await stop(server)
            assert not (await call).is_error

    with running(tmp_path, "modules", "patient_server", POWERSHELL_URL=peer.url) as server:
        try:
            asyncio.run(call_and_stop(server))
            assert CUT not in server.log.read_text()
        finally:
            peer.delay = 0.0


async def stop(server: LocalServer) -> None:
    """SIGTERM, and the end of the process."""
    server.process.terminate()
    await asyncio.to_thread(server.process.wait, 60)


def test_logs_are_json_with_the_request_id(local_servers: dict[str, LocalServer]) -> None:
    """Every line parses, and a tool call carries the id that the client gave."""

    async def call() -> None:
        async with local_servers["docs"].client(X_Request_Id="trace-7") as client:
            await client.call_tool("list_pages", {})

    asyncio.run(call())
    calls = [line for line in local_servers["docs"].lines() if line["event"] == "tool_call"]
    assert calls[-1]["request_id"] == "trace-7"
    assert {"time", "level", "service"} <= set(calls[-1])
    assert calls[-1]["tool"] == "list_pages"


def test_a_wrong_server_name_is_an_error() -> None:
    """A setting that can't be used ends the process with 2 and one line that says what was expected."""
    env = {**os.environ, "MCP_SERVER": "modul"}
    done = subprocess.run(
        [sys.executable, "-m", "mcp_service"], env=env, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 2
    assert "expected one of modules, docs, repository, events" in json.loads(done.stdout)["reason"]


def test_sigterm_during_the_start(tmp_path: Path) -> None:
    """Process 1 of a container has no default handlers: one must be there before the imports are through."""
    (tmp_path / "sitecustomize.py").write_text("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "MCP_SERVER": "docs", "UC_HOST": "127.0.0.1", "UC_PORT": str(free_port()), "PYTHONPATH": path}
    process = subprocess.Popen([sys.executable, "-m", "mcp_service"], env=env, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert b"starting" in process.stdout.readline()
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
