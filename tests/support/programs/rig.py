"""Starts one program of the stack on this machine, by the rig of its service's own tests, in the venv of that service.

usage: rig.py PROGRAM FOLDER serve           prints {"url", "pid", "token", "page"} and serves until its stdin ends
       rig.py PROGRAM FOLDER stops ROUNDS    prints [{"seconds", "code", "open"}, …]: SIGTERM while clients hold streams
Each answer is one line of JSON on stdout. served.py says with which Python and which PYTHONPATH it runs.
"""

from __future__ import annotations

import importlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCKER = Path(__file__).resolve().parents[3] / "docker"
KEPT_ALIVE = 4  # idle connections of clients, in every program
LONG = 300  # seconds that work in flight at SIGTERM would still take
CHANGES = 0.2  # seconds between two changes of the watched folder while the monitoring serves


@dataclass
class Running:
    """A program that serves: its process, the token that opens it, and the page that a reader asks for again and again.

    `hold` opens what clients keep open for long, besides idle connections, and returns how many there are.
    """

    process: subprocess.Popen[Any]
    url: str
    token: str
    hold: Callable[[ExitStack], int]
    page: str = "/"


def _request(method: str, path: str, token: str, body: object = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    kind = "content-type: application/json\r\n" if content else ""
    accept = "application/json, text/event-stream"
    head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\naccept: {accept}\r\n{kind}"
    return f"{head}content-length: {len(content)}\r\n\r\n".encode() + content


def _open(stack: ExitStack, url: str, request: bytes, until: bytes = b"") -> None:
    """Send a request and leave its connection open, once its answer has `until` in it."""
    host, port = url.rpartition("/")[2].split(":")
    connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=60))
    connection.sendall(request)
    answer = b""
    while until not in answer:
        received = connection.recv(65536)
        assert received, answer
        answer += received


