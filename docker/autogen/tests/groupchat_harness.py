"""Real processes on free ports: the service, and the fake provider beside it.

UC_SERVICE_URL and UC_SERVICE_TOKEN_FILE point the client tests at a service that runs already, such as the container.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import httpx

FOLDER = Path(__file__).resolve().parent
SERVICE = FOLDER.parent
TOKEN = "test-token"
COMPILE_ERRORS = "\n".join(f"Assets/{name}.cs(3,7): error CS0103: The name 'x' does not exist" for name in "ABCDE")
DEAD_PROXY = "http://127.0.0.1:9"


def free_port() -> int:
    """A port that nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A child process that speaks HTTP on a port of its own."""

    def __init__(self, argv: list[str], env: dict[str, str], port: int, log: Path, probe: str) -> None:
        self.port, self.url, self.log = port, f"http://127.0.0.1:{port}", log
        with log.open("ab") as output:
            self.child = subprocess.Popen(argv, env=env, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent)
        try:
            self._wait(probe)
        except AssertionError:
            self.stop(signal.SIGKILL)
            raise

    def _wait(self, probe: str) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.child.poll() is None, self.log.read_text()
            try:
                httpx.get(self.url + probe, timeout=1)
                return
            except httpx.TransportError:
                time.sleep(0.02)
        raise AssertionError(f"{self.url} did not come up:\n{self.log.read_text()}")

    def stop(self, number: int = signal.SIGTERM, timeout: float = 60) -> None:
        """Send the signal and wait for the end."""
        if self.child.poll() is None:
            self.child.send_signal(number)
            self.child.wait(timeout)


class Api:
    """A service behind its URL; `client` carries the token."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token, self.auth = url, token, {"authorization": f"Bearer {token}"}
        self.client = httpx.Client(base_url=url, headers=self.auth, timeout=60)

    @classmethod
    def from_env(cls) -> Api | None:
        """The service that UC_SERVICE_URL names, or None."""
        if url := os.environ.get("UC_SERVICE_URL"):
            return cls(url.rstrip("/"), Path(os.environ["UC_SERVICE_TOKEN_FILE"]).read_text().split()[0])
        return None

    def chat(self, task: str = COMPILE_ERRORS, **body: object) -> dict[str, Any]:
        """Run one chat to its end."""
        answer = self.client.post("/groupchat", json={"task": task, "wait": True, **body})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def start(self, task: str = COMPILE_ERRORS, **body: object) -> str:
        """Start a chat without waiting; its id."""
        answer = self.client.post("/groupchat", json={"task": task, **body})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["session_id"])

    def metric(self, name: str) -> float:
        """The value of one metric."""
        lines = self.client.get("/metrics").text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + " ")), 0.0)

    def resident(self) -> float:
        """Megabytes of memory that the service holds."""
        return self.metric("process_resident_memory_bytes") / 1e6

    def wait_for(self, session_id: str, accept: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Poll the session until it is as wanted."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            view = dict(self.client.get(f"/groupchat/{session_id}").json())
            if accept(view):
                return view
            time.sleep(0.02)
        raise AssertionError(view)


class Server(Process, Api):
    """The service in a process of its own; `module` is what `python` runs."""

    def __init__(self, folder: Path, module: str = "groupchat_service", **extra: str) -> None:
        (folder / "data").mkdir(exist_ok=True)
        names = ("autogen_token", "openai_api_key", "anthropic_api_key")
        (folder / "autogen_token").write_text(TOKEN)
        port = free_port()
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": os.pathsep.join(map(str, (SERVICE.parent / "python", SERVICE, FOLDER))),
            # Whatever wants to leave this machine fails at once: the service must not need the net.
            "HTTPS_PROXY": DEAD_PROXY,
            "HTTP_PROXY": DEAD_PROXY,
            "NO_PROXY": "127.0.0.1",
            "PYTHONWARNINGS": "ignore::SyntaxWarning",  # a library's, when Python compiles it for the first time
            "UC_HOST": "127.0.0.1",
            "UC_PORT": str(port),
            "UC_DATA": str(folder / "data"),
            **{f"{name.upper()}_FILE": str(folder / name) for name in names},
            **extra,
        }
        Process.__init__(self, [sys.executable, "-m", module], env, port, folder.parent / f"{port}.log", "/health")
        Api.__init__(self, self.url, TOKEN)
        self.folder = folder

    def set_key(self, provider: str, key: str | None) -> None:
        """Write the provider's key in place, or remove the file."""
        path = self.folder / f"{provider}_api_key"
        if key is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(key + "\n")

    def lines(self, request_id: str) -> list[dict[str, Any]]:
        """What the service logged for one request."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line.get("request_id") == request_id]


class Provider(Process):
    """The fake provider; its state is set and read over HTTP as well."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        argv = [sys.executable, str(FOLDER / "fake_provider.py"), str(port)]
        super().__init__(argv, dict(os.environ), port, folder / "provider.log", "/state")

    def set(self, **state: object) -> None:
        """Change how the provider answers: delay, the call from which none is answered, keys, status."""
        httpx.post(self.url + "/state", json=state).raise_for_status()

    def state(self) -> dict[str, Any]:
        """How it is set, every request that it got, and how many clients left before their answer."""
        return dict(httpx.get(self.url + "/state").json())

    def calls(self) -> list[dict[str, Any]]:
        """Every request that it got."""
        return list(self.state()["calls"])

    def wait_for_calls(self, count: int) -> None:
        """Return once that many calls have come in."""
        self._wait_until(lambda: len(self.calls()) >= count)

    def wait_for_abort(self) -> None:
        """Return once a client has left before its answer."""
        self._wait_until(lambda: self.state()["aborted"] > 0)

    def _wait_until(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not reached():
            assert time.monotonic() < deadline, self.state()
            time.sleep(0.02)


class StartServer(Protocol):
    """What the fixture `start_server` gives."""

    def __call__(self, module: str = "groupchat_service", **extra: str) -> Server: ...


class StartSlowServer(Protocol):
    """What the fixture `slow_server` gives: `delay` is how many seconds the model takes for each answer."""

    def __call__(self, delay: float, module: str = "groupchat_service") -> Server: ...
