"""Why a container is not healthy: its logs, its inspect output, and the failure that names it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from build.config.manifest import Manifest
from build.engine import client as docker
from build.errors import SmokeFailed
from build.stack import status
from build.stack.status import Running

_LOG_LINES = 20
_LINE_CHARACTERS = 160
# The keys under which programs put the message of a structured log line.
_MESSAGES = ("event", "message", "msg")
_REASONS = ("error", "exception", "detail")


def failure(manifest: Manifest) -> SmokeFailed | None:
    """The error that names the containers at fault, after keeping their evidence; None when all are healthy.

    A container that waits for another is not at fault; where the engine refused to start one, only that one is.
    """
    blamed = _blamed(status.containers(manifest))
    if not blamed:
        return None
    parts = []
    for container in blamed:
        excerpt = keep(manifest, container.name, manifest.workspace.reports)
        parts += [_summary(container), excerpt]
    names = ", ".join(container.name for container in blamed)
    hint = f"./inv logs {blamed[0].name}   (all of it: {manifest.workspace.reports})"
    return SmokeFailed(f"not healthy: {names}", output="\n".join(parts), hint=hint)


def _blamed(containers: Sequence[Running]) -> list[Running]:
    failing = [container for container in containers if not container.healthy or container.state != "running"]
    refused = [container for container in failing if container.error]
    begun = [container for container in failing if container.state != "created"]  # created: it waits for another
    return refused or begun or failing


def _summary(container: Running) -> str:
    return (
        f"{container.name}: state {container.state}, health {container.health or 'none'}, "
        f"exit code {container.exit_code}, restarts {container.restarts}{container.error and ', ' + container.error}"
    )


def keep(manifest: Manifest, container: str, folder: Path) -> str:
    """Write a container's inspect output and whole log to `folder`; returns its last health output and log lines.

    What is returned is for people to read: of a log line in JSON, its time, level and message.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inspected = json.loads(docker.cli("inspect", _full_name(manifest, container)).stdout)[0]
    (folder / f"{container}.inspect.json").write_text(json.dumps(inspected, indent=2), encoding="utf-8")
    text = log(manifest, container)
    (folder / f"{container}.log").write_text(text, encoding="utf-8")
    tail = text.strip().splitlines()[-_LOG_LINES:]
    return "\n".join([_last_health_check(inspected), "last log lines:", *(f"  {_readable(line)}" for line in tail)])


def forget(manifest: Manifest, containers: Iterable[str]) -> None:
    """Remove what an earlier failure of these containers left in the reports: they are well now."""
    for name in containers:
        for kind in ("inspect.json", "log"):
            (manifest.workspace.reports / f"{name}.{kind}").unlink(missing_ok=True)


def _last_health_check(inspected: dict[str, Any]) -> str:
    checks = inspected["State"].get("Health", {}).get("Log") or []
    if not checks:
        return "no health check ran"
    return f"last health check (exit {checks[-1]['ExitCode']}): {_cut(_last_line(checks[-1]['Output']))}"


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.strip().splitlines()) if line.strip()), "no output")


def _readable(line: str) -> str:
    """A log line as its time of day, its level and its message, with the reason of a failure; another as it is."""
    try:
        entry = json.loads(line)
    except ValueError:
        return _cut(line)
    message = next((entry[key] for key in _MESSAGES if entry.get(key)), None) if isinstance(entry, dict) else None
    if message is None:
        return _cut(line)
    moment = str(entry.get("time") or entry.get("timestamp") or "")[11:19]
    reasons = (_last_line(str(entry[key])) for key in _REASONS if entry.get(key))
    return _cut(" ".join(filter(None, (moment, str(entry.get("level") or ""), ": ".join((str(message), *reasons))))))


def _cut(line: str) -> str:
    return line if len(line) <= _LINE_CHARACTERS else f"{line[: _LINE_CHARACTERS - 1]}…"


def log(manifest: Manifest, container: str, *, since: str = "") -> str:
    """A container's stdout, then its stderr; `since` as Docker takes it ("10m"), without it from the start."""
    limit = ["--since", since] if since else []
    output = docker.cli("logs", *limit, _full_name(manifest, container))
    return output.stdout + output.stderr


def _full_name(manifest: Manifest, container: str) -> str:
    return f"{manifest.project.name}-{container}-1"