def _until(reached: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline, "not within 60 s"
        time.sleep(0.02)


@contextmanager
def _langgraph(folder: Path) -> Iterator[Running]:
    """With the graphs of its tests; three streams of runs that go on, and a client that waits for a fourth."""
    rig = importlib.import_module("langgraph_harness")
    server = rig.Server(folder / "server")

    def hold(stack: ExitStack) -> int:
        run = {"assistant_id": "probe", "input": {"text": "held", "sleep": LONG, "log": []}}
        for _ in range(3):
            _open(stack, server.url, _request("POST", "/runs/stream", server.key, run), b"event: metadata")
        _open(stack, server.url, _request("POST", "/runs/wait", server.key, run), b"HTTP/1.1 200")
        return 4

    try:
        yield Running(server.process, server.url, server.key, hold)
    finally:
        server.stop()


@contextmanager
def _autogen(folder: Path) -> Iterator[Running]:
    """Its rules answer, not a model; held open are the events, a WebSocket and the waiting client of a slow model's chat."""
    rig = importlib.import_module("groupchat_harness")
    service = folder / "service"
    service.mkdir()
    provider = rig.Provider(folder)
    server = rig.Server(service, OPENAI_BASE_URL=f"{provider.url}/v1")

    def hold(stack: ExitStack) -> int:
        connect = importlib.import_module("websockets.sync.client").connect
        provider.set(delay=LONG)
        server.set_key("openai", "key-1")
        chat, token = server.start(), server.token
        _open(stack, server.url, _request("GET", f"/groupchat/{chat}/events", token), b"event: ")
        address = f"ws://127.0.0.1:{server.port}/groupchat/{chat}/ws"
        stack.enter_context(connect(address, additional_headers=server.auth, proxy=None)).recv()
        body = {"task": rig.COMPILE_ERRORS, "wait": True}
        _open(stack, server.url, _request("POST", "/groupchat", token, body))
        provider.wait_for_calls(2)
        return 3

    try:
        yield Running(server.child, server.url, server.token, hold)
    finally:
        server.client.close()
        server.stop()
        provider.stop(signal.SIGKILL)


def _mcp(name: str) -> Callable[[Path], AbstractContextManager[Running]]:
    @contextmanager
    def run(folder: Path) -> Iterator[Running]:
        """The peer is the small server of its tests; held open are three listeners and, with a peer, a call in flight."""
        rig = importlib.import_module("mcp_rig")
        docs, workspace = rig.write(folder / "docs", rig.DOCS), rig.checkout(folder / "tree" / "workspace")
        with rig.LoopbackServer.on() as loopback:
            peer = loopback.state
            peer.answers = {"GET /modules": (200, {"modules": []}), "GET /events": (200, {"events": []})}
            env = {"UC_DOCS": str(docs), "UC_WORKSPACE": str(workspace), "UC_PEER_TIMEOUT": str(LONG)}
            with rig.running(folder, name, **env, POWERSHELL_URL=peer.url, MONITORING_URL=peer.url) as server:

                def hold(stack: ExitStack) -> int:
                    for _ in range(3):
                        _open(stack, server.url, _request("GET", "/mcp", server.token), b"HTTP/1.1 200")
                    tool = {"modules": "list_modules", "events": "list_events"}.get(name)
                    if not tool:
                        return 3
                    peer.delay, before = LONG, len(peer.seen)
                    named = {"name": tool, "arguments": {}}
                    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": named}
                    _open(stack, server.url, _request("POST", "/mcp", server.token, call))
                    _until(lambda: len(peer.seen) > before)
                    return 4

                yield Running(server.process, server.url, server.token, hold)

    return run


@contextmanager
def _monitoring(folder: Path) -> Iterator[Running]:
    """One trigger tells a target of every change, files change as it serves; held open is a delivery without an answer."""
    rig = importlib.import_module("monitor_rig")
    rig.furnish(folder)
    target = rig.Target()
    (folder / "config" / "triggers.toml").write_text(
        f'[targets.hook]\nurl = "{target.url}"\n[[triggers]]\nname = "hook"\nglob = "**"\ndebounce = 0.05\ntarget = "hook"\n'
    )
    monitor = rig.Monitor(folder, {}, [])
    ended = threading.Event()

    def change() -> None:
        number = 0
        while not ended.wait(CHANGES):
            number += 1
            (folder / "workspace" / f"{number % 50}.txt").write_text(str(number))

    def hold(stack: ExitStack) -> int:
        stack.callback(target.go.set)
        before = len(target.requests)
        target.go.clear()
        _until(lambda: len(target.requests) > before)
        return 1

    changes = threading.Thread(target=change)
    changes.start()
    try:
        url = f"http://127.0.0.1:{monitor.port}"
        yield Running(monitor.wait_healthy().process, url, rig.TOKEN, hold, "/events?limit=5")
    finally:
        ended.set()
        changes.join()
        monitor.close()
        target.close()


@contextmanager
def _docs(folder: Path) -> Iterator[Running]:
    """This repository's own pages and a large download; held open is a reader of that who takes nothing in."""
    rig = importlib.import_module("docs_rig")
    site, packed, mermaid = folder.parent / "site", folder.parent / "packed", folder.parent / "mermaid.min.js"
    if not packed.exists():  # by an earlier round
        mermaid.write_text("window.mermaid = {};\n")
        built = rig.make(rig.REPOSITORY_DOCS, site)
        (site / "large.zip").write_bytes(secrets.token_bytes(24 << 20))
        for outcome in (built, rig.pack(site, packed, mermaid)):
            assert outcome.code == 0, outcome.text
    with (folder / "log").open("wb") as log:
        environment = {**os.environ, "UC_SITE": str(packed), "UC_PORT": "0", "UC_HOST": "127.0.0.1"}
        argv = [os.environ.get("UC_NODE", "node"), str(DOCKER / "docs" / "server" / "server.mjs")]
        process = subprocess.Popen(argv, env=environment, stdout=log)
    _until(lambda: process.poll() is not None or b"\n" in (folder / "log").read_bytes())
    url = f"http://127.0.0.1:{json.loads((folder / 'log').read_bytes().splitlines()[0])['port']}"

    def hold(stack: ExitStack) -> int:
        _open(stack, url, _request("GET", "/large.zip", "-"), b"\r\n\r\n")
        return 1

    try:
        yield Running(process, url, "-", hold)
    finally:
        process.terminate()
        process.wait(60)


def _pwsh(folder: Path) -> str:
    """UC_PWSH, else the one on PATH, else UC_PWSH_ARCHIVE unpacked into the folder, once."""
    if found := os.environ.get("UC_PWSH") or shutil.which("pwsh"):
        return found
    place = folder / "pwsh"
    if not place.exists():
        place.mkdir()
        subprocess.run(["tar", "--extract", "--file", os.environ["UC_PWSH_ARCHIVE"], "--directory", place], check=True)
    return str(place / "usr/share/powershell/pwsh")


@contextmanager
def _powershell(folder: Path) -> Iterator[Running]:
    """The shipped modules and the tests' module Probe; held open is a call that goes on."""
    rig, trees = importlib.import_module("psserver"), importlib.import_module("pstrees")
    tree = folder / "Modules"
    shutil.copytree(rig.SHIPPED, tree)
    rig.write_module(tree, "Probe", trees.PROBE, manifest=trees.PROBE_EXPORTS)
    with rig.running(_pwsh(folder.parent), tree, folder, ["Probe"], UC_CALL_TIMEOUT_SECONDS=LONG) as service:

        def hold(stack: ExitStack) -> int:
            sleep = {"module": "Probe", "command": "Start-Sleepy", "parameters": {"Seconds": LONG}}
            _open(stack, service.url, _request("POST", "/invoke", rig.TOKEN, sleep))
            _until(lambda: "http_requests_in_flight 2" in service.request("GET", "/metrics").text)
            return 1

        yield Running(service.process, service.url, rig.TOKEN, hold)


PROGRAMS: dict[str, Callable[[Path], AbstractContextManager[Running]]] = {
    "powershell-modules": _powershell,
    "langgraph-api": _langgraph,
    "autogen-groupchat": _autogen,
    "docs-server": _docs,
    **{f"mcp-{name}": _mcp(name) for name in ("modules", "docs", "repository", "events")},
    "monitoring": _monitoring,
}


def _stop(program: str, folder: Path) -> dict[str, float]:
    """How a program ends that clients hold open: seconds from SIGTERM, exit code, and what was open."""
    folder.mkdir()
    with PROGRAMS[program](folder) as running, ExitStack() as clients:
        for _ in range(KEPT_ALIVE):
            _open(clients, running.url, _request("GET", "/health", running.token), b"\r\n\r\n")
        held = running.hold(clients)
        time.sleep(0.2)  # a request that was only sent has arrived
        started = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        try:
            code = running.process.wait(60)
        except subprocess.TimeoutExpired:
            running.process.kill()
            code = running.process.wait()
        return {"seconds": time.monotonic() - started, "code": code, "open": held + KEPT_ALIVE}


def _print(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Do what the command line says."""
    program, place, action, *rounds = sys.argv[1:]
    folder = Path(place)
    if action == "stops":
        _print([_stop(program, folder / str(number)) for number in range(int(rounds[0]))])
        return
    (folder / "served").mkdir()
    with PROGRAMS[program](folder / "served") as running:
        with suppress(OSError):  # what a health check warms is warm
            urllib.request.urlopen(running.url + "/health", timeout=60).close()
        _print({"url": running.url, "pid": running.process.pid, "token": running.token, "page": running.page})
        sys.stdin.read()


if __name__ == "__main__":
    main()
