"""Trivy in a container of its own image, where this machine has no program."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from build import variables
from build.engine import client as docker
from build.engine import hardening

_SOCKET = "/var/run/docker.sock"
_DOCKER_CONFIG = "/etc/docker-client"
_CERTIFICATES = ("SSL_CERT_FILE", "TRIVY_CACERT")


def command(image: str, arguments: Sequence[str], cache: Path, environment: Mapping[str, str]) -> list[str]:
    """The command that runs `trivy ARGUMENTS` in a container.

    Its files have the same paths there as here. It may write to `cache` and beside what follows `--output`; it sees the
    registry by the host's network, the engine only for an image in it, and logins that need no helper program.
    """
    written = [cache, *(Path(value).parent for flag, value in _pairs(arguments) if flag == "--output")]
    read = [path for word in arguments if (path := Path(word)).is_absolute() and path.is_file()]
    values = {name: _inside(Path(value)) if name == "TMPDIR" else value for name, value in environment.items()}
    passed = [name for name in variables.patterns("Trivy", "honoured") if name in os.environ]
    for name in _CERTIFICATES:
        if (bundle := os.environ.get(name)) and (path := Path(bundle).absolute()).is_file():
            read.append(path)
            values[name] = _inside(path)
    mounts = [f"type=bind,source={path},target={_inside(path)}" for path in dict.fromkeys(written)]
    for path in dict.fromkeys(read):
        if not any(path.is_relative_to(folder) for folder in written):
            mounts.append(f"type=bind,source={path},target={_inside(path)},readonly")
    config = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker").absolute() / "config.json"
    if config.is_file():
        mounts.append(f"type=bind,source={config},target={_DOCKER_CONFIG}/config.json,readonly")
        values["DOCKER_CONFIG"] = _DOCKER_CONFIG
    user = _user()
    if ("--image-src", "docker") in _pairs(arguments):
        socket = _socket()
        mounts.append(f"type=bind,source={socket},target={_SOCKET}")
        user += ["--group-add", str(Path(socket).stat().st_gid)] if user else []
    return [
        docker.docker(), "run", "--rm", "--network", "host", "--read-only", *user,
        *(word for name in hardening.DROPPED_CAPABILITIES for word in ("--cap-drop", name)),
        *(word for name in hardening.SECURITY_OPTIONS for word in ("--security-opt", name)),
        "--workdir", _inside(cache),
        *(word for mount in mounts for word in ("--mount", mount)),
        *(word for name in passed if name not in values for word in ("--env", name)),
        *(word for name, value in values.items() for word in ("--env", f"{name}={value}")),
        image, *(_inside(path) if (path := Path(word)).is_absolute() else word for word in arguments),
    ]  # fmt: skip


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    return list(itertools.pairwise(words))


def _inside(path: Path) -> str:
    """The path in the container: the same, but C:\\work is /C/work."""
    return str(PurePosixPath("/", path.drive.rstrip(":"), *path.parts[1:])) if sys.platform == "win32" else str(path)


def _socket() -> str:
    """The engine's socket on this machine; where the engine is in a virtual machine, the one in there."""
    host = os.environ.get("DOCKER_HOST") or docker.cli(
        "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"
    ).stdout.strip()  # fmt: skip
    path = host.removeprefix("unix://")
    return path if sys.platform == "linux" and host.startswith("unix://") and Path(path).exists() else _SOCKET


def _user() -> list[str]:
    """This user, so that the reports are theirs; none where the engine maps its root to this user by itself."""
    if sys.platform != "linux" or os.getuid() == 0 or Path(_socket()).stat().st_uid == os.getuid():
        return []
    return ["--user", f"{os.getuid()}:{os.getgid()}"]
