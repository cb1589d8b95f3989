"""The private registry: the embedded one on loopback (Distribution in a container), and what any registry is asked."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from build import engine
from build.bases import Resolved
from build.errors import BaseUnavailable, PortTaken, RegistryError, ToolFailed
from build.images import BuiltImage
from build.manifest import Manifest
from build.ports import listener
from build.process import run

_START_SECONDS = 20
_USER = "10001:10001"
# Both the upstream image and Debian's package have the program, under different names and without a common config file.
_START = (
    "printf 'version: 0.1\\nlog: {level: warn}\\nstorage: {filesystem: {rootdirectory: /var/lib/registry},"
    ' delete: {enabled: true}}\\nhttp: {addr: ":5000"}\\n\' > /tmp/config.yml'
    " && exec $(command -v registry || command -v docker-registry) serve /tmp/config.yml"
)


def container(manifest: Manifest) -> str:
    """The name of the embedded registry's container and volume."""
    return f"{manifest.project.name}-registry"


def is_loopback(address: str) -> bool:
    """Whether a registry address is on this machine: plain HTTP is allowed there and nowhere else."""
    host = address.rpartition(":")[0] or address
    return host == "localhost" or host.startswith("127.")


def url(manifest: Manifest) -> str:
    """The registry's base URL: http on loopback, else https."""
    address = manifest.registry.address
    return f"{'http' if is_loopback(address) else 'https'}://{address}"


def up(manifest: Manifest, base: Resolved | None, reason: str = "") -> str:
    """Start the embedded registry and wait until it answers; "running", "started" or "created".

    Raises RegistryError for an address that is not ours to serve, PortTaken, BaseUnavailable without an image for it.
    """
    address = manifest.registry.address
    if not manifest.registry.embedded or not is_loopback(address):
        message = f"{address} is not an embedded registry ([registry] embedded, loopback only)"
        raise RegistryError(message, hint="set UC_REGISTRY_ADDRESS=127.0.0.1:5000, or use the registry that is there")
    if answers(manifest):
        return "running"
    name = container(manifest)
    host, _, port = address.rpartition(":")
    if owner := listener(int(port), host):
        raise PortTaken(f"port {port}, the registry's, is taken by {owner}", hint="stop it, or set UC_REGISTRY_ADDRESS")
    outcome = "started"
    try:
        engine.cli("start", name)
    except ToolFailed:
        if base is None:
            raise BaseUnavailable(f"no image for the embedded registry: {reason}", hint="./inv bases") from None
        _create(name, f"{host}:{port}:5000", base.context.removeprefix("docker-image://"))
        outcome = "created"
    deadline = time.monotonic() + _START_SECONDS
    while not answers(manifest):
        if time.monotonic() > deadline:
            logs = engine.cli("logs", "--tail", "20", name)
            raise RegistryError(f"the embedded registry does not answer on {address}", output=logs.stdout + logs.stderr)
        time.sleep(0.05)
    return outcome


def _create(name: str, publish: str, image: str) -> None:
    host, _, inside = publish.rpartition(":")
    volumes = [(name, "/var/lib/registry")]
    with engine.failures():
        docker = engine.client()
        docker.remove(name, force=True)
        ownership = [_USER, "/var/lib/registry"]
        docker.run(image, ownership, entrypoint="chown", user="0", networks=["none"], volumes=volumes, remove=True)
        docker.run(
            image,
            ["-c", _START],
            entrypoint="/bin/sh",
            name=name,
            detach=True,
            publish=[(host, inside)],
            restart="unless-stopped",
            user=_USER,
            read_only=True,
            tmpfs=["/tmp"],
            cap_drop=["ALL"],
            security_options=["no-new-privileges:true"],
            volumes=volumes,
        )


def down(manifest: Manifest, *, volumes: bool = False) -> bool:
    """Remove the embedded registry's container, and with `volumes` its storage; False when there was none."""
    name = container(manifest)
    removed = engine.cli("rm", "--force", name).stdout.strip() == name
    if volumes:
        engine.cli("volume", "rm", "--force", name)
    return removed


def _get(manifest: Manifest, path: str) -> Any:
    import httpx

    settings = manifest.registry
    auth = (settings.username, _password(manifest)) if settings.username else None
    try:
        answer = httpx.get(url(manifest) + path, timeout=10, auth=auth, trust_env=not is_loopback(settings.address))
    except httpx.TransportError as error:
        hint = "./inv registry.up" if settings.embedded else "./inv doctor"
        raise RegistryError(f"registry {settings.address} does not answer: {error}", hint=hint) from None
    if answer.status_code in {401, 403}:
        message = f"registry {settings.address} refuses: {answer.status_code} for {path}"
        raise RegistryError(message, hint="set [registry] username and password_file, or docker login")
    if answer.status_code == 404:
        return {}
    if answer.is_error:
        raise RegistryError(f"registry {settings.address} answers {answer.status_code} for {path}")
    return answer.json() if answer.content else {}


def answers(manifest: Manifest) -> bool:
    """Whether something that speaks the distribution API answers at the address."""
    try:
        _get(manifest, "/v2/")
    except (RegistryError, ValueError):
        return False
    return True


def ping(manifest: Manifest) -> None:
    """Raise RegistryError unless the registry answers and lets us in."""
    _get(manifest, "/v2/")


def contents(manifest: Manifest) -> dict[str, list[str]]:
    """Every repository of the registry with its tags, sorted."""
    repositories = _get(manifest, "/v2/_catalog?n=1000").get("repositories") or []
    return {name: sorted(_get(manifest, f"/v2/{name}/tags/list").get("tags") or []) for name in repositories}


def _password(manifest: Manifest) -> str:
    path = manifest.root / manifest.registry.password_file
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise RegistryError(
            f"registry.password_file: {path}: {error.strerror}", hint="write the password there"
        ) from None


def login(manifest: Manifest) -> None:
    """Log the engine in with username and password file; nothing to do where neither is set."""
    if manifest.registry.username:
        run(
            [
                engine.docker(),
                "login",
                "--username",
                manifest.registry.username,
                "--password-stdin",
                manifest.registry.address,
            ],
            stdin=_password(manifest),
            timeout=60,
        )


def has(manifest: Manifest, image: BuiltImage) -> bool:
    """Whether the registry holds the manifest of exactly this digest."""
    import httpx

    repository = image.name.partition("/")[2]
    accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
    auth = (manifest.registry.username, _password(manifest)) if manifest.registry.username else None
    path = f"{url(manifest)}/v2/{repository}/manifests/{image.digest}"
    try:
        direct = is_loopback(manifest.registry.address)
        answer = httpx.head(path, headers={"Accept": accept}, timeout=10, auth=auth, trust_env=not direct)
        return answer.status_code == httpx.codes.OK
    except httpx.TransportError as error:
        raise RegistryError(
            f"registry {manifest.registry.address} does not answer: {error}", hint="./inv doctor"
        ) from None


def push(manifest: Manifest, image: BuiltImage) -> BuiltImage:
    """The image as pushed: nothing is sent when the registry has its digest already.

    Raises RegistryError when the registry refuses, or holds another digest afterwards.
    """
    if not has(manifest, image):
        try:
            engine.cli("push", f"{image.name}:{image.tag}")
        except ToolFailed as error:
            raise RegistryError(f"push of {image.name} refused", output=error.output, hint="./inv doctor") from None
        if not has(manifest, image):
            raise RegistryError(
                f"{image.name}:{image.tag} was pushed, but not as {image.digest}", hint="./inv build --no-cache"
            )
    return replace(image, pushed=True)
