"""The doctor's checks of Docker, from one `docker info`: client, engine, plugins, store, Desktop, clock, ports."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from build.config.manifest import Manifest
from build.diagnosis import Diagnosis
from build.engine import client as engine_client
from build.engine import distribution
from build.engine.ports import listener
from build.errors import BuildError, MissingTool
from build.process import run

_CLOCK_SECONDS = 60
_INFO_SECONDS = 10
_CONCURRENT_SINCE = "28.0"


NO_ENGINE = Diagnosis("skip", "no engine to ask")


@dataclass(frozen=True, kw_only=True, slots=True)
class Docker:
    """The result of one `docker info`; `problem` is why no engine answered, `asked` the time of the request."""

    client: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)
    problem: BuildError | None = None
    asked: float = 0.0

    @property
    def answers(self) -> bool:
        """Whether an engine answered."""
        return bool(self.info.get("ServerVersion"))

    @property
    def desktop(self) -> bool:
        """Whether the engine is Docker Desktop's."""
        return self.info.get("OperatingSystem") == "Docker Desktop"

    def plugin(self, name: str) -> Mapping[str, Any]:
        """The client's description of one of its plugins; empty if it has none of that name."""
        plugins = self.info.get("ClientInfo", {}).get("Plugins") or []
        return next((plugin for plugin in plugins if plugin.get("Name") == name and not plugin.get("Err")), {})


def ask() -> Docker:
    """Ask the client, and through it the engine; a machine without either is a valid answer."""
    try:
        client = engine_client.docker()
    except MissingTool as error:
        return Docker(problem=error)
    try:
        # Without an engine it exits with 0 or 1, depending on its version, and describes the client either way.
        outcome = run([client, "info", "--format", "{{json .}}"], ok_codes=(0, 1), timeout=_INFO_SECONDS)
        docker = Docker(client=client, info=json.loads(outcome.stdout or "{}"), asked=time.time())
    except (BuildError, ValueError) as error:
        problem = error if isinstance(error, BuildError) else MissingTool(f"docker info: {error}")
        return Docker(client=client, problem=problem)
    if docker.answers:
        return docker
    try:
        engine_client.cli("version", "--format", "{{.Server.Version}}", timeout=_INFO_SECONDS)
    except BuildError as error:
        return Docker(client=client, info=docker.info, problem=error)
    return docker


def client(_manifest: Manifest, docker: Docker) -> Diagnosis:
    """The docker binary in use, and whether a person who types `docker` runs another one."""
    if not docker.client:
        return Diagnosis("fail", str(docker.problem), distribution.advice())
    version = docker.info.get("ClientInfo", {}).get("Version", "")
    first = shutil.which("docker") or docker.client
    if Path(first).resolve() != Path(docker.client).resolve():
        found = f"{docker.client} {version}; {first} comes first on PATH and finds no buildx"
        return Diagnosis("warn", found, f"export PATH={Path(docker.client).parent}:$PATH")
    return Diagnosis("ok", f"{docker.client} {version}")


def version(manifest: Manifest, docker: Docker) -> Diagnosis:
    """Whether the engine answers and is new enough."""
    if not docker.answers:
        problem = docker.problem or MissingTool("the engine does not answer", hint=engine_client.PROVISION_HINT)
        if host := os.environ.get("DOCKER_HOST"):
            return Diagnosis("fail", f"{problem} (DOCKER_HOST={host})", "unset DOCKER_HOST, or start it there")
        # That hint leads to the doctor.
        return Diagnosis(
            "fail", str(problem), problem.hint.replace(engine_client.PROVISION_HINT, distribution.advice())
        )
    number, required = str(docker.info["ServerVersion"]), manifest.tools.engine
    if engine_client.older(engine_client.dotted(number), required):
        found = f"{number} is too old: {required} or newer is needed"
        return Diagnosis("fail", found, "./inv engine says how to upgrade it")
    return Diagnosis("ok", f"{number} on {docker.info.get('OperatingSystem')}")


def concurrency(_manifest: Manifest, docker: Docker) -> Diagnosis:
    """Whether builds that run at once can end the engine (moby/buildkit#5606; BuildKit 0.19, first in Engine 28)."""
    if not docker.answers:
        return NO_ENGINE
    number = str(docker.info["ServerVersion"])
    if engine_client.older(engine_client.dotted(number), _CONCURRENT_SINCE):
        found = f"{number}: may end the engine; builds of this toolkit take turns"
        return Diagnosis("warn", found, f"Docker Engine {_CONCURRENT_SINCE} or newer")
    return Diagnosis("ok", "the engine stands several at once")


def buildx(manifest: Manifest, docker: Docker) -> Diagnosis:
    """Whether buildx is installed and new enough."""
    return _plugin(docker, "buildx", manifest.tools.buildx)


def compose(manifest: Manifest, docker: Docker) -> Diagnosis:
    """Whether Compose is installed and new enough."""
    return _plugin(docker, "compose", manifest.tools.compose)


