"""The embedded registry: Distribution in a container, published on a loopback address."""

from __future__ import annotations

import time

from build.config.manifest import Manifest
from build.engine import client as docker
from build.engine import hardening, ownership
from build.engine.ports import listener
from build.errors import BaseUnavailable, PortTaken, RegistryError, ToolFailed
from build.registry.client import answers
from build.registry.connections import is_loopback

_START_SECONDS = 20
# The upstream image and Debian's package name the program differently and share no configuration file.
_START = (
    "printf 'version: 0.1\\nlog: {level: warn}\\nstorage: {filesystem: {rootdirectory: /var/lib/registry},"
    ' delete: {enabled: true}}\\nhttp: {addr: ":5000"}\\n\' > /tmp/config.yml'
    " && exec $(command -v registry || command -v docker-registry) serve /tmp/config.yml"
)

# Tried: it needs no restart, because this configuration has no cache of blobs, and works beside the running server.
COLLECT = "sh -c '$(command -v registry || command -v docker-registry) garbage-collect /tmp/config.yml'"


def container(manifest: Manifest) -> str:
    """Return the name of the embedded registry's container, which is also its volume's."""
    return f"{manifest.project.name}-registry"


def up(manifest: Manifest, image: str, reason: str = "") -> str:
    """Start the embedded registry and wait until it answers; return "running", "started" or "created".

    `image` is what a new container is created from; if it is "", `reason` says why there is none.
    Raises RegistryError if the address is not an embedded registry's, or it does not answer; PortTaken; and
    BaseUnavailable if a container has to be created without an image.
    """
    address = manifest.registry.address
    if not manifest.registry.embedded or not is_loopback(address):
        message = f"{address} is not an embedded registry ([registry] embedded, loopback only)"
        raise RegistryError(message, hint="set UC_REGISTRY_ADDRESS=127.0.0.1:5000, or use the external registry")
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        raise RegistryError(f"{address} has no port to serve", hint=f"set UC_REGISTRY_ADDRESS={address}:5000")
    if answers(manifest):
        return "running"
    name = container(manifest)
    host = "127.0.0.1" if host == "localhost" else host  # the engine publishes ports on addresses, not on host names
    if owner := listener(int(port), host):
        raise PortTaken(f"port {port} of the registry is taken by {owner}", hint="stop it, or set UC_REGISTRY_ADDRESS")
    outcome = "started"
    if not _start(name):
        if not image:
            raise BaseUnavailable(f"no image for the embedded registry: {reason}", hint="./inv bases")
        _create(manifest, f"{host}:{port}:5000", image)
        outcome = "created"
    deadline = time.monotonic() + _START_SECONDS
    while not answers(manifest):
        if time.monotonic() > deadline:
            logs = docker.cli("logs", "--tail", "20", name)
            raise RegistryError(f"the embedded registry does not answer on {address}", output=logs.stdout + logs.stderr)
        time.sleep(0.05)
    return outcome


def _start(name: str) -> bool:
    """Start the container that an earlier run left; False when it can't be started, or when there is none."""
    try:
        with docker.failures():
            docker.client().container.start(name)
    except ToolFailed:
        return False
    return True


def _create(manifest: Manifest, publish: str, image: str) -> None:
    name = container(manifest)
    host, _, inside = publish.rpartition(":")
    volumes = [(name, "/var/lib/registry")]
    owned = ownership.labels(manifest)
    with docker.failures():
        containers = docker.client().container
        containers.remove(name, force=True)
        docker.cli("volume", "create", *(f"--label={key}={value}" for key, value in owned.items()), name)
        handed = [hardening.USER, "/var/lib/registry"]
        containers.run(image, handed, entrypoint="chown", user="0", networks=["none"], volumes=volumes, remove=True)
        containers.run(
            image,
            ["-c", _START],
            entrypoint="/bin/sh",
            name=name,
            labels=owned,
            detach=True,
            publish=[(host, inside)],
            restart=hardening.RESTART,
            user=hardening.USER,
            read_only=True,
            tmpfs=["/tmp"],
            cap_drop=hardening.DROPPED_CAPABILITIES,
            security_options=hardening.SECURITY_OPTIONS,
            volumes=volumes,
        )


def down(manifest: Manifest, *, volumes: bool = False) -> bool:
    """Remove the container, and with `volumes` its storage; return whether there was a container.

    Every checkout of the project uses it; the one that created it removes it. Raises StackTaken for another one.
    """
    name = container(manifest)
    for kind in ("container", "volume"):
        ownership.require_own(manifest, kind, name, "./inv registry.down" + " --volumes" * volumes)
    with docker.failures():
        client = docker.client()
        containers = client.container.list(all=True, filters=[("name", f"^{name}$")])
        client.container.remove(containers, force=True)
        if volumes:
            client.volume.remove([*client.volume.list(filters=[("name", f"^{name}$")])])
    return bool(containers)
