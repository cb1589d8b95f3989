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
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

TOKEN = "first-token"
DOCS = {
    "index.md": "# Welcome\n\nStart here.\n\n## Where secrets live\n\nEach token is a file in /run/secrets.\n",
    "guide/rotation.md": "---\ntitle: Rotating tokens\n---\nOverwrite the file in place.\n\n## Swarm\n\nUpdate it.\n",
    "modules/compile-log.md": "# Unity-Claude-CompileLog\n\n```sh\n# not a heading\nConvertFrom-UnityCompileLog\n```\n",
    "other.md": "# Other\n\nA file, a file, a file, and a token.\n",
}
FILES = {
    ".gitignore": "*.log\n",
    ".github/ci.yml": "on: push\n",
    "Assets/Player.cs": "class Player {\n    int Health;\n}\n",
    "Assets/Player.cs.meta": "guid: 1\n",
    "README.md": "# Game\n\nThe player has health.\n\nRun it with --fast.\n",
}


def write(root: Path, files: Mapping[str, str]) -> Path:
    """A tree of text files."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, newline="")
    return root


def git(root: Path, *arguments: str) -> str:
    """The real git, with nobody's configuration."""
    identity = ["-c", "user.name=A B", "-c", "user.email=a@b.example", "-c", "init.defaultBranch=main"]
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = ["git", *identity, "-C", str(root), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def checkout(root: Path) -> Path:
    """Two commits of FILES, an ignored log, and a secret outside with links to it."""
    write(root, FILES)
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "Add the player")
    write(root, {"Assets/Player.cs": "class Player {\n    int Health;\n    int Speed;\n}\n"})
    git(root, "commit", "--quiet", "-am", "Give the player speed\n\nAnd more.")
    write(root, {"Editor.log": "error CS1002: ; expected\nplain\n"})
    write(root.parent, {"secret.txt": "hidden\n", "workspace-two/secret.txt": "hidden\n"})
    (root / "link.txt").symlink_to("../secret.txt")
    (root / "out").symlink_to("..")
    (root / "inside.md").symlink_to("README.md")
    return root


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


@contextmanager
def running(folder: Path, name: str, **env: str) -> Iterator[Server]:
    """One server process, answering before the body begins and gone after it."""
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
    try:
        wait_until_up(server)
        yield server
    finally:
        process.terminate()
        process.wait(10)


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


class LoopbackServer(ThreadingHTTPServer):
    """Carries the state that its handlers answer from."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.state = LoopbackPeer(url=f"http://127.0.0.1:{self.server_address[1]}")
        self.connections: list[socket.socket] = []

    @classmethod
    @contextmanager
    def on(cls, port: int = 0) -> Iterator[LoopbackServer]:
        """Serving, on a port of the kernel's choice or a given one."""
        with cls(port) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield server
            server.stop()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Keep the connection in sight, so that stop can end it."""
        self.connections.append(request)
        super().process_request(request, client_address)

    def stop(self) -> None:
        """As a peer that ends: nothing listens, and no connection stays open."""
        self.shutdown()
        self.socket.close()
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LoopbackServer

    def do_GET(self) -> None:
        """Record, wait, answer."""
        state, asked = self.server.state, f"{self.command} {self.path}"
        length = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        state.seen.append((asked, {name.lower(): value for name, value in self.headers.items()}, body))
        time.sleep(state.delay)
        status, answer = state.answers.get(asked) or state.answers.get(asked.partition("?")[0]) or (404, {"error": "?"})
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        """As GET."""
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Quiet."""
