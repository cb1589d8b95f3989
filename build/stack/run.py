"""Starting and stopping the stack: Compose up with the built digests, waiting for health, down."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence

from build import console
from build.config.manifest import Manifest
from build.engine import ownership, turns
from build.engine.ports import listener
from build.errors import PortTaken, SmokeFailed, ToolFailed
from build.stack import compose, evidence, secrets, status
from build.stack.status import Running
from build.waiting import waiting

_POLL_SECONDS = 0.25
_MOST_RESTARTS = 3
_SETTLE_SECONDS, _SETTLE_LOOKS = 1.0, 15


def up(
    manifest: Manifest,
    images: Mapping[str, str],
    services: Sequence[str],
    *,
    versions: Mapping[str, str] | None = None,
    fluentd: bool = False,
    take_over: bool = False,
    timeout: float = 180,
) -> list[Running]:
    """Start the containers of `services` and those they depend on, and wait until all are healthy.

    `images` maps each service to name@digest; `versions` a released one to its version. A container that is unhealthy
    may recover until `timeout` seconds are over; one that can't is given up at once (see `_any_hopeless`). An interrupt
    takes the stack down again if nothing of it ran before; a failed container stays, and its evidence is kept in
    .uc/reports. One start or stop of a stack runs at a time.
    Raises SecretError, PortTaken, StackTaken (it is another checkout's, unless `take_over`), SmokeFailed (a container
    is not healthy; `output` has its last log lines).
    """
    with turns.changing(manifest.project.name, manifest.root, "the start of the stack"):
        ownership.require_stack(manifest, take_over=take_over)
        return _up(manifest, images, services, versions=versions or {}, fluentd=fluentd, timeout=timeout)


def _up(
    manifest: Manifest,
    images: Mapping[str, str],
    services: Sequence[str],
    *,
    versions: Mapping[str, str],
    fluentd: bool,
    timeout: float,
) -> list[Running]:
    names = _with_dependencies(manifest, images, services)
    needed = {secret for name in names for secret in manifest.containers()[name][1].secrets}
    secrets.check(manifest, sorted(needed))
    before = status.running(manifest)
    _check_ports(manifest, [name for name in names if name not in before])
    compose.write(manifest, images, with_fluentd=fluentd)
    _announce(manifest, images, versions, names, before)
    try:
        with waiting(f"starting {len(names)} containers", lambda: _pending(manifest, names)):
            _start(manifest, names, time.monotonic() + timeout)
    except KeyboardInterrupt:
        if not before:
            console.note("interrupted: taking the half-started stack down")
            _take_down(manifest)
        raise
    evidence.forget(manifest, names)
    return status.containers(manifest)


def _announce(
    manifest: Manifest,
    images: Mapping[str, str],
    versions: Mapping[str, str],
    names: Sequence[str],
    before: Collection[str],
) -> None:
    """Write which release runs, now that the containers `names` are started beside those that ran `before`."""
    containers = manifest.containers()
    started = {containers[name][0] for name in names}
    staying = {containers[name][0] for name in before if name in containers} & images.keys() - started
    compose.announce(manifest, {name: images[name] for name in images if name in started}, versions, staying=staying)


def _pending(manifest: Manifest, names: Sequence[str]) -> str:
    """The containers that are not healthy yet, each with what it is instead."""
    states = {container.name: container for container in status.containers(manifest)}
    waiting = [
        f"{name} ({(state.health or state.state) if state else 'not made'})"
        for name in names
        if not (state := states.get(name)) or state.state != "running" or not state.healthy
    ]
    return f"waiting for {', '.join(waiting)}" if waiting else ""


def _take_down(manifest: Manifest) -> None:
    """Take down a stack whose start was interrupted, until nothing of it is found twice in a row.

    The engine goes on creating the containers it was asked for after Compose has exited, and after `down` has listed
    what is there.
    """
    compose.run(manifest, "down", "--remove-orphans")  # also networks that have no container yet
    empty = 0
    for _ in range(_SETTLE_LOOKS):
        time.sleep(_SETTLE_SECONDS)
        try:
            empty = 0 if down(manifest) else empty + 1
        except ToolFailed:  # it created another one meanwhile
            empty = 0
        if empty == 2:
            return
    console.warn("the engine is still creating containers of the stack; when it is done: ./inv down")


def _with_dependencies(manifest: Manifest, images: Mapping[str, str], services: Sequence[str]) -> list[str]:
    """The containers of `services` and all that they depend on, without those that have no image."""
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
    """Raise PortTaken for the first container whose port another process listens on."""
    for name in names:
        port = manifest.containers()[name][1].published
        if owner := listener(port):
            message = f"port {port} of {name} is taken by {owner}"
            hint = f"stop it, or give {manifest.published_key(name)} another value in versions.local.toml"
            raise PortTaken(message, hint=hint)


def _start(manifest: Manifest, names: Sequence[str], deadline: float) -> None:
    """Have Compose start the containers until it has started all of them and all are healthy.

    Compose gives up as soon as a container that another waits for is unhealthy; when that one has recovered, it is
    called again. Raises SmokeFailed when one can't recover or the deadline has passed, ToolFailed for anything else.
    """
    options = ("--detach", "--remove-orphans", "--no-build", "--quiet-pull")
    restarts = {container.name: container.restarts for container in status.containers(manifest)}
    while True:
        try:
            compose.run(manifest, "up", *options, *names, timeout=max(1.0, deadline - time.monotonic()))
        except ToolFailed as error:
            states = status.containers(manifest)
            unhealthy = [container.name for container in states if container.health == "unhealthy"]
            if not unhealthy or _any_hopeless(states, restarts):
                raise evidence.failure(manifest) or error from None
            _wait_healthy(manifest, unhealthy, restarts, deadline)
        else:
            return _wait_healthy(manifest, names, restarts, deadline)


def _wait_healthy(manifest: Manifest, names: Sequence[str], restarts: dict[str, int], deadline: float) -> None:
    """Wait until all these containers are healthy. Raises SmokeFailed when one can't recover, or at the deadline."""
    while True:
        states = [container for container in status.containers(manifest) if container.name in names]
        complete = {container.name for container in states} == set(names)
        if complete and all(container.state == "running" and container.healthy for container in states):
            return
        if _any_hopeless(states, restarts) or time.monotonic() > deadline:
            raise evidence.failure(manifest) or SmokeFailed("the stack did not come up", hint="./inv ps")
        time.sleep(_POLL_SECONDS)


