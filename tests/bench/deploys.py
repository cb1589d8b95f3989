"""A deploy beside `docker compose up --wait` and `docker stack deploy`: the same nine containers, and their downtime.

Three releases of this repository are made in a clone: the second differs in one service, the third in all. Each side
has a project of its own; both were deployed by the toolkit once, so that networks, secrets and volumes are there.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from build import console
from build.config.manifest import Manifest
from build.engine import client as docker
from tests.bench.publishing import own_registry
from tests.bench.timing import ROOT, Rows, medians
from tests.support.load import Answers, Load
from tests.support.own_engine import own_engine
from tests.support.project import Project
from tests.support.server import Registry
from tests.support.stack import clean, free_port

CHANGED = "langgraph-api"
_RATE = 5.5  # nine containers are asked fifty times a second
_HEALTHY_SECONDS = 120
_AT_REST_SECONDS = 3
_IDENTITY = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


@dataclass
class Checkout:
    """A clone of this repository with an `origin` of its own, in which releases are made and deployed."""

    project: Project
    environment: dict[str, str]
    versions: list[str] = field(default_factory=list)

    def inv(self, *arguments: str) -> str:
        """What `./inv ARGUMENTS` prints. Raises AssertionError if it fails."""
        argv = self.project.command(*arguments)
        done = subprocess.run(
            argv, cwd=self.project.root, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def result(self, *arguments: str) -> Any:
        """What a task has as its result."""
        return json.loads(self.inv(*arguments, "--json"))["result"]

    def release(self, *folders: str) -> None:
        """Release a change in these folders of services."""
        for folder in folders:
            with (self.project.root / folder / "Dockerfile").open("a") as file:
                file.write(f"LABEL bench={len(self.versions)}\n")
        self.project.commit(f"fix: Change {len(folders)}")
        self.project.git("push", "--quiet", "origin", "main")
        self.inv("release", "--skip-scan", "--skip-smoke")
        self.versions.append(self.project.git("describe", "--tags", "--abbrev=0").removeprefix("v"))


@dataclass
class Side:
    """A project on an engine, and how a release gets there: by the toolkit, or by its files and docker's own command."""

    checkout: Checkout
    target: str
    engine: list[str]
    kind: str
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def project(self) -> str:
        """The name of its project."""
        return f"uct-{self.target}"

    def bring(self, version: str) -> float:
        """Seconds until the release runs."""
        began = time.perf_counter()
        if not self.files:
            self.checkout.inv("deploy", version, "--target", self.target)
        else:
            file, root = str(self.files[version]), self.checkout.project.root
            words = {
                "compose": ["compose", "--project-name", self.project, "--file", file, "up", "--detach", "--wait"],
                "swarm": ["stack", "deploy", "--detach=false", "--with-registry-auth", "-c", file, self.project],
            }
            subprocess.run([*self.engine, *words[self.kind]], cwd=root, check=True, capture_output=True)
        return time.perf_counter() - began

    def back(self, version: str) -> float:
        """Seconds until the release that ran before runs again."""
        if self.files:
            return self.bring(version)
        began = time.perf_counter()
        self.checkout.inv("rollback", "--target", self.target)
        return time.perf_counter() - began

    def looked_at(self) -> float:
        """Seconds to see what runs."""
        began = time.perf_counter()
        if not self.files:
            self.checkout.inv("status", "--target", self.target)
        else:
            words = ["compose", "--project-name", self.project, "ps"] if self.kind == "compose" else ["stack", "ps", self.project]  # fmt: skip
            subprocess.run([*self.engine, *words], check=True, capture_output=True)
        return time.perf_counter() - began

    def urls(self) -> dict[str, list[str]]:
        """Where each container answers."""
        containers = self.checkout.result("status", "--target", self.target)["containers"]
        return {one["container"]: [f"{one['url']}/health"] for one in containers if one["url"]}

    def under_load(self, version: str) -> dict[str, Answers]:
        """What became of requests to each container while a release was brought."""
        with Load(self.urls(), rate=_RATE, timeout=1) as load:
            time.sleep(_AT_REST_SECONDS)
            self.bring(version)
            time.sleep(_AT_REST_SECONDS)
        return load.answers

    def restarted(self, container: str) -> float:
        """Seconds to stop a container and start it again until it is healthy: the least that replacing it can take."""
        name = f"{self.project}-{container}-1"
        began = time.perf_counter()
        subprocess.run([*self.engine, "stop", name], check=True, capture_output=True)
        subprocess.run([*self.engine, "start", name], check=True, capture_output=True)
        asked = [*self.engine, "inspect", "--format", "{{.State.Health.Status}}", name]
        while (state := subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()) != "healthy":
            assert time.perf_counter() - began < _HEALTHY_SECONDS, f"{container} is {state}"
        return time.perf_counter() - began


