"""What the doctor asks Docker, by one `docker info`: client, engine, plugins, image store, Desktop, clock, ports."""

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
from typing import Any, Literal, NamedTuple

from build.config.manifest import Manifest
from build.engine import client as engine_client
from build.engine import install
from build.engine.ports import listener
from build.errors import BuildError, MissingTool
from build.process import run

State = Literal["ok", "warn", "fail", "skip"]
_CLOCK_SECONDS = 60
_INFO_SECONDS = 10


class Finding(NamedTuple):
    """What one check found, and for a warning or a failure what to do about it."""

    state: State
    found: str
    remedy: str = ""


NO_ENGINE = Finding("skip", "no engine to ask")


@dataclass(frozen=True, kw_only=True, slots=True)
class Docker:
    """What one `docker info` said: `answers` tells whether an engine did; `problem` why it did not."""

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
        """What the client says of one of its plugins; empty when it has none of that name."""
        plugins = self.info.get("ClientInfo", {}).get("Plugins") or []
        return next((plugin for plugin in plugins if plugin.get("Name") == name and not plugin.get("Err")), {})


def ask() -> Docker:
    """Ask the client, and through it the engine; a machine without either is an answer, too."""
    try:
        client = engine_client.docker()
    except MissingTool as error:
        return Docker(problem=error)
    try:
        # Exit code 0 or 1 by version when no engine answers; the client's part is there either way.
        asked = run([client, "info", "--format", "{{json .}}"], ok_codes=(0, 1), timeout=_INFO_SECONDS)
        docker = Docker(client=client, info=json.loads(asked.stdout or "{}"), asked=time.time())
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


def client(_manifest: Manifest, docker: Docker) -> Finding:
    """Which docker binary is used, and whether a person who types `docker` gets another one."""
    if not docker.client:
        return Finding("fail", str(docker.problem), install.advice())
    version = docker.info.get("ClientInfo", {}).get("Version", "")
    first = shutil.which("docker") or docker.client
    if Path(first).resolve() != Path(docker.client).resolve():
        found = f"{docker.client} {version}; {first} comes first on PATH and finds no buildx"
        return Finding("warn", found, f"export PATH={Path(docker.client).parent}:$PATH")
    return Finding("ok", f"{docker.client} {version}")


def version(manifest: Manifest, docker: Docker) -> Finding:
    """Whether the engine answers and is new enough."""
    if not docker.answers:
        problem = docker.problem or MissingTool("the engine does not answer", hint=engine_client.PROVISION_HINT)
        if host := os.environ.get("DOCKER_HOST"):
            return Finding("fail", f"{problem} (DOCKER_HOST={host})", "unset DOCKER_HOST, or start it there")
        # That hint sends people here.
        return Finding("fail", str(problem), problem.hint.replace(engine_client.PROVISION_HINT, install.advice()))
    found, wanted = str(docker.info["ServerVersion"]), manifest.tools.engine
    if engine_client.older(_number(found), wanted):
        return Finding(
            "fail", f"{found} is too old: {wanted} or newer is needed", "./inv engine says how to upgrade it"
        )
    return Finding("ok", f"{found} on {docker.info.get('OperatingSystem')}")


def _number(text: str) -> str:
    match = re.search(r"\d+(\.\d+)+", text)
    return match.group(0) if match else ""


def buildx(manifest: Manifest, docker: Docker) -> Finding:
    """Whether buildx is there and new enough."""
    return _plugin(docker, "buildx", manifest.tools.buildx)


def compose(manifest: Manifest, docker: Docker) -> Finding:
    """Whether Compose is there and new enough."""
    return _plugin(docker, "compose", manifest.tools.compose)


def _plugin(docker: Docker, name: str, wanted: str) -> Finding:
    if not docker.info:
        return Finding("skip", "no client to ask")
    plugin = docker.plugin(name)
    if not plugin:
        return Finding("fail", "the plugin is not installed", install.advice())
    if engine_client.older(_number(plugin["Version"]), wanted):
        found = f"{plugin['Version']} is too old: {wanted} or newer is needed"
        return Finding("fail", found, f"upgrade {plugin['Path']}")
    return Finding("ok", str(plugin["Version"]))


