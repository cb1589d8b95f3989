"""A real server, as a process or as a container or somewhere else, and clients for it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO, Any, Protocol

import httpx
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

HERE = Path(__file__).resolve().parent
PLUGINS = HERE / "plugins"
AGENTS = HERE.parents[2] / "agents"
KEY = "key-of-the-tests"
SOURCES = [str(HERE.parents[1] / "python"), str(HERE.parent)]
Json = dict[str, Any]
MISSING = "00000000-0000-4000-8000-000000000000"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Endpoint:
    """A running service: where it listens, and the key that opens it."""

    def __init__(self, url: str, key: str = KEY) -> None:
        self.url, self.key = url.rstrip("/"), key

    def client(self) -> LangGraphClient:
        """The official client."""
        return get_client(url=self.url, api_key=self.key)

    def http(self, **options: Any) -> httpx.AsyncClient:
        """A plain client with the key."""
        return httpx.AsyncClient(base_url=self.url, headers={"x-api-key": self.key}, timeout=15, **options)


class Server(Endpoint):
    """`python -m langgraph_service` with a data folder and secrets of its own."""

    def __init__(self, folder: Path, agents: Path = PLUGINS, **environment: str) -> None:
        port = free_port()
        super().__init__(f"http://127.0.0.1:{port}")
        self.folder, self.agents, self.key_file, self.log = folder, agents, folder / "key", folder / "log"
        folder.mkdir(parents=True, exist_ok=True)
        if not self.key_file.exists():
            self.key_file.write_text(f"{KEY}\n")
        self.environment = {
            "UC_HOST": "127.0.0.1",
            "UC_PORT": str(port),
            "UC_SERVICE": "langgraph-api",
            "LANGGRAPH_AGENTS": str(agents),
            "LANGGRAPH_DB_PATH": str(folder / "data" / "langgraph.db"),
            "LANGGRAPH_API_KEY_FILE": str(self.key_file),
            **environment,
        }
        self.process = self._start()

    def _launch(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(SOURCES), **self.environment}
        return subprocess.Popen([sys.executable, "-m", "langgraph_service"], env=environment, stdout=log, stderr=log)

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = self._launch(log)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if httpx.get(f"{self.url}/health", timeout=1).status_code in {200, 503}:
                    return process
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

    def terminate(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> float:
        """SIGTERM; how long the end took."""
        started = time.monotonic()
        if self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(12)
            except subprocess.TimeoutExpired:
                self.kill()
        return time.monotonic() - started


class Container(Server):
    """The same in a container of the image, as confined as the stack confines it."""

    image = ""

    def _launch(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        self.name = f"langgraph-test-{uuid.uuid4().hex[:12]}"
        mounted, data = self.folder.parent, self.folder / "data"
        data.mkdir(exist_ok=True)
        # The container's user is nobody on this machine, and pytest's folders are for their owner alone.
        for folder, mode in ((mounted, 0o777), (self.folder, 0o777), (data, 0o777)):
            folder.chmod(mode)
        command = [
            "docker",
            "run",
            "--rm",
            "--name",
            self.name,
            "--network",
            "host",
            "--read-only",
            "--cap-drop",
            "ALL",
        ]
        command += ["--security-opt", "no-new-privileges:true", "--tmpfs", "/tmp:size=128m,mode=1777"]
        command += ["--memory", "1g", "--cpus", "1.0", "--pids-limit", "256"]
        command += ["--volume", f"{mounted}:{mounted}", "--volume", f"{self.agents}:{self.agents}:ro"]
        command += [part for name, value in self.environment.items() for part in ("--env", f"{name}={value}")]
        return subprocess.Popen([*command, self.image], stdout=log, stderr=log)

    def _signal(self, name: str) -> None:
        subprocess.run(["docker", "kill", "--signal", name, self.name], check=True, capture_output=True, timeout=60)

    def kill(self) -> None:
        """docker kill -s KILL."""
        if self.process.poll() is None:
            self._signal("KILL")
        self.process.wait(15)

    def terminate(self) -> None:
        """SIGTERM to the container's first process."""
        self._signal("TERM")


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 15) -> None:
    """Wait until a condition holds; fails when it does not in time."""
    deadline = time.monotonic() + seconds
    while not await true():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        await asyncio.sleep(0.03)


async def answer(call: Awaitable[Any]) -> Any:
    """What a call answers, also where the client's types say that it answers nothing, or more than was asked for."""
    return await call


def state_of(values: list[Json] | Json) -> Json:
    """The one state that `values` are, as a run or a thread answers them; the client's types allow a list as well."""
    assert isinstance(values, dict)
    return values


async def new_thread(client: LangGraphClient, **given: Any) -> str:
    """The id of a new thread."""
    return str((await client.threads.create(**given))["thread_id"])


async def running(client: LangGraphClient, thread: str, run_id: str) -> None:
    """Wait until a run executes."""

    async def executes() -> bool:
        return (await client.runs.get(thread, run_id))["status"] == "running"

    await until(executes)


async def in_state(client: LangGraphClient, thread: str, wanted: Callable[[Json], bool]) -> None:
    """Wait until a thread's state is as wanted."""

    async def reached() -> bool:
        return wanted(dict(await client.threads.get_state(thread)))

    await until(reached)


def at_second(state: Json) -> bool:
    """Whether the probe's first step is in the state, and its second is still to do."""
    return bool(state["next"] == ["second"])


class StartServer(Protocol):
    """What the fixture `start` gives."""

    def __call__(self, agents: Path = PLUGINS, **environment: str) -> Server: ...