@contextlib.contextmanager
def _checkout(manifest: Manifest, folder: Path, address: str) -> Iterator[Checkout]:
    """Three releases, made in a clone."""
    origin, root = folder / "origin.git", folder / "clone"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(ROOT), str(origin)], check=True)
    subprocess.run(["git", "clone", "--quiet", str(origin), str(root)], check=True)
    environment = os.environ | _IDENTITY | {
        "UC_REGISTRY_ADDRESS": address,
        "UC_REGISTRY_NAMESPACE": "bench",
        "UC_BASE_ARCHIVES": os.pathsep.join(str(ROOT / folder) for folder in manifest.bases.archives),
        "UC_RELEASE_STAND_INS": ",".join(manifest.bases.images),
    }  # fmt: skip
    made = Checkout(Project(root), environment)
    made.project.git("config", "user.name", "Bench")
    made.project.git("config", "user.email", "bench@example.invalid")
    folders = {name: service.folder for name, service in manifest.services.items()}
    made.inv("secrets.init")
    made.release(folders[CHANGED])
    made.release(folders[CHANGED])
    made.release(*folders.values())
    yield made
    clean("uct-", f"{address}/bench")


def _table(target: str, manifest: Manifest, settings: Mapping[str, str]) -> str:
    """A target as TOML: nothing is checked or watched that docker's own commands don't."""
    lines = {"project": f'"uct-{target}"', "smoke": "false", "monitor_seconds": "0", **settings}
    ports = "".join(f"{name} = {free_port()}\n" for name in manifest.containers())
    return (
        f"[deploy.targets.{target}]\n"
        + "".join(f"{key} = {value}\n" for key, value in lines.items())
        + f"[deploy.targets.{target}.ports]\n{ports}\n"
    )


def _sides(checkout: Checkout, kind: str, engine: list[str]) -> tuple[Side, Side]:
    """Both sides, each with the first release; theirs has the files of every release."""
    ours, theirs = (Side(checkout, f"{kind}-{name}", engine, kind) for name in ("ours", "theirs"))
    for side in (ours, theirs):
        side.bring(checkout.versions[0])
    name = {"compose": "compose.yaml", "swarm": "stack.yaml"}[kind]
    files = {}
    for version in checkout.versions:
        folder = checkout.project.root.parent / f"{kind}-{version}"
        checkout.inv("manifests", "--version", version, "--target", theirs.target, "--out", str(folder))
        files[version] = folder / name
    theirs.files = files
    return ours, theirs


def _row(what: str, peer: str, taken: tuple[float, float, float], target: str = "") -> tuple[str, ...]:
    ours, theirs, ratio = taken
    return (what, peer, f"{ours:.2f} s", f"{theirs:.2f} s", f"{ratio:.2f}", target)


def _pace(ours: Side, theirs: Side, rounds: int, peer: str) -> Rows:
    """Seconds of updates, ways back, and looks, in turn on both sides."""
    first, one, every = ours.checkout.versions
    taken: dict[str, list[tuple[float, float]]] = {}

    def both(what: str, act: Callable[[Side], float]) -> None:
        seconds = (act(ours), act(theirs))
        console.note(f"{ours.kind}: {what}: {seconds[0]:.2f} s, {seconds[1]:.2f} s")
        taken.setdefault(what, []).append(seconds)

    for version in (one, first):  # docker's own commands replace once what they did not create
        ours.bring(version)
        theirs.bring(version)
    for _ in range(rounds):
        both("one of nine changed", lambda side: side.bring(one))
        both("… and back", lambda side: side.back(first))
        both("all nine changed", lambda side: side.bring(every))
        both("… and all back", lambda side: side.back(first))
        both("a look", lambda side: side.looked_at())
    targets = {"one of nine changed": "<= 1.3"}
    return [_row(f"{ours.kind}: {what}", peer, medians(pairs), targets.get(what, "")) for what, pairs in taken.items()]


