"""Docker Engine, buildx and Compose: taken as they are, started, or on Debian and Ubuntu installed.

A foreign engine is never replaced and a daemon that answers never touched: then the error says what its owner can do.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from build import console
from build.config.manifest import Tools
from build.engine import client as docker
from build.engine import daemon
from build.errors import BuildError, MissingTool, ToolFailed
from build.process import run

SUITE = "trixie"  # the first Debian whose engine, buildx and Compose are new enough
_DEBIAN = ("docker.io", "docker-cli", "docker-buildx", "docker-compose")
_UBUNTU = ("docker.io", "docker-buildx", "docker-compose-v2")
_BESIDE = ("iptables", "mmdebstrap")
_DESKTOP_ON_WINDOWS = Path("/mnt/c/Program Files/Docker/Docker")
_DOCS = "https://docs.docker.com/engine/install/"
_ELSEWHERE = {
    "fedora": "sudo dnf install moby-engine docker-buildx docker-compose && sudo systemctl enable --now docker",
    "arch": "sudo pacman -S docker docker-buildx docker-compose && sudo systemctl enable --now docker",
    "alpine": "apk add docker docker-cli-buildx docker-cli-compose && rc-service docker start",
    "suse": "sudo zypper install docker docker-buildx docker-compose && sudo systemctl enable --now docker",
    "darwin": "brew install --cask docker-desktop, then open -a Docker",
    "win32": "winget install Docker.DockerDesktop, then start it and leave 'Use the WSL 2 based engine' on",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """The places of this machine that an installation reads and writes."""

    release: Path = Path("/etc/os-release")
    apt: Path = Path("/etc/apt")
    config: Path = Path("/etc/docker/daemon.json")


def advice(machine: Machine | None = None) -> str:
    """What brings engine, buildx and Compose to this machine: our own command where it can, else the system's."""
    if sys.platform != "linux":
        return _ELSEWHERE.get(sys.platform, _DOCS)
    release = _release((machine or Machine()).release)
    return "./inv engine --yes" if _packages(release, plugins_only=False) else _of_distribution(release)


def _of_distribution(release: Mapping[str, str]) -> str:
    names = (release.get("ID", ""), *release.get("ID_LIKE", "").split())
    return next((_ELSEWHERE[name] for name in names if name in _ELSEWHERE), _DOCS)


def ensure(tools: Tools, *, yes: bool, interactive: bool) -> dict[str, str]:
    """The versions of a working engine, buildx and Compose; what is not there is installed and started first.

    `yes` consents to that, `interactive` allows to ask. Raises MissingTool with the exact step where it isn't ours to
    take, ToolFailed when apt or the daemon fails.
    """
    try:
        return docker.require(tools)
    except MissingTool as error:
        problem = error
    if sys.platform != "linux":
        raise MissingTool(str(problem), hint=advice())
    _mend(tools, problem, yes=yes, interactive=interactive)
    docker.docker.cache_clear()
    return docker.require(tools)


def _mend(tools: Tools, problem: MissingTool, *, yes: bool, interactive: bool) -> None:
    try:
        found = docker.versions()
    except MissingTool:
        _refuse_foreign_endpoint(problem)
        if not (_has_client() and _has_daemon()):
            install(problem, yes=yes, ask=interactive and not yes)
        daemon.start(daemon.Daemon(), sudo=_privilege("starting the Docker daemon"))
        return
    if docker.older(found["engine"], tools.engine):
        raise MissingTool(str(problem), hint=_upgrade())
    if all(found.values()):
        template = "{{range .ClientInfo.Plugins}}{{.Path}} {{end}}"
        paths = docker.cli("info", "--format", template, timeout=60).stdout.strip()
        raise MissingTool(str(problem), hint=f"upgrade the plugin: {paths}")
    if _installed("docker-ce-cli"):
        raise MissingTool(str(problem), hint="sudo apt-get install docker-buildx-plugin docker-compose-plugin")
    install(problem, yes=yes, ask=interactive and not yes, plugins_only=True)