def _plugin(docker: Docker, name: str, required: str) -> Diagnosis:
    if not docker.info:
        return Diagnosis("skip", "no client to ask")
    plugin = docker.plugin(name)
    if not plugin:
        return Diagnosis("fail", "the plugin is not installed", distribution.advice())
    if engine_client.older(engine_client.dotted(plugin["Version"]), required):
        found = f"{plugin['Version']} is too old: {required} or newer is needed"
        return Diagnosis("fail", found, f"upgrade {plugin['Path']}")
    return Diagnosis("ok", str(plugin["Version"]))


def store(_manifest: Manifest, docker: Docker) -> Diagnosis:
    """Whether images are kept in containerd's store: the classic one can't hold provenance, which every build adds."""
    if not docker.answers:
        return NO_ENGINE
    driver = docker.info.get("Driver", "")
    if any("io.containerd.snapshotter" in str(pair) for pair in docker.info.get("DriverStatus") or []):
        return Diagnosis("ok", f"containerd ({driver})")
    remedy = '{"features": {"containerd-snapshotter": true}} in /etc/docker/daemon.json, then restart docker'
    if docker.desktop:
        remedy = "Docker Desktop → Settings → General: Use containerd for pulling and storing images"
    return Diagnosis("fail", f"classic ({driver}): it can't hold provenance, so no image can be built", remedy)


def mode(_manifest: Manifest, docker: Docker) -> Diagnosis:
    """Whether the engine runs Linux containers, which Docker Desktop on Windows may not."""
    if not docker.answers:
        return NO_ENGINE
    kind = docker.info.get("OSType", "")
    if kind != "linux":
        return Diagnosis("fail", f"{kind} containers", "Docker Desktop's icon → Switch to Linux containers…")
    return Diagnosis("ok", f"linux/{docker.info.get('Architecture', '')}")


def desktop(_manifest: Manifest, docker: Docker, proc_version: Path = Path("/proc/version")) -> Diagnosis:
    """Docker Desktop, and in WSL whether it is integrated with this distribution."""
    if docker.desktop:
        return Diagnosis("ok", f"Docker Desktop, {docker.info.get('NCPU')} CPUs, {_gigabytes(docker)} of memory")
    if not in_wsl(proc_version):
        return Diagnosis("skip", "not Docker Desktop")
    if docker.answers:
        return Diagnosis("ok", "WSL with its own engine")
    name = os.environ.get("WSL_DISTRO_NAME", "this distribution")
    remedy = f"Docker Desktop → Settings → Resources → WSL integration: switch on {name}; or ./inv engine --yes"
    return Diagnosis("fail", f"WSL, and {name} has no engine", remedy)


def in_wsl(proc_version: Path = Path("/proc/version")) -> bool:
    """Whether this is a Linux distribution in Windows (WSL)."""
    return proc_version.is_file() and "microsoft" in proc_version.read_text(encoding="utf-8").lower()


def _gigabytes(docker: Docker) -> str:
    return f"{docker.info.get('MemTotal', 0) / 2**30:.0f} GB"


def clock(_manifest: Manifest, docker: Docker) -> Diagnosis:
    """Whether the engine's clock agrees with this one: in a virtual machine it stops while the laptop sleeps."""
    if not docker.answers:
        return NO_ENGINE
    drift = abs(datetime.fromisoformat(docker.info["SystemTime"]).timestamp() - docker.asked)
    if drift > _CLOCK_SECONDS:
        remedy = (
            "wsl --shutdown, or restart Docker Desktop" if docker.desktop or in_wsl() else "sudo hwclock -s, or NTP"
        )
        return Diagnosis("warn", f"the engine's clock differs by {drift:.0f} s", remedy)
    return Diagnosis("ok", "the engine's clock agrees" if drift < 1 else f"the engine's clock differs by {drift:.0f} s")


def ports(manifest: Manifest, docker: Docker) -> Iterator[tuple[str, Diagnosis]]:
    """A row for each published port that another program has, or one row if all are free or our own."""
    published = _published(docker)
    own = 0
    ports = {name: settings.published for name, (_, settings) in manifest.containers().items()}
    taken = []
    for name, port in ports.items():
        if (owner := listener(port)) is None:
            continue
        container, project = published.get(port, ("", ""))
        if project == manifest.project.name:
            own += 1
            continue
        found = f"taken by container {container}" if container else f"taken by {owner}"
        stop = f"docker stop {container}" if container else "stop it"
        remedy = f"{stop}, or give {manifest.published_key(name)} another value in versions.local.toml"
        taken.append((f"port {port}", Diagnosis("fail", f"{found}; {name} publishes it", remedy)))
    if taken:
        yield from taken
    else:
        running = f", {own} of them used by the running stack" if own else ""
        yield "ports", Diagnosis("ok", f"all {len(ports)} are available{running}")


def _published(docker: Docker) -> dict[int, tuple[str, str]]:
    """Host port → the container that publishes it, and its Compose project."""
    if not docker.answers:
        return {}
    template = '{{.Names}}\t{{.Label "com.docker.compose.project"}}\t{{.Ports}}'
    listed = run([docker.client, "ps", "--format", template], timeout=_INFO_SECONDS).stdout
    rows = (line.split("\t") for line in listed.splitlines())
    return {int(port): (name, project) for name, project, ports in rows for port in re.findall(r":(\d+)->", ports)}