def _any_hopeless(containers: Sequence[Running], restarts: dict[str, int]) -> bool:
    """Whether waiting for one of the containers is useless.

    It is when the engine could not start it, when it has ended and is not started again, or when it has ended three
    times since this start: an unhealthy one that runs may recover. `restarts` is how often each had been restarted
    before; it is corrected for a container that was made anew, whose count begins at 0.
    """
    for container in containers:
        restarts[container.name] = min(restarts.get(container.name, 0), container.restarts)
        ended = container.state in {"exited", "dead"}
        if ended or container.error or container.restarts - restarts[container.name] >= _MOST_RESTARTS:
            return True
    return False


def down(manifest: Manifest, *, volumes: bool = False) -> bool:
    """Stop and remove the containers and networks, with `volumes` the data, too; False when nothing was there.

    One start or stop of a stack runs at a time. Raises StackTaken when it is another checkout's, ToolFailed when
    Compose says that it is done and the engine still has some of it.
    """
    with turns.changing(manifest.project.name, manifest.root, "the stop of the stack"):
        ownership.require_stack(manifest)
        return _down(manifest, volumes=volumes)


def _down(manifest: Manifest, *, volumes: bool) -> bool:
    present = bool(status.containers(manifest))
    if not present and not volumes:
        return False
    if not manifest.workspace.compose.exists():
        compose.write(manifest, dict.fromkeys(manifest.services, "scratch"))
    compose.run(manifest, "down", "--remove-orphans", *(["--volumes"] if volumes else []))
    if left := _left(manifest, volumes=volumes):
        name = manifest.project.name
        hint = f"docker ps --all --filter label={status.LABEL}={name}   then ./inv down again"
        raise ToolFailed(f"the stack is not down: the engine still has {', '.join(left)}", hint=hint)
    return present


def _left(manifest: Manifest, *, volumes: bool) -> list[str]:
    """What the engine still has of the project after it was given a moment to finish."""
    for _ in range(_SETTLE_LOOKS):
        left = status.left(manifest, volumes=volumes)
        if not left:
            break
        time.sleep(_POLL_SECONDS)
    return left