def _has_client() -> bool:
    try:
        return bool(docker.docker())
    except MissingTool:
        return False


def _has_daemon() -> bool:
    return shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None


def _refuse_foreign_endpoint(problem: MissingTool) -> None:
    """Raise MissingTool where the daemon that does not answer is not this machine's own, or not this user's."""
    if host := os.environ.get("DOCKER_HOST", ""):
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


def _upgrade() -> str:
    """The command that brings a newer engine, by where the present one is from."""
    system = docker.cli("info", "--format", "{{.OperatingSystem}}", timeout=60).stdout.strip()
    if system == "Docker Desktop":
        return "update Docker Desktop (Settings → Software updates)"
    if _installed("docker-ce"):
        return "sudo apt-get install --only-upgrade docker-ce docker-ce-cli containerd.io"
    if _installed("docker.io"):
        return "sudo apt-get remove docker.io && ./inv engine --yes   (images and containers stay)"
    return _DOCS


def _installed(package: str) -> bool:
    if not shutil.which("dpkg-query"):
        return False
    query = run(["dpkg-query", "--show", "--showformat=${db:Status-Status}", package], ok_codes=(0, 1))
    return query.stdout == "installed"


def install(
    problem: MissingTool, *, yes: bool, ask: bool, plugins_only: bool = False, machine: Machine | None = None
) -> None:
    """Install the distribution's own packages, or those of Debian trixie on the Debian before it.

    Raises MissingTool without consent, without root, or on another distribution; ToolFailed when apt fails.
    """
    machine = machine or Machine()
    release = _release(machine.release)
    packages = _packages(release, plugins_only=plugins_only)
    if not packages or not shutil.which("apt-get"):
        raise MissingTool(str(problem), hint=_of_distribution(release))
    if _DESKTOP_ON_WINDOWS.exists():
        name = os.environ.get("WSL_DISTRO_NAME", "this distribution")
        where = f"Settings → Resources → WSL integration: switch on {name}"
        raise MissingTool(f"{problem}; Docker Desktop is installed on Windows", hint=f"Docker Desktop → {where}")
    what = " ".join(packages)
    if ask:
        console.note(f"{problem}. Install {what}? [y/N]")
        yes = sys.stdin.readline().strip().lower() in {"y", "yes"}
    if not yes:
        raise MissingTool(str(problem), hint=f"./inv engine --yes   (installs {what})")
    sudo = _privilege(f"installing {what}")
    borrowed = any("/" in package for package in packages)
    written = _write_source(machine.apt, release, sudo) if borrowed else []
    try:
        if not plugins_only and not _has_daemon():
            _write_config(machine.config, sudo)
        _apt(sudo, packages)
    except BuildError:
        # A source that fails would fail every later apt-get update of this machine, too.
        if written:
            run([*sudo, "rm", "-f", *map(str, written)])
        raise
    docker.docker.cache_clear()


