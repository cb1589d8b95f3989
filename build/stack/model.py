"""What runs, for every deploy target: the manifest's containers with their images, hardened alike.

A target renders this model (compose.py) and adds nothing of its own to what a container may do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from build.config.deploy import VOLUME
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
    """A path of the host, or with `is_volume` a volume's name, and where a container reads it; it can't be written."""

    source: Path
    target: str
    is_volume: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """A network of the stack; an internal one has no gateway to the outside."""

    name: str
    internal: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """One container: its image, what it is given, and the hardening that the manifest can't switch off.

    `volumes` maps a volume to its path in the container; `depends_on` names the containers that must be healthy first.
    `release_folder` is where it reads which release runs, on a target that has a way of its own to put it there.
    `replicas` and `placement` are for targets that have several machines.
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
    release_folder: str = ""
    replicas: int = 1
    placement: tuple[str, ...] = ()

    @property
    def is_stateful(self) -> bool:
        """Whether it writes to a volume: then two of it must never run at the same time."""
        return bool(self.volumes)


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """Where a stack runs: what it is called there, and what it finds there.

    `published` are the ports of containers that have another one there; `sources` maps a source to its path there, or
    to `volume:NAME`. `release` is the folder that containers read which release runs from; None: the target gives it to
    them in its own way.
    """

    project: str
    secrets: Path
    sources: Mapping[str, str]
    release: Path | None = None
    address: str = "127.0.0.1"
    published: Mapping[str, int] = field(default_factory=dict)
    replicas: Mapping[str, int] = field(default_factory=dict)
    placement: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def checkout(manifest: Manifest, secrets: Path) -> Site:
    """The site of a checkout's own stack: this machine, the checkout's sources, and the folder of secret files."""
    return Site(
        project=manifest.project.name,
        secrets=secrets,
        sources={key: str(path) for key in manifest.sources if (path := manifest.source(key))},
        release=manifest.workspace.release,
    )


def stack(
    manifest: Manifest, images: Mapping[str, str], site: Site, *, labels: Mapping[str, str] | None = None
) -> Stack:
    """The stack of every container whose service has an entry in `images` (service → image reference).

    A dependency on a container that is left out is left out, too.
    """
    chosen = {name: entry for name, entry in manifest.containers().items() if entry[0] in images}
    project = site.project
    return Stack(
        name=project,
        containers={
            name: _container(site, name, manifest.services[service], settings, images[service], chosen)
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
            secret: site.secrets / secret
            for secret in sorted({secret for _, settings in chosen.values() for secret in settings.secrets})
        },
        labels=labels or {},
    )


def announcement(
    images: Mapping[str, str], versions: Mapping[str, str], others: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Which release runs, for the containers that read it: {"version", "services": {NAME: {"version", "image"}}}.

    A version is null for an image of no release; the version of the whole is that of all its services, null where they
    differ. `others` are services as they were announced before.
    """
    services = dict(others or {})
    services |= {name: {"version": versions.get(name), "image": image} for name, image in images.items()}
    common = {service["version"] for service in services.values()}
    return {"version": common.pop() if len(common) == 1 else None, "services": services}


def _container(
    site: Site, name: str, service: Service, settings: Settings, image: str, chosen: Mapping[str, object]
) -> Container:
    sources = [(source, target) for key, target in settings.mounts.items() if (source := site.sources.get(key))]
    published = site.published.get(name, settings.published)
    # The services can't see where they are published, and some name their own address to clients.
    environment = {"UC_SERVICE": name, "UC_PUBLISHED_PORT": str(published)}
    if folder := service.release_folder:
        # A file, which may change while its readers run: a variable would start them anew with each release.
        if site.release:
            sources.append((str(site.release), folder))
        environment["UC_RELEASE_FILE"] = f"{folder}/{RELEASE_FILE}"
    return Container(
        image=image,
        environment=environment | settings.environment,
        networks=service.networks,
        ports=(Port(published=published, target=service.port, address=site.address),),
        volumes=settings.volumes,
        mounts=tuple(_mount(source, target) for source, target in sources),
        secrets=settings.secrets,
        depends_on=tuple(other for other in settings.depends_on if other in chosen),
        limits=Limits(memory=service.memory, cpus=service.cpus, pids=service.pids),
        release_folder="" if site.release else service.release_folder,
        replicas=site.replicas.get(name, 1),
        placement=site.placement.get(name, ()),
    )


def _mount(source: str, target: str) -> Mount:
    if source.startswith(VOLUME):
        return Mount(source=Path(source.removeprefix(VOLUME)), target=target, is_volume=True)
    return Mount(source=Path(source), target=target)