def store(_manifest: Manifest, docker: Docker) -> Finding:
    """Whether images live in containerd's store: the classic one refuses provenance, which every build here has."""
    if not docker.answers:
        return NO_ENGINE
    driver = docker.info.get("Driver", "")
    if any("io.containerd.snapshotter" in str(pair) for pair in docker.info.get("DriverStatus") or []):
        return Finding("ok", f"containerd ({driver})")
    remedy = '{"features": {"containerd-snapshotter": true}} in /etc/docker/daemon.json, then restart docker'
    if docker.desktop:
        remedy = "Docker Desktop → Settings → General: Use containerd for pulling and storing images"
    return Finding("fail", f"classic ({driver}): it can't hold provenance, so no image can be built", remedy)


def mode(_manifest: Manifest, docker: Docker) -> Finding:
    """Whether the engine runs Linux containers: Docker Desktop on Windows can be switched."""
    if not docker.answers:
        return NO_ENGINE
    kind = docker.info.get("OSType", "")
    if kind != "linux":
        return Finding("fail", f"{kind} containers", "Docker Desktop's icon → Switch to Linux containers…")
    return Finding("ok", f"linux/{docker.info.get('Architecture', '')}")


def desktop(_manifest: Manifest, docker: Docker, proc_version: Path = Path("/proc/version")) -> Finding:
    """Docker Desktop, and in WSL whether its integration reaches this distribution."""
    if docker.desktop:
        return Finding("ok", f"Docker Desktop, {docker.info.get('NCPU')} CPUs, {_gigabytes(docker)} of memory")
    if not in_wsl(proc_version):
        return Finding("skip", "not Docker Desktop")
    if docker.answers:
        return Finding("ok", "WSL with an engine of its own")
    name = os.environ.get("WSL_DISTRO_NAME", "this distribution")
    remedy = f"Docker Desktop → Settings → Resources → WSL integration: switch on {name}; or ./inv engine --yes"
    return Finding("fail", f"WSL, and no engine reaches {name}", remedy)


def in_wsl(proc_version: Path = Path("/proc/version")) -> bool:
    """Whether this is a distribution inside Windows."""
    return proc_version.is_file() and "microsoft" in proc_version.read_text(encoding="utf-8").lower()


def _gigabytes(docker: Docker) -> str:
    return f"{docker.info.get('MemTotal', 0) / 2**30:.0f} GB"


def clock(_manifest: Manifest, docker: Docker) -> Finding:
    """Whether the engine's clock is ours: a virtual machine's stands still while the laptop sleeps."""
    if not docker.answers:
        return NO_ENGINE
    apart = abs(datetime.fromisoformat(docker.info["SystemTime"]).timestamp() - docker.asked)
    if apart > _CLOCK_SECONDS:
        remedy = (
            "wsl --shutdown, or restart Docker Desktop" if docker.desktop or in_wsl() else "sudo hwclock -s, or NTP"
        )
        return Finding("warn", f"the engine's clock is {apart:.0f} s from this one", remedy)
    return Finding("ok", "the engine's is this one" if apart < 1 else f"the engine's is {apart:.0f} s away")


def ports(manifest: Manifest, docker: Docker) -> Iterator[tuple[str, Finding]]:
    """A row for each published port that is another's, or one for all when they are free or ours."""
    published = _published(docker)
    ours = 0
    wanted = {name: settings.port for name, (_, settings) in manifest.containers().items()}
    taken = []
    for name, port in wanted.items():
        if (owner := listener(port)) is None:
            continue
        container, project = published.get(port, ("", ""))
        if project == manifest.project.name:
            ours += 1
            continue
        found = f"taken by container {container}" if container else f"taken by {owner}"
        stop = f"docker stop {container}" if container else "stop it"
        remedy = f"{stop}, or give {name} another port in versions.local.toml"
        taken.append((f"port {port}", Finding("fail", f"{found}; {name} publishes it", remedy)))
    if taken:
        yield from taken
    else:
        running = f", {ours} of them held by the running stack" if ours else ""
        yield "ports", Finding("ok", f"all {len(wanted)} are free or ours{running}")


def _published(docker: Docker) -> dict[int, tuple[str, str]]:
    """Host port → the container that publishes it, and its Compose project."""
    if not docker.answers:
        return {}
    template = '{{.Names}}\t{{.Label "com.docker.compose.project"}}\t{{.Ports}}'
    listed = run([docker.client, "ps", "--format", template], timeout=_INFO_SECONDS).stdout
    rows = (line.split("\t") for line in listed.splitlines())
    return {int(port): (name, project) for name, project, ports in rows for port in re.findall(r":(\d+)->", ports)}