def _release(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    pairs = (line.partition("=") for line in path.read_text(encoding="utf-8").splitlines())
    return {key: value.strip("\"'") for key, _, value in pairs if value}


def _packages(release: Mapping[str, str], *, plugins_only: bool) -> tuple[str, ...]:
    """What to install, as apt takes it; nothing where the distribution is not one that we install on."""
    first = 2 if plugins_only else 0
    beside = () if plugins_only else _BESIDE
    if release.get("ID") == "ubuntu":
        return (*_UBUNTU[min(first, 1) :], *beside)
    if release.get("ID") != "debian" or release.get("VERSION_ID", "99") in {"9", "10", "11"}:
        return ()
    suffix = f"/{SUITE}" if release.get("VERSION_ID") == "12" else ""
    return (*(package + suffix for package in _DEBIAN[first:]), *beside)


def _privilege(purpose: str) -> list[str]:
    """What to put before a command that needs root. Raises MissingTool when this user may not run one."""
    if os.geteuid() == 0:
        return []
    try:
        run(["sudo", "-n", "true"], timeout=30)
    except (MissingTool, ToolFailed):
        raise MissingTool(f"{purpose} needs root", hint="sudo ./inv engine --yes") from None
    return ["sudo", "-n"]


def _write_source(apt: Path, release: Mapping[str, str], sudo: Sequence[str]) -> list[Path]:
    """Add the suite from the mirror that this machine uses, pinned so low that nothing else comes from it."""
    origin = debian_source(apt, release.get("VERSION_CODENAME", ""))
    if origin is None:
        raise MissingTool(f"{apt} names no Debian mirror to take Docker's packages from", hint=f"see {_DOCS}debian/")
    fields = {"Types": "deb", **origin, "Suites": SUITE, "Components": "main"}
    source = apt / "sources.list.d/unity-claude-trixie.sources"
    preferences = apt / "preferences.d/unity-claude-trixie"
    _put(source, "".join(f"{key}: {value}\n" for key, value in fields.items()), sudo)
    _put(preferences, f"Package: *\nPin: release n={SUITE}\nPin-Priority: 100\n", sudo)
    return [source, preferences]


def debian_source(apt: Path, codename: str) -> dict[str, str] | None:
    """The mirror of Debian `codename` in the machine's apt sources, with the key or the trust that goes with it."""
    for path in (apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))):
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for options, address, suite in re.findall(r"^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+.*\bmain\b", text, re.M):
            if suite == codename and _is_debian(address):
                given = dict(option.split("=", 1) for option in options.lower().split() if "=" in option)
                names = {"signed-by": "Signed-By", "trusted": "Trusted"}
                return {"URIs": address} | {names[key]: value for key, value in given.items() if key in names}
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.M)
        for stanza in re.split(r"\n\s*\n", text):
            fields = dict(re.findall(r"^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)", stanza, re.M))
            addresses = [one for one in fields.get("URIs", "").split() if _is_debian(one)]
            if addresses and codename in fields.get("Suites", "").split() and fields.get("Enabled", "yes") != "no":
                kept = {key: fields[key] for key in ("Signed-By", "Trusted") if key in fields}
                return {"URIs": addresses[0]} | kept
    return None


def _is_debian(address: str) -> bool:
    return bool(re.search(r"/debian/?$", address)) or address.startswith("mirror+file:")


def _write_config(path: Path, sudo: Sequence[str]) -> None:
    """Switch the containerd image store on, and leave every other key of the file, and one that switches it off."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    try:
        config = json.loads(text or "{}")
        features = config.setdefault("features", {})
        if "containerd-snapshotter" in features:
            return
        features["containerd-snapshotter"] = True
    except (ValueError, AttributeError, TypeError):
        raise ToolFailed(
            f"{path} is not a JSON object that dockerd would take", hint=f"mend or remove {path}"
        ) from None
    _put(path, json.dumps(config, indent=2) + "\n", sudo)


def _put(path: Path, text: str, sudo: Sequence[str]) -> None:
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        run([*sudo, "install", "-D", "-m", "644", file.name, str(path)])


def _apt(sudo: Sequence[str], packages: Sequence[str]) -> None:
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", "apt-get", "-o", "DPkg::Lock::Timeout=120"]
    hint = "sudo apt-get update   (apt's sources and proxy are the machine's own)"
    with console.waiting("reading the package lists"):
        run([*apt, "update"], timeout=600, hint=hint)
    argv = ["install", "--yes", "--no-install-recommends", "--option", "Dpkg::Options::=--force-confold", *packages]
    planned = run([*apt, "--simulate", *argv], timeout=300, hint=hint).stdout
    if harm := re.findall(r"^(?:Remv \S+|Inst libc6 \[.*)", planned, re.M):
        message = f"apt would not only add packages: {', '.join(harm)}"
        raise MissingTool(message, hint=f"install Docker by hand: {_DOCS}", output=planned)
    with console.waiting(f"installing {' '.join(packages)}"):
        run([*apt, *argv], timeout=1800, hint=hint)
