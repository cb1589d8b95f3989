"""A stack beside the one that runs: other names, other ports, other secrets and data, gone when it was asked.

A release asks its candidates here, so that nobody's running stack is touched and two releases don't meet.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace

from build.config.manifest import Container, Manifest, Service
from build.engine import client as docker
from build.errors import BuildError
from build.parallel import alive
from build.stack import run, secrets

_LABEL = "com.docker.compose.project"
_MARK = "-release-"


@contextlib.contextmanager
def of(manifest: Manifest) -> Iterator[Manifest]:
    """The manifest of a stack of its own; what was started of it is removed at the end, data and secrets included."""
    _sweep(manifest)
    name = f"{manifest.project.name}{_MARK}{os.getpid()}"
    ports = iter(_free_ports(len(manifest.containers())))
    services = {key: _moved(service, ports) for key, service in manifest.services.items()}
    project = replace(manifest.project, name=name)
    own = replace(manifest, project=project, services=services, folder=f"{manifest.folder}/rehearsal-{os.getpid()}")
    secrets.initialise(own)
    try:
        yield own
    finally:
        run.down(own, volumes=True)
        shutil.rmtree(own.workspace.root, ignore_errors=True)


def _moved(service: Service, ports: Iterator[int]) -> Service:
    if not service.containers:
        return replace(service, published=next(ports))
    moved: dict[str, Container] = {
        name: replace(container, port=next(ports)) for name, container in service.containers.items()
    }
    return replace(service, containers=moved)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _sweep(manifest: Manifest) -> None:
    """Remove what rehearsals left whose process is gone: containers, networks, volumes."""
    start = f"{manifest.project.name}{_MARK}"
    found = set()
    for kind in ("container", "network", "volume"):
        listed = docker.cli(
            kind, "ls", *(["--all"] if kind == "container" else []), "--format", f'{{{{.Label "{_LABEL}"}}}}'
        )
        found |= {name for name in listed.stdout.split() if name.startswith(start)}
    for name in found:
        pid = name.removeprefix(start)
        if pid.isdigit() and not alive(int(pid)):
            folder = f"{manifest.folder}/rehearsal-{pid}"
            gone = replace(manifest, project=replace(manifest.project, name=name), folder=folder)
            with contextlib.suppress(BuildError):
                run.down(gone, volumes=True)
            shutil.rmtree(gone.workspace.root, ignore_errors=True)
