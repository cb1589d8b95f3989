"""The service as a real process, and a real HTTP target that notes what it is told."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol, TypeVar

import httpx

SERVICE = Path(__file__).resolve().parent.parent
TOKEN = "monitoring-token-of-the-tests"
T = TypeVar("T")


def furnish(home: Path) -> None:
    """Make the folders and secrets that a deployment mounts."""
    for name in ("workspace", "data", "config", "secrets"):
        (home / name).mkdir()
    (home / "secrets" / "monitoring_token").write_text(f"{TOKEN}\n")
    (home / "secrets" / "langgraph_api_key").write_text("first-key\n")


def eventually(found: Callable[[], T | None], timeout: float = 20.0) -> T:
    """The first true answer of `found`; an assertion error after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (answer := found()):
        assert time.monotonic() < deadline, f"not within {timeout} s"
        time.sleep(0.02)
    return answer


class Target:
    """A loopback HTTP server; `statuses` are its next answers, 200 when there are none left."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.always = 200
        self.go = threading.Event()  # cleared: requests are noted, and answered when it is set again
        self.go.set()
        self.headers: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        target = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                target.answer(self)

            def log_message(self, *_args: object) -> None:
                pass

        return Handler

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        status = self.statuses.pop(0) if self.statuses else self.always
        self.requests.append({"path": handler.path, "headers": headers, "body": body, "at": time.time()})
        self.go.wait(60)
        answer = json.dumps({"run_id": f"run-{len(self.requests)}"}).encode()
        handler.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(answer))}.items():
            handler.send_header(name, value)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer)

    def was_asked(self, times: int) -> bool:
        """Whether that many requests have come in, and no more."""
        return len(self.requests) == times

    def told(self) -> list[tuple[str, str]]:
        """(kind, path) of every request, in order."""
        return [(r["body"]["event"]["kind"], r["body"]["event"]["path"]) for r in list(self.requests)]

    def close(self) -> None:
        self.go.set()
        self._server.shutdown()
        self._server.server_close()


class Monitor:
    """One run of the service over the folders of the test."""

    def __init__(self, home: Path, env: dict[str, str], wrapper: list[str]) -> None:
        self.workspace = home / "workspace"
        self.port = _free_port()
        self.output = home / f"stdout-{self.port}"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("UC_")},
            "PYTHONPATH": f"{SERVICE.parent / 'python'}:{SERVICE}",
            "UC_WORKSPACE": str(self.workspace),
            "UC_STORE": str(home / "data" / "monitoring.db"),
            "UC_TRIGGERS": str(home / "config" / "triggers.toml"),
            "UC_HOST": "127.0.0.1",
            "UC_PORT": str(self.port),
            "UC_RESCAN_SECONDS": "3600",
            "UC_RETRY_BASE_SECONDS": "0.05",
            "MONITORING_TOKEN_FILE": str(home / "secrets" / "monitoring_token"),
            "LANGGRAPH_API_KEY_FILE": str(home / "secrets" / "langgraph_api_key"),
            **env,
        }
        with self.output.open("wb") as stdout:
            self.process = subprocess.Popen(
                [*wrapper, sys.executable, "-m", "monitor_service"], env=environment, cwd=home, stdout=stdout
            )
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=10)

    def get(self, path: str, /, *, token: str = TOKEN, **params: str) -> httpx.Response:
        return self._client.get(path, params=params, headers={"authorization": f"Bearer {token}"} if token else {})

    def post(self, path: str, content: bytes = b"") -> httpx.Response:
        return self._client.post(path, headers={"x-api-key": TOKEN}, content=content)

    def events(self, **params: str) -> list[dict[str, Any]]:
        answer = self.get("/events", **params)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["events"]
        return found

    def every_path(self) -> list[str]:
        """The path of every event from the beginning, page by page."""
        paths: list[str] = []
        after = "0"
        while page := self.events(after=after, limit="1000"):
            paths += [event["path"] for event in page]
            after = page[-1]["id"]
        return paths

    def knows(self, path: str) -> bool:
        """Whether an event names this path."""
        return path in self.every_path()

    def metric(self, name: str) -> float:
        """The sum of a series over its labels."""
        lines = self.get("/metrics", token="").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/health", token="").json()
        return found

    def wait_healthy(self) -> Monitor:
        eventually(lambda: self.process.poll() is None and self.answers(200), 15)
        return self

    def answers(self, *statuses: int) -> bool:
        """Whether /health has an answer after the first scan, with one of these statuses if any are given."""
        try:
            answer = self.get("/health", token="")
        except httpx.TransportError:
            return False
        return answer.status_code in statuses if statuses else answer.json()["status"] != "starting"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self, while_it_stops: Callable[[], None] = lambda: None) -> None:
        """SIGTERM; the end must come within the grace that Docker gives."""
        end = time.monotonic() + 10
        self.process.terminate()
        eventually(lambda: self.process.poll() is not None or "Shutting down" in self.output.read_text(), 10)
        while_it_stops()
        self.process.wait(max(end - time.monotonic(), 0))

    def logs(self) -> list[dict[str, Any]]:
        """Every line of stdout; each one must be a JSON object with the common keys."""
        lines = [json.loads(line) for line in self.output.read_text().splitlines()]
        assert all({"time", "level", "service", "event"} <= line.keys() for line in lines)
        return lines

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.terminate()
        self._client.close()
        self.logs()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Start(Protocol):
    """What the fixture `start` gives."""

    def __call__(self, wrapper: tuple[str, ...] = (), *, wait: bool = True, **env: str) -> Monitor: ...


class Rules(Protocol):
    """What the fixture `rules` gives."""

    def __call__(
        self, *, glob: str = "**", debounce: float = 0.05, target_keys: str = "", trigger_keys: str = ""
    ) -> None: ...
