"""A world whose releases are deployed: four containers of three services, releases of them, and sites to deploy to."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from build.images.data_formats import DataFormat
from build.registry.client import RegistryClient
from build.release import claim, publish
from build.release.record import Record, decode
from build.stack import secrets
from tests.support import world as worlds
from tests.support.deployed import Engine
from tests.support.hub import Hub
from tests.support.project import REPOSITORY, Ran
from tests.support.running import Running
from tests.support.spoiled import spoiled
from tests.support.stack import USER_AND_HEALTH, free_port, reuse_bases
from tests.support.world import Clone, World

# Each container's service. `store` keeps data; the others depend on it, and `web` on `pair-a`, too.
CONTAINERS = {"store": "store", "pair-a": "pair", "pair-b": "pair", "web": "web"}
SERVICES = ("store", "pair", "web")
FIRST, WEB_CHANGED, STORE_CHANGED, PAIR_CHANGED = "0.1.0", "0.1.1", "0.1.2", "0.1.3"
TARGET = "here"
Kind = Literal["compose", "swarm", "kubernetes"]
_TABLES = """
[services.store]
folder = "docker/store"
description = "Keeps data"
port = 8000
published = 18991
bases = ["python"]
networks = ["internal", "edge"]
secrets = ["alpha"]
volumes = { store-data = "/data" }
mounts = { notes = "/notes" }
environment = { GREETING = "a $HOME and ${NAME:-word}, $$ \\"quoted\\"" }

[services.pair]
folder = "docker/pair"
description = "Runs twice"
port = 8000
bases = ["python"]
networks = ["internal", "edge"]
secrets = ["alpha", "beta"]
depends_on = ["store"]
[services.pair.containers.pair-a]
published = 18992
environment = { GREETING = "a" }
[services.pair.containers.pair-b]
published = 18993
environment = { GREETING = "b", SAME = "everywhere" }

[services.web]
folder = "docker/web"
description = "Keeps nothing"
port = 8000
published = 18994
bases = ["python"]
release_folder = "/release"
depends_on = ["pair-a", "store"]
memory = "128m"
pids = 64
"""
_SMOKE = """
[[services.{name}.smoke]]
name = "answers"
path = "/smoke"
json = {{ status = "healthy" }}
deadline_seconds = 3
"""
_START = "FROM python\nCOPY deployable.py content /app/\nENV SAME=everywhere\n"
_DOCKERFILE = f'{_START}{USER_AND_HEALTH}ENTRYPOINT ["python3", "/app/deployable.py"]\n'
_VOLUME_FOLDER = "RUN mkdir /data && chown 10001:10001 /data\n"
_NUMBERS = itertools.count(1)


@dataclass(slots=True)
class Releases:
    """The world and its releases; `forged` ones are published by the library from digests, without a build."""

    world: World
    made: dict[str, Record] = field(default_factory=dict)
    _minor: int = 100
    _variants: dict[tuple[tuple[str, str], ...], str] = field(default_factory=dict)

    def record(self, version: str) -> Record:
        """The record of a release, as its git tag on the remote has it."""
        if version not in self.made:
            self.made[version] = decode(self.world.record_bytes(f"v{version}").rstrip())
        return self.made[version]

    def digests(self, version: str) -> dict[str, str]:
        """The digest of each service in a release."""
        return {name: service.digest for name, service in self.record(version).services.items()}

    def release(self, service: str) -> str:
        """Release a change of one service with the real `./inv release`, without its gates; return the version."""
        self.world.clone.commit(service)
        ran = self.world.clone.release("--json")
        assert ran.code == 0, ran.text
        return max(
            (tag.removeprefix("v") for tag in self.world.git_tags()),
            key=lambda version: [int(part) for part in version.split(".")],
        )

    def forge(
        self, digests: Mapping[str, str], *, of: str = FIRST, complete: bool = True,
        data: Mapping[str, dict[str, DataFormat]] | None = None,
    ) -> str:  # fmt: skip
        """Publish a release with the digests of the release `of`, changed to `digests`; return its version.

        It is claimed on the remote and recorded in the registry as any other; not `complete`, only claimed. A digest
        that the registry lacks gets no tag. `data` are the formats that services state.
        """
        self._minor += 1
        version = f"0.{self._minor}.0"
        clone, earlier = self.world.clone, self.record(of)
        services = {
            name: replace(service, digest=digests.get(name, service.digest), data=(data or {}).get(name, service.data))
            for name, service in earlier.services.items()
        }
        commit = clone.touch(f"fix: {version}")
        record = replace(earlier, version=version, tag=f"v{version}", previous=of, commit=commit, services=services)
        claims = [claim.prepare(clone.project.root, record, f"Release {version}")]
        claim.push(clone.project.root, "origin", claims)
        self.made[version] = record
        if complete:
            self.complete(version)
        return version

    def variant(self, **ways: str) -> str:
        """The version of a release like FIRST with these services' images spoiled, each in its way; made once."""
        key = tuple(sorted(ways.items()))
        if key not in self._variants:
            record, hub = self.record(FIRST), self.world.hub
            self._variants[key] = self.forge(
                {
                    service: spoiled(hub, record.repository_of(service), record.services[service].digest, way)
                    for service, way in ways.items()
                }
            )
        return self._variants[key]

    def complete(self, version: str) -> None:
        """Publish a release that is only claimed."""
        record, hub = self.made[version], self.world.hub
        with RegistryClient(self.world.clone.project.load()) as registry:
            there = {
                name: service
                for name, service in record.services.items()
                if hub.digest(record.repository_of(name), service.digest)
            }
            publish.images(registry, replace(record, services=there), {})
            publish.record(registry, record)


