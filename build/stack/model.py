"""What runs, for every deploy target: the manifest's containers with their images, hardened alike.

A target renders this model (compose.py) and adds nothing of its own to what a container may do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from build.config.manifest import Container as Settings
from build.config.manifest import Manifest, Service
from build.engine import hardening

RELEASE_FILE = "release.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Healthcheck:
    """When the image's own HEALTHCHECK runs, in seconds; without a start interval the first run waits an interval."""

    interval: float = 10
    timeout: float = 5
    retries: int = 3
    start_period: float = 60
    start_interval: float = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Tmpfs:
    """A writable folder in memory: its path, its size and its mode."""

    target: str = "/tmp"
    size: str = "128m"
    mode: int = 0o1777


@dataclass(frozen=True, kw_only=True, slots=True)
class LogRotation:
    """How much of a container's output the engine keeps."""

    size: str = "10m"
    files: int = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The most that a container may use: memory as Docker writes it, CPUs, processes."""

    memory: str
    cpus: str
    pids: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Port:
    """A TCP port of a container and where it is published."""

    published: int
    target: int
    address: str = "127.0.0.1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mount:
    """A path of the host and where a container reads it; it can't be written."""

    source: Path
    target: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """A network of the stack; an internal one has no gateway to the outside."""

    name: str
    internal: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """One container: its image, what it is given, and the hardening that the manifest can't switch off.

    `volumes` maps a volume to its path in the container; `depends_on` names the containers that must be healthy first.
    """

    image: str
    environment: Mapping[str, str]
    networks: tuple[str, ...]
    ports: tuple[Port, ...]
    volumes: Mapping[str, str]
    mounts: tuple[Mount, ...]
    secrets: tuple[str, ...]
    depends_on: tuple[str, ...]
    limits: Limits
    user: str = hardening.USER
    read_only: bool = True
    dropped_capabilities: tuple[str, ...] = hardening.DROPPED_CAPABILITIES
    security_options: tuple[str, ...] = hardening.SECURITY_OPTIONS
    tmpfs: tuple[Tmpfs, ...] = (Tmpfs(),)
    restart: str = hardening.RESTART
    stop_grace_seconds: float = 10
    healthcheck: Healthcheck = Healthcheck()
    logs: LogRotation = LogRotation()


@dataclass(frozen=True, kw_only=True, slots=True)
class Stack:
    """A set of containers by name, with the networks, volumes and secret files that they share.

    `networks` and `volumes` map the name that a container uses to that in the engine; `secrets` a secret to its file.
    `labels` are those of everything in it.
    """

    name: str
    containers: Mapping[str, Container]
    networks: Mapping[str, Network]
    volumes: Mapping[str, str]
    secrets: Mapping[str, Path]
    labels: Mapping[str, str] = field(default_factory=dict)


def stack(
    manifest: Manifest, images: Mapping[str, str], *, secrets: Path, labels: Mapping[str, str] | None = None
) -> Stack:
    """The stack of every container whose service has an entry in `images` (service → image reference).

    `secrets` is the folder of the secret files. A dependency on a container that is left out is left out, too.
    """
    chosen = {name: entry for name, entry in manifest.containers().items() if entry[0] in images}
    project = manifest.project.name
    return Stack(
        name=project,
        containers={
            name: _container(manifest, name, manifest.services[service], settings, images[service], chosen)
            for name, (service, settings) in chosen.items()
        },
        networks={
            "edge": Network(name=f"{project}-edge"),
            "internal": Network(name=f"{project}-internal", internal=True),
        },
        volumes={
            volume: f"{project}-{volume}"
            for volume in sorted({volume for _, settings in chosen.values() for volume in settings.volumes})
        },
        secrets={
            secret: secrets / secret
            for secret in sorted({secret for _, settings in chosen.values() for secret in settings.secrets})
        },
        labels=labels or {},
    )


def _container(
    manifest: Manifest, name: str, service: Service, settings: Settings, image: str, chosen: Mapping[str, object]
) -> Container:
    sources = [(manifest.source(key), target) for key, target in settings.mounts.items()]
    # The services can't see where they are published, and some name their own address to clients.
    environment = {"UC_SERVICE": name, "UC_PUBLISHED_PORT": str(settings.published)}
    if folder := service.release_folder:
        # A file, which may change while its readers run: a variable would start them anew with each release.
        sources.append((manifest.workspace.release, folder))
        environment["UC_RELEASE_FILE"] = f"{folder}/{RELEASE_FILE}"
    return Container(
        image=image,
        environment=environment | settings.environment,
        networks=service.networks,
        ports=(Port(published=settings.published, target=service.port),),
        volumes=settings.volumes,
        mounts=tuple(Mount(source=path, target=target) for path, target in sources if path),
        secrets=settings.secrets,
        depends_on=tuple(other for other in settings.depends_on if other in chosen),
        limits=Limits(memory=service.memory, cpus=service.cpus, pids=service.pids),
    )
