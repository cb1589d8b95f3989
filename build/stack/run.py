"""The running stack: Compose up with the built digests, health, logs, down."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build import console
from build.config.manifest import Manifest
from build.engine import client as docker
from build.engine.ports import listener
from build.errors import BuildError, PortTaken, SmokeFailed, ToolFailed
from build.stack import compose, secrets

_POLL_SECONDS = 0.25
_LOG_LINES = "25"
_SETTLE_SECONDS, _SETTLE_LOOKS = 1.0, 15


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """One container as the engine sees it; `health` is healthy, starting, unhealthy or "" (no healthcheck).

    `error` is why the engine could not start it.
    """

    name: str
    service: str
    state: str
    health: str
    image: str
    url: str
    exit_code: int
    restarts: int
    error: str


def write(manifest: Manifest, images: Mapping[str, str], *, fluentd: bool = False) -> list[str]:
    """Write the Compose files for `images` (service → name@digest); the `--file` arguments that name them."""
    manifest.workspace.compose.parent.mkdir(parents=True, exist_ok=True)
    model = compose.stack(manifest, images, secrets=manifest.workspace.secrets)
    manifest.workspace.compose.write_text(compose.render(model, "The stack as it runs."), encoding="utf-8")
    if not fluentd:
        manifest.workspace.compose_fluentd.unlink(missing_ok=True)
    else:
        overlay = compose.fluentd(manifest)
        overlay["services"] = {name: part for name, part in overlay["services"].items() if name in model["services"]}
        manifest.workspace.compose_fluentd.write_text(
            compose.render(overlay, "Overlay: logs to Fluentd."), encoding="utf-8"
        )
    return _files(manifest)


def _files(manifest: Manifest) -> list[str]:
    """The `--file` arguments of what the last `up` wrote: without any, Compose would look in the caller's folder.

    Raises SmokeFailed before the first `up`.
    """
    if not manifest.workspace.compose.exists():
        raise SmokeFailed("the stack is not running", hint="./inv up")
    paths = [manifest.workspace.compose, manifest.workspace.compose_fluentd]
    return [part for path in paths if path.exists() for part in ("--file", str(path))]


def _compose(manifest: Manifest, *arguments: str, **options: Any) -> str:
    return docker.cli("compose", *_files(manifest), "--progress", "plain", *arguments, **options).stdout


def up(
    manifest: Manifest,
    images: Mapping[str, str],
    services: Sequence[str],
    *,
    fluentd: bool = False,
    timeout: float = 180,
) -> list[Running]:
    """Start the containers of `services`, and those they depend on, with the images given; wait until all are healthy.

    An interrupt or a failure while nothing of ours ran before takes the half-started stack down again, except that a
    failed container's evidence is kept in .uc/reports.
    Raises SecretError, PortTaken, SmokeFailed (a container never gets healthy; its last words are in `output`).
    """
    names = _with_dependencies(manifest, images, services)
    wanted = {secret for name in names for secret in manifest.containers()[name][1].secrets}
    secrets.check(manifest, sorted(wanted))
    before = _running_names(manifest)
    _check_ports(manifest, [name for name in names if name not in before])
    write(manifest, images, fluentd=fluentd)
    try:
        with console.waiting(f"starting {len(names)} containers"):
            try:
                options = ("--detach", "--remove-orphans", "--no-build", "--quiet-pull")
                _compose(manifest, "up", *options, *names, timeout=timeout)
            except ToolFailed as error:
                raise _diagnosis(manifest, error) from None
            _wait_healthy(manifest, names, timeout)
    except KeyboardInterrupt:
        if not before:
            console.note("interrupted: taking the half-started stack down")
            _take_down(manifest)
        raise
    return status(manifest)


def _take_down(manifest: Manifest) -> None:
    """Take a stack down whose start was cut off, until two looks find nothing of it.

    The engine goes on making what it was asked for, after Compose has gone and after `down` has listed what is there.
    """
    _compose(manifest, "down", "--remove-orphans")  # networks that have no container yet, too
    quiet = 0
    for _ in range(_SETTLE_LOOKS):
        time.sleep(_SETTLE_SECONDS)
        quiet = 0 if down(manifest) else quiet + 1
        if quiet == 2:
            return
    console.warn("the engine still makes containers of it; when it has ended: ./inv down")


def _with_dependencies(manifest: Manifest, images: Mapping[str, str], services: Sequence[str]) -> list[str]:
    """The containers of `services` and, through depends_on, all that they need; those without an image left out."""
    containers = {name: entry for name, entry in manifest.containers().items() if entry[0] in images}
    wanted: set[str] = set()
    pending = [name for name, (service, _) in containers.items() if service in services]
    while pending:
        name = pending.pop()
        if name in containers and name not in wanted:
            wanted.add(name)
            pending += containers[name][1].depends_on
    return [name for name in containers if name in wanted]


def _check_ports(manifest: Manifest, names: Sequence[str]) -> None:
    for name in names:
        port = manifest.containers()[name][1].port
        if owner := listener(port):
            message = f"port {port} of {name} is taken by {owner}"
            raise PortTaken(
                message, hint=f"stop it, or give {_port_key(manifest, name)} another value in versions.local.toml"
            )


def _port_key(manifest: Manifest, container: str) -> str:
    service = manifest.containers()[container][0]
    own = container in manifest.services[service].containers
    return f"services.{service}.containers.{container}.port" if own else f"services.{service}.published"


def _wait_healthy(manifest: Manifest, names: Sequence[str], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        found = {one.name: one for one in status(manifest)}
        waiting = [name for name in names if name not in found or found[name].health not in {"healthy", ""}]
        broken = [name for name in names if name in found and found[name].health == "unhealthy"]
        crashed = [name for name in names if name in found and found[name].state in {"exited", "dead", "restarting"}]
        if not waiting and not crashed:
            return
        if broken or crashed or time.monotonic() > deadline:
            raise _diagnosis(manifest, None)
        time.sleep(_POLL_SECONDS)


def _diagnosis(manifest: Manifest, error: ToolFailed | None) -> BuildError:
    """The failure of the containers that are not healthy; `error` itself when every container is."""
    sick = [one for one in status(manifest) if one.health not in {"healthy", ""} or one.state != "running"]
    refused = [one for one in sick if one.error]
    guilty = refused or [one for one in sick if one.state != "created"] or sick  # created: waits for another
    if not guilty:
        return error or SmokeFailed("the stack did not come up", hint="./inv ps")
    parts = []
    for one in guilty:
        kept = keep_evidence(manifest, one.name, manifest.workspace.reports)
        parts.append(
            f"{one.name}: state {one.state}, health {one.health or 'none'}, "
            f"exit code {one.exit_code}, restarts {one.restarts}{one.error and ', ' + one.error}"
        )
        parts.append(kept)
    names = ", ".join(one.name for one in guilty)
    return SmokeFailed(
        f"not healthy: {names}", output="\n".join(parts), hint=f"./inv logs --container {guilty[0].name}"
    )


def keep_evidence(manifest: Manifest, container: str, folder: Path) -> str:
    """Keep a container's inspect output and whole log in `folder`; its last health output and log lines as text."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{manifest.project.name}-{container}-1"
    inspected = json.loads(docker.cli("inspect", name).stdout)[0]
    (folder / f"{container}.inspect.json").write_text(json.dumps(inspected, indent=2), encoding="utf-8")
    written = log(manifest, container)
    (folder / f"{container}.log").write_text(written, encoding="utf-8")
    health = inspected["State"].get("Health", {}).get("Log") or []
    last = (
        f"last health check (exit {health[-1]['ExitCode']}): {health[-1]['Output'].strip()}"
        if health
        else "no health check ran"
    )
    tail = written.strip().splitlines()[-int(_LOG_LINES) :]
    return "\n".join([last, "last log lines:", *(f"  {line}" for line in tail)])


