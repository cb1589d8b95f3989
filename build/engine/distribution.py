"""What brings Docker to each system: the packages of Debian and Ubuntu, and for others the command to give."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

DOCS = "https://docs.docker.com/engine/install/"
SUITE = "trixie"  # the first Debian whose engine, buildx and Compose are new enough
RELEASE_FILE = Path("/etc/os-release")
_DEBIAN = ("docker.io", "docker-cli", "docker-buildx", "docker-compose")
_UBUNTU = ("docker.io", "docker-buildx", "docker-compose-v2")
_ALSO = ("iptables", "mmdebstrap")
_COMMANDS = {
    "fedora": "sudo dnf install moby-engine docker-buildx docker-compose && sudo systemctl enable --now docker",
    "arch": "sudo pacman -S docker docker-buildx docker-compose && sudo systemctl enable --now docker",
    "alpine": "apk add docker docker-cli-buildx docker-cli-compose && rc-service docker start",
    "suse": "sudo zypper install docker docker-buildx docker-compose && sudo systemctl enable --now docker",
    "darwin": "brew install --cask docker-desktop, then open -a Docker",
    "win32": "winget install Docker.DockerDesktop, then start it and leave 'Use the WSL 2 based engine' on",
}


def read(path: Path = RELEASE_FILE) -> dict[str, str]:
    """The fields of os-release(5); empty where there is none."""
    if not path.is_file():
        return {}
    pairs = (line.partition("=") for line in path.read_text(encoding="utf-8").splitlines())
    return {key: value.strip("\"'") for key, _, value in pairs if value}


def packages(release: Mapping[str, str], *, plugins_only: bool = False) -> tuple[str, ...]:
    """The packages to install, as apt takes them; none where the distribution is not supported.

    `plugins_only` leaves out the engine and its client, which are there already.
    """
    present = 2 if plugins_only else 0
    also = () if plugins_only else _ALSO
    if release.get("ID") == "ubuntu":
        return (*_UBUNTU[min(present, 1) :], *also)
    if release.get("ID") != "debian" or release.get("VERSION_ID", "99") in {"9", "10", "11"}:
        return ()
    suffix = f"/{SUITE}" if release.get("VERSION_ID") == "12" else ""
    return (*(package + suffix for package in _DEBIAN[present:]), *also)


def command(release: Mapping[str, str]) -> str:
    """The command that installs Docker on another distribution, by its ID or one it is like; else Docker's pages."""
    names = (release.get("ID", ""), *release.get("ID_LIKE", "").split())
    return next((_COMMANDS[name] for name in names if name in _COMMANDS), DOCS)


def advice(path: Path = RELEASE_FILE) -> str:
    """The command that brings Docker to this machine: our own where it can install, else the system's."""
    if sys.platform != "linux":
        return _COMMANDS.get(sys.platform, DOCS)
    release = read(path)
    return "./inv engine --yes" if packages(release) else command(release)
