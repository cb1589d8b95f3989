"""An isolated temporary stack, removed after its checks: with names, ports, secrets and data of its own.

A release checks its candidates in one, so that it touches no running stack and two releases don't meet.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Collection, Iterator
from dataclasses import replace

from build import json_file
from build.config.manifest import Manifest, Service
from build.engine import client as docker
from build.errors import BuildError
from build.parallel import alive
from build.stack import run, secret_folder, secrets
from build.stack.status import LABEL

_MARK = "-release-"
_FOLDER = "sandbox-"


@contextlib.contextmanager
def of(manifest: Manifest, images: Collection[str] = ()) -> Iterator[Manifest]:
    """A manifest whose stack is isolated; what was started of it is removed at the end, data and secrets included.

    So are those of its `images` (name@digest) that the engine does not have before.
    """
    _sweep(manifest)
    isolated = _isolated(manifest, os.getpid())
    json_file.write(isolated.workspace.fetched, {"images": sorted(set(images).difference(_present()))})
    secrets.initialise(isolated)
    try:
        yield isolated
    finally:
        _remove(isolated)


def _isolated(manifest: Manifest, pid: int) -> Manifest:
    """The manifest of the sandbox of a process, every container on a free port."""
    ports = iter(_free_ports(len(manifest.containers())))
    services = {name: _moved(service, ports) for name, service in manifest.services.items()}
    return replace(_renamed(manifest, pid), services=services)


def _renamed(manifest: Manifest, pid: int) -> Manifest:
    """The manifest with the project name and the folder of the sandbox of a process."""
    project = replace(manifest.project, name=f"{manifest.project.name}{_MARK}{pid}")
    return replace(manifest, project=project, folder=f"{manifest.folder}/{_FOLDER}{pid}")


def _moved(service: Service, ports: Iterator[int]) -> Service:
    """The service published on other ports."""
    if not service.containers:
        return replace(service, published=next(ports))
    moved = {name: replace(container, published=next(ports)) for name, container in service.containers.items()}
    return replace(service, containers=moved)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in sockets]


def _present() -> dict[str, bool]:
    """The images of the engine by name@digest; and whether they have a tag."""
    lines = [line.split() for line in docker.listed_images("{{.Repository}}@{{.Digest}} {{.Tag}}")]
    tagged = {reference for reference, tag in lines if tag != "<none>"}
    return {reference: reference in tagged for reference, _ in lines}


def _remove_images(isolated: Manifest) -> None:
    """Remove the images that were fetched for a sandbox, unless they have got a tag or a container since."""
    fetched = json_file.read(isolated.workspace.fetched).get("images", [])
    untagged = {reference for reference, tagged in _present().items() if not tagged} if fetched else set()
    for reference in untagged.intersection(fetched):
        with contextlib.suppress(BuildError):
            docker.cli("image", "rm", reference)


def _remove(isolated: Manifest) -> None:
    try:
        run.down(isolated, volumes=True)
        _remove_images(isolated)
    finally:
        secret_folder.discard(isolated)
        shutil.rmtree(isolated.workspace.root, ignore_errors=True)


def _sweep(manifest: Manifest) -> None:
    """Remove the sandboxes whose process has died: containers, networks, volumes and folder.

    One that was killed before its first container has left a folder alone, with secrets in it.
    """
    start = f"{manifest.project.name}{_MARK}"
    pids = {path.name.removeprefix(_FOLDER) for path in manifest.workspace.root.glob(f"{_FOLDER}*")}
    for kind in ("container", "network", "volume"):
        every = ["--all"] if kind == "container" else []
        listed = docker.cli(kind, "ls", *every, "--format", f'{{{{.Label "{LABEL}"}}}}').stdout
        pids |= {name.removeprefix(start) for name in listed.split() if name.startswith(start)}
    for pid in pids:
        if pid.isdigit() and not alive(int(pid)):
            with contextlib.suppress(BuildError):
                _remove(_renamed(manifest, int(pid)))