def _downtime(ours: Side, theirs: Side, peer: str, least: Mapping[str, float]) -> Rows:
    """Downtime of each container that changes, and failed requests of those that do not."""
    first, one, every = ours.checkout.versions
    rows: Rows = []
    few = [side.under_load(one) for side in (ours, theirs)]
    for side in (ours, theirs):
        side.back(first)
    many = [side.under_load(every) for side in (ours, theirs)]
    for side in (ours, theirs):
        side.back(first)
    for what, (own, other), names in (("one changed", few, [CHANGED]), ("all changed", many, list(few[0]))):
        for name in names:
            ratio = f"{own[name].downtime / least[name]:.2f}" if name in least else ""
            beside = f"{peer}; stop and start" if name in least else peer
            theirs_ = f"{other[name].downtime:.1f} s" + (f"; {least[name]:.1f} s" if name in least else "")
            target = "<= 1.2" if name in least else ""
            rows.append((f"downtime of {name}, {what}", beside, f"{own[name].downtime:.1f} s", theirs_, ratio, target))
    failed = [sum(len(one.failures) for name, one in answers.items() if name != CHANGED) for answers in few]
    sent = [sum(one.sent for name, one in answers.items() if name != CHANGED) for answers in few]
    own_, other_ = (f"{bad} of {asked}" for bad, asked in zip(failed, sent, strict=True))
    rows.append((f"{ours.kind}: failed requests of the unchanged", peer, own_, other_, "", "0"))
    return rows


def bench_deploy(manifest: Manifest, rounds: int) -> Rows:
    """Updates and ways back beside `docker compose up --detach --wait`; downtime, and the least that it can be."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(own_registry(manifest, folder))
        checkout = stack.enter_context(_checkout(manifest, folder, server.address))
        text = "".join(_table(f"compose-{side}", manifest, {"kind": '"compose"'}) for side in ("ours", "theirs"))
        checkout.project.write("versions.local.toml", text)
        ours, theirs = _sides(checkout, "compose", [docker.docker()])
        for side in (ours, theirs):
            stack.callback(clean, side.project, f"{server.address}/bench")
        peer = "compose up -d --wait"
        rows = _pace(ours, theirs, rounds, peer)
        least = {name: ours.restarted(name) for name in ours.urls()}
        return rows + _downtime(ours, theirs, peer, least)


def bench_swarm(manifest: Manifest, rounds: int) -> Rows:
    """The same on a swarm of one node, beside `docker stack deploy --detach=false`."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        console.warn("an engine of its own needs root and dockerd: the swarm is not measured")
        return []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(own_registry(manifest, folder))
        checkout = stack.enter_context(_checkout(manifest, folder, server.address))
        engine = stack.enter_context(own_engine(linked=True))
        engine.docker("swarm", "init", "--advertise-addr", engine.address)
        seen = Registry(server.program, folder / "seen", engine.registry, server.storage)
        seen.start()
        stack.callback(seen.stop)
        settings = {
            "kind": '"swarm"', "host": f'"{engine.tcp}"', "registry": f'"{seen.address}"', "address": '"0.0.0.0"',
            "sources": f'{{ watched = "{manifest.source("watched")}" }}',
        }  # fmt: skip
        text = "".join(_table(f"swarm-{side}", manifest, settings) for side in ("ours", "theirs"))
        checkout.project.write("versions.local.toml", text)
        ours, theirs = _sides(checkout, "swarm", [docker.docker(), "--host", engine.host])
        peer = "stack deploy --detach=false"
        return _pace(ours, theirs, rounds, peer) + _downtime(ours, theirs, peer, {})