def log(manifest: Manifest, container: str, *, since: str = "") -> str:
    """What a container has written to stdout, then to stderr; `since` as Docker takes it (10m), "" is all of it."""
    chosen = ["--since", since] if since else []
    found = docker.cli("logs", *chosen, f"{manifest.project.name}-{container}-1")
    return found.stdout + found.stderr


def status(manifest: Manifest) -> list[Running]:
    """Every container of the project, stopped ones included, in manifest order; one engine call lists, one inspects."""
    found = []
    containers = manifest.containers()
    for entry in _inspected(manifest):
        name = entry["Config"]["Labels"]["com.docker.compose.service"]
        port = containers[name][1].port if name in containers else 0
        found.append(
            Running(
                name=name,
                service=containers[name][0] if name in containers else "",
                state=entry["State"]["Status"],
                health=entry["State"].get("Health", {}).get("Status", ""),
                image=entry["Config"]["Image"],
                url=f"http://127.0.0.1:{port}" if port else "",
                exit_code=entry["State"]["ExitCode"],
                restarts=entry["RestartCount"],
                error=entry["State"]["Error"],
            )
        )
    order = {name: position for position, name in enumerate(containers)}
    return sorted(found, key=lambda one: order.get(one.name, len(order)))


def _inspected(manifest: Manifest) -> list[dict[str, Any]]:
    """The engine's record of each container; where one was removed after it was listed, they are listed again."""
    identifiers = _identifiers(manifest)
    while identifiers:
        try:
            records: list[dict[str, Any]] = json.loads(docker.cli("inspect", *identifiers).stdout)
        except ToolFailed:
            before, identifiers = identifiers, _identifiers(manifest)
            if identifiers == before:
                raise
        else:
            return records
    return []


def _identifiers(manifest: Manifest) -> list[str]:
    label = f"label=com.docker.compose.project={manifest.project.name}"
    return docker.cli("ps", "--all", "--quiet", "--filter", label).stdout.split()


def _running_names(manifest: Manifest) -> set[str]:
    return {one.name for one in status(manifest) if one.state == "running"}


def down(manifest: Manifest, *, volumes: bool = False) -> bool:
    """Stop and remove the containers and networks, with `volumes` the data too; False when nothing was there."""
    there = bool(status(manifest))
    if not there and not volumes:
        return False
    if not manifest.workspace.compose.exists():
        write(manifest, dict.fromkeys(manifest.services, "scratch"))
    _compose(manifest, "down", "--remove-orphans", *(["--volumes"] if volumes else []))
    return there


def logs(manifest: Manifest, names: Sequence[str], *, follow: bool, tail: str) -> None:
    """Print the containers' logs, straight from Compose, until they end or the user stops following.

    Raises SmokeFailed before the first `up`.
    """
    arguments = ["logs", "--tail", tail, *(["--follow"] if follow else []), *names]
    docker.cli("compose", *_files(manifest), *arguments, capture=False)
