"""The service as its tests see it: a process with a port, a token file, logs, and a tree the test has written."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).resolve().parent
START = HERE.parent / "server" / "start"
CHECK = HERE.parent / "check" / "check.ps1"
SHIPPED = HERE.parents[2] / "Modules"
TOKEN = "a-token-of-the-tests"
DEADLINE = 120.0


def free_port() -> int:
    """A port that was free a moment ago: HttpListener cannot be given port 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_module(
    tree: Path, name: str, script: str | None, *, manifest: str | None = None, folder: str | None = None
) -> Path:
    """Write tree/<folder>/<name>.psm1, and .psd1 when `manifest` holds its fields; return the folder."""
    place = tree / (folder or name)
    place.mkdir(parents=True, exist_ok=True)
    if script is not None:
        (place / f"{name}.psm1").write_text(script)
    if manifest is not None:
        (place / f"{name}.psd1").write_text(f"@{{\n    ModuleVersion = '1.2.3'\n    {manifest}\n}}\n")
    return place


@dataclass
class Service:
    """A running service."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token_file(self) -> Path:
        """The secret file it reads."""
        return self.folder / "token"

    def request(self, method: str, path: str, *, token: str | None = TOKEN, **options: Any) -> httpx.Response:
        """One request on a connection of its own, with the bearer token; a 500 fails the test and shows the service's log."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= options.pop("headers", {})
        answer = httpx.request(method, self.url + path, headers=headers, timeout=DEADLINE, **options)
        assert answer.status_code != 500, self.stdout()
        return answer

    def invoke(self, module: str, command: str, /, **parameters: Any) -> httpx.Response:
        """POST /invoke."""
        body = {"module": module, "command": command, "parameters": parameters}
        return self.request("POST", "/invoke", json=body)

    def result(self, module: str, command: str, /, **parameters: Any) -> list[Any]:
        """What the command returned; fails unless it ended well."""
        answer = self.invoke(module, command, **parameters).json()
        assert answer["ok"], answer
        return list(answer["result"])

    def modules(self) -> dict[str, dict[str, Any]]:
        """GET /modules by name; a name that is there twice keeps its first row."""
        rows = self.request("GET", "/modules").json()["modules"]
        return {row["name"]: row for row in reversed(rows)}

    def raw(self, request: bytes) -> bytes:
        """Send bytes as they are, and read until the service closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE) as connection:
            connection.sendall(request)
            chunks = []
            with contextlib.suppress(ConnectionResetError):
                while chunk := connection.recv(65536):
                    chunks.append(chunk)
            return b"".join(chunks)

    def stdout(self) -> str:
        """All it has printed."""
        return (self.folder / "stdout").read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        """Its log lines of one event."""
        return [line for line in map(json.loads, self.stdout().splitlines()) if line["event"] == name]

    def event(self, name: str, **fields: Any) -> dict[str, Any]:
        """The log line of this event with these fields, waited for: a request is logged after it is answered."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            for line in self.events(name):
                if fields.items() <= line.items():
                    return line
            time.sleep(0.05)
        raise AssertionError(f"no {name} with {fields} in {self.stdout()}")

    def wait_ready(self) -> None:
        """Until the catalog is complete."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.stdout() + (self.folder / "stderr").read_text()
            with contextlib.suppress(httpx.TransportError):
                if self.request("GET", "/ready").status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"not ready after {DEADLINE} s: {self.stdout()}")

    def stop(self) -> tuple[int, float]:
        """SIGTERM; the exit code and how many seconds it took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=DEADLINE), time.monotonic() - started


def bound_by_modes() -> list[str]:
    """A prefix that makes file modes count for root too."""
    if os.geteuid() != 0 or not (setpriv := shutil.which("setpriv")):
        return []
    return [setpriv, "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]


@contextlib.contextmanager
def running(
    pwsh: str, tree: Path, folder: Path, critical: Sequence[str], prefix: Sequence[str] = (), /, **settings: object
) -> Iterator[Service]:
    """Start the service on a tree, by the command `prefix` if there is one, wait until it is ready, and end it afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("home", "tmp", "workspace"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "token").write_text(TOKEN + "\n")
    port = free_port()
    environment = {
        "PATH": f"{Path(pwsh).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "UC_HOST": "127.0.0.1",
        "UC_PORT": str(port),
        "UC_MODULES_PATH": str(tree),
        "UC_REQUIRED_PATH": str(folder / "required"),
        "UC_WORKSPACE": str(folder / "workspace"),
        "UC_CRITICAL": ",".join(critical),
        "POWERSHELL_TOKEN_FILE": str(folder / "token"),
        "POWERSHELL_TELEMETRY_OPTOUT": "1",
        "POWERSHELL_UPDATECHECK": "Off",
        "DOTNET_EnableDiagnostics": "0",
    } | {name: str(value) for name, value in settings.items()}
    command = [*prefix, *bound_by_modes(), "sh", str(START)]
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
    service = Service(process, port, folder)
    try:
        service.wait_ready()
        yield service
    finally:
        process.kill()
        process.wait()
