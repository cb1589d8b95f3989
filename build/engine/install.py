"""Docker Engine, buildx and Compose: used as they are, started, or installed on Debian and Ubuntu.

An engine from elsewhere is never replaced, a daemon that answers is left alone: the error says what its owner can do.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from build import console
from build.config.manifest import Tools
from build.engine import apt, daemon, distribution, root
from build.engine import client as docker
from build.errors import BuildError, MissingTool, ToolFailed
from build.process import run

_DESKTOP_ON_WINDOWS = Path("/mnt/c/Program Files/Docker/Docker")


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """The files of this machine that an installation reads and writes."""

    release: Path = distribution.RELEASE_FILE
    apt: Path = apt.CONFIGURATION
    config: Path = Path("/etc/docker/daemon.json")


def ensure(tools: Tools, environment: Mapping[str, str], *, yes: bool, interactive: bool) -> dict[str, str]:
    """The versions of a working engine, buildx and Compose; what is missing is installed and started first.

    `yes` consents to that, and so does a CI job (CI=true in `environment`); `interactive` allows to ask. Raises
    MissingTool with the exact step where its owner has to take it, ToolFailed when apt or the daemon fails.
    """
    try:
        return docker.require(tools)
    except MissingTool as error:
        problem = error
    if sys.platform != "linux":
        raise MissingTool(str(problem), hint=distribution.advice())
    consent = yes or environment.get("CI", "").lower() == "true"
    _repair(tools, problem, environment, yes=consent, ask=interactive and not consent)
    docker.forget()
    return docker.require(tools)


def _repair(tools: Tools, problem: MissingTool, environment: Mapping[str, str], *, yes: bool, ask: bool) -> None:
    try:
        installed = docker.versions()
    except MissingTool:
        _refuse_foreign_endpoint(problem, environment)
        if not (_has_client() and _has_daemon(environment)):
            install(problem, environment, yes=yes, ask=ask)
        daemon.start(daemon.Daemon(), sudo=root.privilege("starting the Docker daemon"))
        return
    if docker.older(installed["engine"], tools.engine):
        raise MissingTool(str(problem), hint=_engine_upgrade())
    if all(installed.values()):
        template = "{{range .ClientInfo.Plugins}}{{.Path}} {{end}}"
        paths = docker.cli("info", "--format", template, timeout=60).stdout.strip()
        raise MissingTool(str(problem), hint=f"upgrade the plugin: {paths}")
    if _is_installed("docker-ce-cli"):
        raise MissingTool(str(problem), hint="sudo apt-get install docker-buildx-plugin docker-compose-plugin")
    install(problem, environment, yes=yes, ask=ask, plugins_only=True)


def _has_client() -> bool:
    try:
        return bool(docker.docker())
    except MissingTool:
        return False


def _has_daemon(environment: Mapping[str, str]) -> bool:
    return shutil.which("dockerd", path=f"{environment.get('PATH', '')}:/usr/sbin:/sbin") is not None


def _refuse_foreign_endpoint(problem: MissingTool, environment: Mapping[str, str]) -> None:
    """Raise MissingTool when the daemon that does not answer is not this machine's own, or refuses this user."""
    if host := environment.get("DOCKER_HOST", ""):
        raise MissingTool(f"DOCKER_HOST={host}: {problem}", hint="unset DOCKER_HOST, or start the daemon there")
    socket = Path("/var/run/docker.sock")
    if socket.exists() and not os.access(socket, os.W_OK):
        raise problem
    try:
        context = docker.cli("context", "show", timeout=30).stdout.strip()
    except BuildError:
        return
    if context != "default":
        message = f"the daemon of the Docker context '{context}' does not answer"
        raise MissingTool(message, hint="start it, or docker context use default")


def _engine_upgrade() -> str:
    """The command that upgrades the engine, by where it was installed from."""
    system = docker.cli("info", "--format", "{{.OperatingSystem}}", timeout=60).stdout.strip()
    if system == "Docker Desktop":
        return "update Docker Desktop (Settings → Software updates)"
    if _is_installed("docker-ce"):
        return "sudo apt-get install --only-upgrade docker-ce docker-ce-cli containerd.io"
    if _is_installed("docker.io"):
        return "sudo apt-get remove docker.io && ./inv engine --yes   (images and containers stay)"
    return distribution.DOCS


def _is_installed(package: str) -> bool:
    if not shutil.which("dpkg-query"):
        return False
    query = run(["dpkg-query", "--show", "--showformat=${db:Status-Status}", package], ok_codes=(0, 1))
    return query.stdout == "installed"


def install(
    problem: MissingTool,
    environment: Mapping[str, str],
    *,
    yes: bool,
    ask: bool,
    plugins_only: bool = False,
    machine: Machine | None = None,
) -> None:
    """Install the distribution's own packages; on Debian 12, those of Debian trixie.

    Raises MissingTool without consent, without root, or on another distribution; ToolFailed when apt fails.
    """
    machine = machine or Machine()
    release = distribution.read(machine.release)
    packages = distribution.packages(release, plugins_only=plugins_only)
    if not packages or not shutil.which("apt-get"):
        raise MissingTool(str(problem), hint=distribution.command(release))
    if _DESKTOP_ON_WINDOWS.exists():
        name = environment.get("WSL_DISTRO_NAME", "this distribution")
        setting = f"Settings → Resources → WSL integration: switch on {name}"
        raise MissingTool(f"{problem}; Docker Desktop is installed on Windows", hint=f"Docker Desktop → {setting}")
    names = " ".join(packages)
    if ask:
        console.note(f"{problem}. Install {names}? [y/N]")
        yes = sys.stdin.readline().strip().lower() in {"y", "yes"}
    if not yes:
        raise MissingTool(str(problem), hint=f"./inv engine --yes   (installs {names})")
    sudo = root.privilege(f"installing {names}")
    suite = distribution.SUITE
    borrowed = any(package.endswith(f"/{suite}") for package in packages)
    written = apt.add_suite(suite, release.get("VERSION_CODENAME", ""), machine.apt, sudo) if borrowed else []
    try:
        if not plugins_only and not _has_daemon(environment):
            _enable_containerd_store(machine.config, sudo)
        apt.install(packages, sudo)
    except BuildError:
        # A source that fails would make every later `apt-get update` of this machine fail, too.
        if written:
            run([*sudo, "rm", "-f", *map(str, written)])
        raise
    docker.forget()


def _enable_containerd_store(path: Path, sudo: Sequence[str]) -> None:
    """Switch the containerd image store on in daemon.json, unless the file decides it; its other keys stay."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    try:
        config = json.loads(text or "{}")
        features = config.setdefault("features", {})
        if "containerd-snapshotter" in features:
            return
        features["containerd-snapshotter"] = True
    except (ValueError, AttributeError, TypeError):
        message = f"{path} is not a JSON object that dockerd would accept"
        raise ToolFailed(message, hint=f"fix or remove {path}") from None
    root.write(path, json.dumps(config, indent=2) + "\n", sudo)
