"""The types of versions.toml, as frozen dataclasses; `build.config.load` reads and checks it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from build.config import rules
from build.config.deploy import DeploySettings
from build.config.signing import SigningSettings
from build.config.workspace import Workspace

NOT_KEYS = ("root", "folder")  # fields of Manifest that no file sets
BASE_SOURCES = ("upstream", "mirror", "archive", "stand-in")


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """The project's name and title, and the version that counting starts from without a tag."""

    name: rules.Name
    title: rules.Text
    version: rules.FirstVersion


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """The minimum version of each tool, as dotted numbers, and where Trivy comes from if it is not installed.

    In `trivy_mirror`, {system} and {archive} are replaced; `trivy_sha256` has the hash of what is there, by system.
    """

    engine: rules.ToolVersion
    buildx: rules.ToolVersion
    compose: rules.ToolVersion
    trivy: rules.ToolVersion = "0.76"
    trivy_mirror: rules.TrivyMirror = ""
    trivy_image: str = ""
    trivy_sha256: dict[rules.TrivySystem, rules.Hash] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistrySettings:
    """The registry that images and releases are pushed to; `embedded`: the toolkit serves it on loopback."""

    address: rules.RegistryAddress
    namespace: rules.Namespace
    embedded: bool = True
    username: str = ""
    password_file: str = ""
    ca_file: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseImage:
    """An upstream image that Dockerfiles use in FROM, and the contents of its stand-in."""

    reference: rules.Text
    digest: rules.Digest = ""
    packages: tuple[str, ...] = ()
    archive: str = ""
    archive_sha256: rules.Sha256 = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bases:
    """The base images by key, and the sources that they come from.

    `supported_until` has the last day of security fixes (YYYY-MM-DD) of lines such as "node:20" or "debian:trixie".
    """

    images: dict[str, BaseImage]
    source: Literal["auto", "upstream", "mirror", "archive", "stand-in"] = "auto"
    mirror: str = ""
    archives: tuple[str, ...] = ()
    suite: rules.Text = "trixie"
    supported_until: dict[str, rules.Day] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gates:
    """What the scan looks for, the severities that refuse, and the source of the vulnerability database.

    `vex` are globs of OpenVEX documents. `db_repository` is "default" (Trivy's public ones), "none" or a repository.
    `debian_security`: what packages older than Debian's security suite do.
    Without `require_vulnerabilities` a release needs the check of vulnerabilities and a scan does not; with it, both
    need it or neither does.
    """

    severity: tuple[Literal["UNKNOWN", "LOW", "MEDIUM", "HIGH", "CRITICAL"], ...] = ("HIGH", "CRITICAL")
    scanners: tuple[Literal["vuln", "secret", "misconfig", "license"], ...] = ("vuln", "secret")
    db_repository: str = "default"
    db_max_age_hours: rules.Positive = 48
    waivers_file: str = ""
    vex: tuple[str, ...] = ("vex/*.openvex.json",)
    debian_security: Literal["warn", "refuse", "off"] = "warn"
    require_vulnerabilities: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseSettings:
    """How versions are computed and releases made.

    `remote` is the git remote whose tags decide who owns a version ("" or not configured: this clone decides).
    `branches` are globs of the branches that may release. `types` maps a Conventional Commits type to its bump.
    `major_on_zero`: a breaking change leaves 0.y.z; otherwise, it bumps the minor there. `stand_ins` are the bases
    whose stand-ins a release may use. `conventional_since` is the commit after which
    every message is to be a Conventional Commit. `merge_titles`: a merge counts by the title of its pull or merge
    request; `squash_bodies`: the list of commits in the body of a squash is read as commits of their own.
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
    merge_titles: bool = False
    squash_bodies: bool = False
    types: dict[str, Literal["major", "minor", "patch", "none"]] = field(
        default_factory=lambda: {"feat": "minor", "fix": "patch", "perf": "patch", "revert": "patch"}
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterSettings:
    """What the filter over sources and contexts leaves in: patterns as in .dockerignore, relative to what is sent."""

    allow: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A build stage shared by several services; it is never pushed."""

    folder: rules.Text
    target: rules.Text
    bases: tuple[str, ...] = ()
    build_secrets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SmokeCheck:
    """A request to a container and its expected response: `json` is a subset, `contains` a substring.

    The kind `inventory` fails for what a health report declares critical and not ready. A check with `needs` applies
    where the container declares all of them.
    """

    name: rules.Text
    kind: Literal["http", "mcp", "inventory"] = "http"
    needs: tuple[rules.Need, ...] = ()
    method: rules.Method = "GET"
    path: rules.UrlPath = "/"
    status: rules.Status = 200
    secret: str = ""
    body: dict[str, Any] | None = None
    json: dict[str, Any] = field(default_factory=dict)
    contains: str = ""
    deadline_seconds: rules.Seconds = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class SmokeSettings:
    """What the smoke checks do beside those of the services: the journey across the stack, "" for none."""

    journey: Literal["triage", ""] = "triage"


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """A container of a service; it is published on loopback. Its tables are merged with those of the service."""

    published: rules.Port
    environment: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    volumes: dict[str, str] = field(default_factory=dict)
    mounts: dict[str, str] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """An image and the containers that run it.

    It listens on `port` inside its containers; without a `containers` table, `published` (default: `port`) is published
    on loopback. `contexts` maps a named build context to `source:KEY` or `stage:KEY`; `volumes` a volume to its path;
    `mounts` a source to the path where it is mounted read-only. `release_folder` is where its containers read which
    release runs. `paths` are further paths that the image is built from. `vendored` are the locks of packages that it
    has as plain files. `critical` are names or globs of what the service has from its sources and can't do without.
    """

    folder: rules.Text
    description: rules.Text
    port: rules.Port
    published: rules.PortOrZero = 0
    bases: tuple[str, ...] = ()
    contexts: dict[str, rules.Context] = field(default_factory=dict)
    build_secrets: tuple[str, ...] = ()
    args: dict[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    vendored: tuple[str, ...] = ()
    critical: tuple[str, ...] = ()
    target: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    networks: tuple[Literal["edge", "internal"], ...] = ("edge",)
    volumes: dict[str, str] = field(default_factory=dict)
    mounts: dict[str, str] = field(default_factory=dict)
    release_folder: str = ""
    depends_on: tuple[str, ...] = ()
    memory: rules.Memory = "512m"
    cpus: rules.Cpus = "1.0"
    pids: rules.Positive = 256
    containers: dict[rules.Name, Container] = field(default_factory=dict)
    smoke: tuple[SmokeCheck, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The whole manifest; its paths are relative to `root`, the workspace is `folder` below it. Neither is a key."""

    project: Project
    tools: Tools
    registry: RegistrySettings
    bases: Bases
    services: dict[rules.Name, Service] = field(default_factory=dict)
    root: Path = Path()
    folder: str = ".uc"
    gates: Gates = field(default_factory=Gates)
    release: ReleaseSettings = field(default_factory=ReleaseSettings)
    signing: SigningSettings = field(default_factory=SigningSettings)
    smoke: SmokeSettings = field(default_factory=SmokeSettings)
    deploy: DeploySettings = field(default_factory=DeploySettings)
    build_secrets: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    filter: FilterSettings = field(default_factory=FilterSettings)
    secrets: dict[str, Literal["random", "external"]] = field(default_factory=dict)
    stages: dict[str, Stage] = field(default_factory=dict)

    @property
    def workspace(self) -> Workspace:
        """The paths that the toolkit writes to: digests, reports, secrets, caches."""
        return Workspace(self.root / self.folder)

    @property
    def home(self) -> str:
        """ADDRESS/NAMESPACE, the prefix of every repository of this project."""
        return f"{self.registry.address}/{self.registry.namespace}"

    def image(self, service: str) -> str:
        """Return the image name of a service, without tag or digest."""
        return f"{self.home}/{service}"

    def source(self, key: str) -> Path | None:
        """Return the folder, or the mkdocs.yml, of a `[sources]` entry; None if it is not configured."""
        value = self.sources.get(key, "")
        return self.root / value if value else None

    def containers(self) -> dict[str, tuple[str, Container]]:
        """Map every container of the stack to its service and its settings, merged with the service's own."""
        merged: dict[str, tuple[str, Container]] = {}
        for name, service in self.services.items():
            for container, own in (
                service.containers or {name: Container(published=service.published or service.port)}
            ).items():
                merged[container] = (name, _merge(service, own))
        return merged

    def published_key(self, container: str) -> str:
        """Return the path of the key that sets the port that a container is published on."""
        service = self.containers()[container][0]
        own = f".containers.{container}" if container in self.services[service].containers else ""
        return f"services.{service}{own}.published"


def keys(kind: type) -> dict[str, dataclasses.Field[Any]]:
    """Return the keys of a table of this type with their fields: the manifest's own paths are none."""
    own = NOT_KEYS if kind is Manifest else ()
    return {key.name: key for key in dataclasses.fields(kind) if key.name not in own}


def _merge(service: Service, own: Container) -> Container:
    return Container(
        published=own.published,
        environment={**service.environment, **own.environment},
        secrets=tuple(dict.fromkeys((*service.secrets, *own.secrets))),
        volumes={**service.volumes, **own.volumes},
        mounts={**service.mounts, **own.mounts},
        depends_on=tuple(dict.fromkeys((*service.depends_on, *own.depends_on))),
    )
