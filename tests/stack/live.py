"""The running stack as its clients see it: addresses, current tokens, calls, containers, logs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any

import httpx

from build import json_file
from build.config.manifest import Manifest
from build.engine import client as docker
from build.stack import evidence, secrets, status
from tests.support.project import REPOSITORY, Ran

MCP_HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
_LEVELS = {"debug", "info", "warning", "error", "critical"}


def inv(*arguments: str, **environment: str) -> Ran:
    """Run an invoke task in this repository as a user would."""
    argv = ["./inv", *arguments]
    done = subprocess.run(
        argv, cwd=REPOSITORY, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


class Live:
    """One test's client of the stack."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.http = httpx.Client(timeout=30, trust_env=False)

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def names(self) -> list[str]:
        """The existing containers, in manifest order."""
        return [one.name for one in status.containers(self.manifest)]

    def port(self, container: str) -> int:
        """The published port of a container."""
        return self.manifest.containers()[container][1].published

    def url(self, container: str, path: str) -> str:
        """The URL of a path on a container."""
        return f"http://127.0.0.1:{self.port(container)}{path}"

    def token_names(self) -> dict[str, str]:
        """Container → the secret that its clients send: the one of its service's smoke checks; without one, none."""
        smoke = {
            name: [check.secret for check in one.smoke if check.secret] for name, one in self.manifest.services.items()
        }
        return {name: smoke[service][0] for name, (service, _) in self.manifest.containers().items() if smoke[service]}

    def headers(self, container: str, token: str = "") -> dict[str, str]:
        """A client's headers: `token` or the secret's current value, and what MCP requires."""
        extra = MCP_HEADERS if container.startswith("mcp-") else {}
        if name := self.token_names().get(container):
            return {"Authorization": f"Bearer {token or secrets.value(self.manifest, name)}"} | extra
        return extra

    def call(self, container: str, method: str, path: str, body: Any = None, *, token: str = "") -> httpx.Response:
        """Send one authorised request."""
        headers = self.headers(container, token)
        return self.http.request(method, self.url(container, path), headers=headers, json=body)

    def inspect(self, container: str) -> dict[str, Any]:
        """`docker inspect` of a container."""
        entries = json.loads(docker.cli("inspect", f"{self.manifest.project.name}-{container}-1").stdout)
        entry: dict[str, Any] = entries[0]
        return entry

    def lives(self) -> dict[str, tuple[str, str, int]]:
        """Container → what changes if it is recreated or restarted: id, start time, restart count."""
        entries = {name: self.inspect(name) for name in self.names()}
        return {
            name: (entry["Id"], entry["State"]["StartedAt"], entry["RestartCount"]) for name, entry in entries.items()
        }

    def report(self, name: str, figures: dict[str, Any]) -> None:
        """Write figures that no test asserts to .uc/reports/stack-NAME.json."""
        json_file.write(self.manifest.workspace.reports / f"stack-{name}.json", figures)

    def bad_log_lines(self) -> list[str]:
        """The log lines that are not one JSON object with time, level, service and event."""
        bad = []
        for name in self.names():
            lines = evidence.log(self.manifest, name).splitlines()
            bad += [f"{name}: {line[:300]}" for line in lines if not _as_agreed(line, name)]
        return bad


def _as_agreed(line: str, service: str) -> bool:
    try:
        entry = json.loads(line)
    except ValueError:
        return False
    return (
        isinstance(entry, dict)
        and _TIME.fullmatch(str(entry.get("time"))) is not None
        and entry.get("level") in _LEVELS
        and entry.get("service") == service
        and isinstance(entry.get("event"), str)
        and bool(entry["event"])
    )


def tool_call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The JSON-RPC request that calls an MCP tool."""
    parameters = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": parameters}
