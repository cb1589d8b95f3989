"""Real server processes on free ports, the real MCP client, real loopback peers.

UC_SERVICE_URL ("modules=http://127.0.0.1:8002 docs=…", all four) and UC_SERVICE_TOKEN_FILE point the client tests at
servers that run already, such as the containers; UC_SERVICE_WATCHED is the folder that their stack watches.
"""

from __future__ import annotations

import asyncio
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
from mcp_types import CallToolResult

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
    """One server and where to reach it."""

    url: str
    token: str = TOKEN

    @property
    def host(self) -> str:
        """Host and port."""
        return self.url.partition("//")[2]

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Status and body of a plain GET."""
        return self.request("GET", path, None, **headers)[:2]

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str, Any]:
        """Status, body and headers, whatever the status is."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"{self.url}{path}", data=body, headers=sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), error.headers

    def post(self, content: bytes, token: str | None = "", **headers: str) -> tuple[int, str, Any]:
        """What a body gets at /mcp, with the right token unless another one or None is given."""
        sent = {"Content_Type": "application/json", "Accept": "application/json, text/event-stream", **headers}
        if token is not None:
            sent["Authorization"] = f"Bearer {token or self.token}"
        return self.request("POST", "/mcp", content, **sent)

    def initialize(self, token: str | None = "", **headers: str) -> int:
        """The status that a client's first request gets."""
        client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}
        return self.post(json.dumps(body).encode(), token, **headers)[0]

    @asynccontextmanager
    async def client(self, mode: str = "auto", **headers: str) -> AsyncIterator[Client]:
        """The MCP client, connected."""
        sent = {"Authorization": f"Bearer {self.token}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        async with (
            httpx2.AsyncClient(headers=sent, timeout=60) as http,
            Client(streamable_http_client(f"{self.url}/mcp", http_client=http), mode=mode) as client,
        ):
            yield client

    def call(self, tool: str, arguments: Mapping[str, Any] | None = None, **headers: str) -> CallToolResult:
        """One call by the real client."""

        async def once() -> CallToolResult:
            async with self.client(**headers) as client:
                return await client.call_tool(tool, dict(arguments or {}))

        return asyncio.run(once())


@dataclass
class LocalServer(Server):
    """One that runs here, with its process, its files and its log."""

    process: subprocess.Popen[bytes] = field(kw_only=True)
    token_file: Path = field(kw_only=True)
    log: Path = field(kw_only=True)

    def lines(self) -> list[dict[str, Any]]:
        """Everything it has logged; a line that is no JSON fails the test."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def elsewhere() -> dict[str, Server]:
    """The servers that UC_SERVICE_URL names, or none."""
    named = dict(entry.split("=", 1) for entry in os.environ.get("UC_SERVICE_URL", "").split())
    token = Path(os.environ["UC_SERVICE_TOKEN_FILE"]).read_text().split()[0] if named else ""
    return {name: Server(url.rstrip("/"), token) for name, url in named.items()}


@contextmanager
def running(folder: Path, name: str, module: str = "mcp_service", **env: str) -> Iterator[LocalServer]:
    """One server process, answering before the body begins and gone after it."""
    port, token_file, log = free_port(), folder / "mcp_token", folder / "log"
    token_file.write_text(f"{TOKEN}\n")
    for secret in ("powershell_token", "monitoring_token"):
        (folder / secret).write_text(f"the-{secret}\n")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(Path(__file__).parent)]),
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
        process = subprocess.Popen([sys.executable, "-m", module], env=environment, stdout=out, stderr=out)
    server = LocalServer(f"http://127.0.0.1:{port}", process=process, token_file=token_file, log=log)
    try:
        wait_until_up(server, port)
        yield server
    finally:
        process.terminate()
        process.wait(60)


def wait_until_up(server: LocalServer, port: int) -> None:
    """Until the port is open, or fail with what the process said."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
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
