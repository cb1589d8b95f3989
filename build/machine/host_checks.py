"""The doctor's checks of the host and the checkout: Python, git, repository, place, privileges, disk."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
from pathlib import Path

from build import variables
from build.config.manifest import Manifest
from build.diagnosis import Diagnosis
from build.engine import disk as disk_space
from build.engine import root
from build.errors import BuildError, RepositoryError
from build.git import history
from build.git.client import version as git_version
from build.machine.docker_checks import Docker, in_wsl
from build.process import run
from build.registry import credentials as docker_login


def python(manifest: Manifest) -> Diagnosis:
    """Whether this is the Python of the locked environment."""
    found = f"{platform.python_version()} in {sys.prefix}"
    if Path(sys.prefix).resolve() != (manifest.root / ".venv").resolve():
        return Diagnosis("warn", f"{found}: not the locked environment", "run tasks as ./inv TASK")
    return Diagnosis("ok", found)


def git(_manifest: Manifest) -> Diagnosis:
    """The version of git. Raises MissingTool when there is none, or one that is too old."""
    return Diagnosis("ok", git_version())


def repository(manifest: Manifest) -> Diagnosis:
    """Whether a version can be computed: a repository with a commit and its whole history."""
    try:
        checkout = history.read(manifest)
    except RepositoryError as error:
        return Diagnosis("fail", str(error), error.hint)
    tags = [line.last_tag for line in checkout.lines.values() if line.last_tag]
    changes = ", uncommitted changes" if checkout.dirty else ""
    found = f"{checkout.commit[:7]}, {', '.join(tags) or 'no version tag'}{changes}"
    try:
        history.require_full(checkout)
    except RepositoryError as error:
        return Diagnosis("fail", f"{found}: {error}", error.hint)
    return Diagnosis("ok", found)


def environment(_manifest: Manifest) -> Diagnosis:
    """Which variables of other tools are set here, obeyed or not passed on, and proxies that containers are given."""
    decided = variables.sorted_by_decision(os.environ)
    parts = {"obeyed": decided["honoured"], "without effect here": decided["neutralised"]}
    with contextlib.suppress(BuildError):  # of a file that can't be read another row tells
        parts["given to builds and containers"] = ["proxies of config.json"] * bool(docker_login.proxies())
    found = "; ".join(f"{title}: {', '.join(names)}" for title, names in parts.items() if names)
    return Diagnosis("ok", found or "no variable of another tool is set")


def place(manifest: Manifest) -> Diagnosis:
    """Whether a checkout in WSL is on a Linux file system."""
    if not in_wsl():
        return Diagnosis("skip", "not WSL")
    if str(manifest.root).startswith("/mnt/"):
        found = f"{manifest.root} is on a Windows drive: slow, and file changes go unnoticed"
        return Diagnosis("warn", found, "git clone it below ~")
    return Diagnosis("ok", f"{manifest.root} is on a Linux file system")


def privilege(_manifest: Manifest, docker: Docker) -> Diagnosis:
    """Whether an engine could be installed, where none answers."""
    if sys.platform == "win32":
        return Diagnosis("skip", "not needed on Windows")
    if root.is_root():
        return Diagnosis("ok", "root")
    if shutil.which("sudo") and run(["sudo", "-n", "true"], ok_codes=range(256), timeout=10).returncode == 0:
        return Diagnosis("ok", "sudo without a password")
    if docker.answers:
        return Diagnosis("ok", "neither root nor sudo, but the engine answers")
    return Diagnosis("warn", "not root, and installing the engine needs it", "sudo ./inv engine --yes")


def disk(manifest: Manifest, docker: Docker) -> Diagnosis:
    """Whether there is space for images, here and where the engine keeps its data."""
    places = [manifest.workspace.root]
    if docker.answers and not docker.desktop:
        places.append(Path(docker.info.get("DockerRootDir") or "/"))
    space = disk_space.free(places)
    state = disk_space.state(space)
    return Diagnosis(state, disk_space.describe(space), "" if state == "ok" else disk_space.HINT)
