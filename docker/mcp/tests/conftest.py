"""Real server processes on free ports, the real MCP client, real loopback peers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

TOKEN = "first-token"


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """One running server and where to reach it."""

    process: subprocess.Popen[bytes]
    port: int
    token_file: Path
    log: Path

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Status and body of a plain GET."""
        return self.request("GET", path, **headers)[:2]

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str, Any]:
        """Status, body and headers, whatever the status is."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"{self.url}{path}", data=body, headers=sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), error.headers

    def initialize(self, token: str | None = TOKEN, **headers: str) -> int:
        """The status that a client's first request gets."""
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"},
            },
        }
        sent = {"Content_Type": "application/json", "Accept": "application/json, text/event-stream", **headers}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        return self.request("POST", "/mcp", json.dumps(body).encode(), **sent)[0]

    @asynccontextmanager
    async def client(self, mode: str = "auto", **headers: str) -> AsyncIterator[Client]:
        """The MCP client, connected."""
        sent = {"Authorization": f"Bearer {TOKEN}"} | {name.replace("_", "-"): value for name, value in headers.items()}
        async with (
            httpx2.AsyncClient(headers=sent, timeout=30) as http,
            Client(streamable_http_client(f"{self.url}/mcp", http_client=http), mode=mode) as client,  # type: ignore[arg-type]
        ):
            yield client

    def lines(self) -> list[dict[str, Any]]:
        """Everything it has logged; a line that is no JSON fails the test."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


Starter = Callable[..., Server]


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    """Starts servers that live as long as the session; each has its own secrets folder and log."""
    servers: list[Server] = []

    def start(name: str, **env: str) -> Server:
        server = launch(tmp_path_factory.mktemp(name), name, **env)
        servers.append(server)
        return server

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.process.terminate()
            server.process.wait(10)


def launch(folder: Path, name: str, **env: str) -> Server:
    """One server process, answering before this returns."""
    port, token_file, log = free_port(), folder / "mcp_token", folder / "log"
    token_file.write_text(f"{TOKEN}\n")
    for secret in ("powershell_token", "monitoring_token"):
        (folder / secret).write_text(f"the-{secret}\n")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "UC_SERVICE": f"mcp-{name}",
        "UC_HOST": "127.0.0.1",
        "UC_PORT": str(port),
        "MCP_SERVER": name,
        "MCP_TOKEN_FILE": str(token_file),
        "POWERSHELL_TOKEN_FILE": str(folder / "powershell_token"),
        "MONITORING_TOKEN_FILE": str(folder / "monitoring_token"),
        **env,
    }
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "mcp_service"], env=environment, stdout=out, stderr=out)
    server = Server(process, port, token_file, log)
    wait_until_up(server)
    return server


def wait_until_up(server: Server) -> None:
    """Until the port is open, or fail with what the process said."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and server.process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", server.port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(server.log.read_text())


@dataclass
class LoopbackPeer:
    """A small HTTP server in the place of another service; `answers` maps `METHOD /path` to status and JSON."""

    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    delay: float = 0.0
    url: str = ""


@pytest.fixture(scope="session")
def peer() -> Iterator[LoopbackPeer]:
    """A peer that records what it was asked."""
    state = LoopbackPeer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            state.seen.append((f"{self.command} {self.path}", {k.lower(): v for k, v in self.headers.items()}, body))
            time.sleep(state.delay)
            key = f"{self.command} {self.path}"
            status, answer = state.answers.get(key) or state.answers.get(key.partition("?")[0]) or (404, {"error": "?"})
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield state
        server.shutdown()
