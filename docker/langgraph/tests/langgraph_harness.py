"""A real server process on a free port, and clients for it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

HERE = Path(__file__).resolve().parent
PLUGINS = HERE / "plugins"
AGENTS = HERE.parents[2] / "agents"
KEY = "key-of-the-tests"
SOURCES = [str(HERE.parents[1] / "python"), str(HERE.parent)]
MISSING = "00000000-0000-4000-8000-000000000000"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`python -m langgraph_service` with a data folder and secrets of its own."""

    def __init__(self, folder: Path, agents: Path = PLUGINS, **environment: str) -> None:
        self.folder, self.key_file, self.port = folder, folder / "key", free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        if not self.key_file.exists():
            self.key_file.write_text(f"{KEY}\n")
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(SOURCES),
            "UC_HOST": "127.0.0.1",
            "UC_PORT": str(self.port),
            "UC_SERVICE": "langgraph-api",
            "LANGGRAPH_AGENTS": str(agents),
            "LANGGRAPH_DB_PATH": str(folder / "data" / "langgraph.db"),
            "LANGGRAPH_API_KEY_FILE": str(self.key_file),
            **environment,
        }
        self.log = folder / "log"
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "langgraph_service"], env=self.environment, stdout=log, stderr=log
            )
        self._await_health(process)
        return process

    def _await_health(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            try:
                if httpx.get(f"{self.url}/health", timeout=1).status_code in {200, 503}:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        process.kill()
        process.wait(5)
        raise AssertionError(f"the server did not start:\n{self.log.read_text()}")

    def restart(self) -> None:
        """Start again on the same files and port."""
        self.process = self._start()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(5)

    def stop(self) -> float:
        """SIGTERM; how long the end took."""
        started = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(12)
            except subprocess.TimeoutExpired:
                self.kill()
        return time.monotonic() - started

    def client(self, key: str = KEY) -> LangGraphClient:
        """The official client."""
        return get_client(url=self.url, api_key=key)

    def http(self, **options: Any) -> httpx.AsyncClient:
        """A plain client with the key."""
        return httpx.AsyncClient(base_url=self.url, headers={"x-api-key": KEY}, timeout=15, **options)


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 15) -> None:
    """Wait until a condition holds; fails when it does not in time."""
    deadline = time.monotonic() + seconds
    while not await true():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        await asyncio.sleep(0.03)


async def new_thread(client: LangGraphClient, **given: Any) -> str:
    """The id of a new thread."""
    return str((await client.threads.create(**given))["thread_id"])


async def running(client: LangGraphClient, thread: str, run_id: str) -> None:
    """Wait until a run executes."""

    async def executes() -> bool:
        return (await client.runs.get(thread, run_id))["status"] == "running"

    await until(executes)