@dataclass(slots=True)
class Site:
    """A deploy target of a test's own, as a checkout of its own sees it; everything of it goes at the end."""

    releases: Releases
    clone: Clone
    project: str
    ports: dict[str, int]
    engine: Engine
    address: str = "127.0.0.1"
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The folder of the checkout."""
        return self.clone.project.root

    @property
    def secrets(self) -> Path:
        """The folder of its secret files."""
        return self.clone.project.load().workspace.secrets

    def url(self, container: str, path: str = "/") -> str:
        """Where a container is published."""
        return f"http://{self.address}:{self.ports[container]}{path}"

    def start(self, *arguments: str, **environment: str) -> Running:
        """Start a task in the checkout."""
        return self.clone.start(*arguments, **self.variables | environment)

    def inv(self, *arguments: str, **environment: str) -> Ran:
        """Run a task in the checkout to its end."""
        return self.start(*arguments, **environment).wait()

    def deploy(self, version: str, *arguments: str, **environment: str) -> Ran:
        """Run `./inv deploy VERSION --json`."""
        return self.inv("deploy", version, *arguments, "--json", **environment)

    def rollback(self, *arguments: str, **environment: str) -> Ran:
        """Run `./inv rollback --json`."""
        return self.inv("rollback", *arguments, "--json", **environment)

    def status(self, **environment: str) -> Any:
        """What `./inv status --json` has as its result."""
        ran = self.inv("status", "--json", **environment)
        assert ran.code == 0, f"{ran.code}: {ran.text}"
        return ran.result

    def deploys(self, **environment: str) -> Any:
        """What `./inv deploys --json` has as its result."""
        ran = self.inv("deploys", "--json", **environment)
        assert ran.code == 0, ran.text
        return ran.result

    def another(self) -> Site:
        """The same target from another checkout, as from another machine."""
        clone = self.releases.world.another()
        shutil.copyfile(self.root / "versions.local.toml", clone.project.root / "versions.local.toml")
        # Links: a copy would be the tests' user's, and the containers' one alone may read them.
        shutil.copytree(self.secrets, clone.project.load().workspace.secrets, copy_function=os.link)
        return replace(self, clone=clone)

    @contextlib.contextmanager
    def settings(self, **values: str) -> Iterator[None]:
        """Set keys of the target to TOML values, as long as the block runs."""
        file = self.root / "versions.local.toml"
        before = file.read_text()
        others = tuple(f"{key} = " for key in values)
        kept = "".join(line for line in before.splitlines(keepends=True) if not line.startswith(others))
        lines = "".join(f"{key} = {value}\n" for key, value in values.items())
        head = f"[deploy.targets.{TARGET}]\n"
        file.write_text(kept.replace(head, head + lines))
        try:
            yield
        finally:
            file.write_text(before)


def make(folder: Path, namespace: str, address: str, hub: Hub, bases: dict[str, Any]) -> Releases:
    """Create the world and its releases FIRST to PAIR_CHANGED; in each after the first, one service has changed."""
    project, text = worlds.begin(folder, namespace, address)
    text = text.replace('watched = ""', 'notes = ""').replace('alpha = "random"', 'alpha = "random"\nbeta = "random"')
    smoke = "".join(_SMOKE.format(name=name) for name in SERVICES)
    release = '\n[release]\nstand_ins = ["python"]\n\n[smoke]\njourney = ""\n'
    project.write("versions.toml", text + release + _TABLES + smoke)
    project.write(".gitignore", ".uc/\n__pycache__/\nversions.local.toml\n")
    program = (REPOSITORY / "tests" / "support" / "programs" / "deployable.py").read_text()
    for name in SERVICES:
        dockerfile = _DOCKERFILE.replace("USER", _VOLUME_FOLDER + "USER") if name == "store" else _DOCKERFILE
        project.write(f"docker/{name}/Dockerfile", dockerfile)
        project.write(f"docker/{name}/deployable.py", program)
        project.write(f"docker/{name}/content", f"{name}\n")
    reuse_bases(project, bases)
    project.commit("feat: start")
    world = worlds.attach(folder, namespace, address, hub)
    releases = Releases(world)
    ran = world.clone.release()
    assert ran.code == 0, ran.text
    for service, expected in (("web", WEB_CHANGED), ("store", STORE_CHANGED), ("pair", PAIR_CHANGED)):
        assert releases.release(service) == expected
    return releases


def site(
    releases: Releases, engine: Engine, folder: Path, *, kind: Kind = "compose", address: str = "127.0.0.1",
    settings: Mapping[str, str] | None = None,
) -> Site:  # fmt: skip
    """A target that nothing was deployed to yet, in a checkout of its own, with secrets and a source `notes`.

    `settings` are further keys of the target, as TOML values.
    """
    project = f"uct-d{os.getpid()}-{next(_NUMBERS)}"
    ports = {container: free_port() for container in CONTAINERS}
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    note = folder / "note"
    note.write_text("a note\n")
    note.chmod(0o644)
    clone = releases.world.another()
    values = {
        "kind": f'"{kind}"', "project": f'"{project}"', "address": f'"{address}"', "health_seconds": "30",
        "monitor_seconds": "0", **(settings or {}),
    }  # fmt: skip
    lines = "".join(f"{key} = {value}\n" for key, value in values.items())
    published = "".join(f"{container} = {port}\n" for container, port in ports.items())
    clone.project.write(
        "versions.local.toml",
        f"[deploy.targets.{TARGET}]\n{lines}\n[deploy.targets.{TARGET}.ports]\n{published}\n"
        f'[deploy.targets.{TARGET}.sources]\nnotes = "{folder}"\n',
    )
    secrets.initialise(clone.project.load())
    return Site(releases, clone, project, ports, engine, address)
