"""versions.toml as frozen dataclasses: the shape of the one manifest; `build.loading` reads and checks it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from build.config.workspace import Workspace

BASE_SOURCES = ("upstream", "mirror", "archive", "stand-in")


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """What the whole is called, and the version that counting starts from while there is no tag."""

    name: str
    title: str
    version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """The oldest version of each tool that works, as dotted numbers."""

    engine: str
    buildx: str
    compose: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistrySettings:
    """The registry that images and releases are pushed to; `embedded`: one that this toolkit serves on loopback."""

    address: str
    namespace: str
    embedded: bool = True
    username: str = ""
    password_file: str = ""
    ca_file: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseImage:
    """An upstream image that Dockerfiles name in FROM, and what a stand-in for it is made of."""

    reference: str
    digest: str = ""
    packages: tuple[str, ...] = ()
    archive: str = ""
    archive_sha256: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bases:
    """The base images by key, and in which order and where each is looked for."""

    images: dict[str, BaseImage]
    source: Literal["auto", "upstream", "mirror", "archive", "stand-in"] = "auto"
    mirror: str = ""
    archives: tuple[str, ...] = ()
    suite: str = "trixie"


@dataclass(frozen=True, kw_only=True, slots=True)
class Gates:
    """What the scan looks for, what refuses, and where the vulnerability database comes from."""

    severity: tuple[Literal["UNKNOWN", "LOW", "MEDIUM", "HIGH", "CRITICAL"], ...] = ("HIGH", "CRITICAL")
    scanners: tuple[Literal["vuln", "secret", "misconfig", "license"], ...] = ("vuln", "secret")
    db_repository: str = ""
    db_max_age_hours: int = 48
    ignore_file: str = ""
    require_vulnerabilities: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseSettings:
    """How versions are told and releases made.

    `remote` is the git remote whose tags decide who owns a version ("" or one that is not configured: the local
    repository does). `branches` are the globs of branches that may release. `types` maps a Conventional Commits type to
    what it bumps. `major_on_zero` lets a breaking change leave 0.y.z; without it, it bumps the minor.
    `stand_ins` names the bases whose stand-in a release may stand on. `conventional_since` is the commit after which
    every message is to be a Conventional Commit.
    """

    mode: Literal["lockstep", "independent"] = "lockstep"
    tag_prefix: str = "v"
    remote: str = "origin"
    push_branch: bool = False
    branches: tuple[str, ...] = ("main", "master", "[0-9]*.x")
    authority: Literal["any", "ci"] = "any"
    major_on_zero: bool = False
    stand_ins: tuple[str, ...] = ()
    conventional_since: str = ""
    types: dict[str, Literal["major", "minor", "patch", "none"]] = field(
        default_factory=lambda: {"feat": "minor", "fix": "patch", "perf": "patch", "revert": "patch"}
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A build stage that several services share; it is never pushed."""

    folder: str
    target: str
    bases: tuple[str, ...] = ()
    build_secrets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SmokeCheck:
    """One request to a container and what its answer must be; `json` is a subset, `contains` a substring."""

    name: str
    kind: Literal["http", "mcp"] = "http"
    method: str = "GET"
    path: str = "/"
    status: int = 200
    secret: str = ""
    body: dict[str, Any] | None = None
    json: dict[str, Any] = field(default_factory=dict)
    contains: str = ""
    deadline_seconds: int = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """One container of a service; what it lists is added to the service's own."""

    port: int
    environment: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    volumes: dict[str, str] = field(default_factory=dict)
    mounts: dict[str, str] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """One image and the containers that run it.

    `port` is where it listens inside its containers; a service with no `containers` table publishes `published`, or
    the same number, on loopback.
    `contexts` maps a named build context to `source:KEY` or `stage:KEY`; `volumes` a volume to its path;
    `mounts` a source to the path where it is mounted read-only; `paths` are further paths that the image is built from.
    """

    folder: str
    description: str
    port: int
    published: int = 0
    bases: tuple[str, ...] = ()
    contexts: dict[str, str] = field(default_factory=dict)
    build_secrets: tuple[str, ...] = ()
    args: dict[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    target: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    networks: tuple[Literal["edge", "internal"], ...] = ("edge",)
    volumes: dict[str, str] = field(default_factory=dict)
    mounts: dict[str, str] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    memory: str = "512m"
    cpus: str = "1.0"
    pids: int = 256
    containers: dict[str, Container] = field(default_factory=dict)
    smoke: tuple[SmokeCheck, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The whole manifest; `root` is where its relative paths start from, `folder` what is written to below it."""

    project: Project
    tools: Tools
    registry: RegistrySettings
    bases: Bases
    services: dict[str, Service] = field(default_factory=dict)
    root: Path = Path()
    folder: str = ".uc"
    gates: Gates = field(default_factory=Gates)
    release: ReleaseSettings = field(default_factory=ReleaseSettings)
    build_secrets: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, Literal["random", "external"]] = field(default_factory=dict)
    stages: dict[str, Stage] = field(default_factory=dict)

    @property
    def workspace(self) -> Workspace:
        """Where the toolkit writes for this project: digests, reports, secrets, caches."""
        return Workspace(self.root / self.folder)

    @property
    def home(self) -> str:
        """ADDRESS/NAMESPACE: the place in a registry that images and releases of this project belong to."""
        return f"{self.registry.address}/{self.registry.namespace}"

    def image(self, service: str) -> str:
        """The image name of a service, without tag or digest."""
        return f"{self.home}/{service}"

    def source(self, key: str) -> Path | None:
        """The folder of a `[sources]` entry, or None when it is not configured."""
        value = self.sources.get(key, "")
        return self.root / value if value else None

    def containers(self) -> dict[str, tuple[str, Container]]:
        """Every container of the stack: its name → (its service, its settings with the service's own merged in)."""
        merged: dict[str, tuple[str, Container]] = {}
        for name, service in self.services.items():
            for container, own in (
                service.containers or {name: Container(port=service.published or service.port)}
            ).items():
                merged[container] = (name, _merge(service, own))
        return merged


def _merge(service: Service, own: Container) -> Container:
    return Container(
        port=own.port,
        environment={**service.environment, **own.environment},
        secrets=tuple(dict.fromkeys((*service.secrets, *own.secrets))),
        volumes={**service.volumes, **own.volumes},
        mounts={**service.mounts, **own.mounts},
        depends_on=tuple(dict.fromkeys((*service.depends_on, *own.depends_on))),
    )
