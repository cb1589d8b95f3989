"""Where Trivy comes from: this environment, PATH, a mirror, its own image; the first that there is.

Its package has a wheel for Linux on x86-64 alone. What is on PATH must be new enough, what a mirror has must have the
hash of [tools.trivy_sha256] for this system, and the image is the one that [tools] names.
"""

from __future__ import annotations

import functools
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from build.config.manifest import Tools
from build.diagnosis import Diagnosis
from build.engine import client as docker
from build.errors import MissingTool, ToolFailed
from build.gates.scan import mirror
from build.process import run
from build.waiting import waiting

_INSTALL = {"darwin": "brew install trivy", "win32": "winget install AquaSecurity.Trivy"}
_SECONDS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """A Trivy that can be run: where it comes from, and its path or the reference of its image."""

    source: Literal["this environment", "PATH", "mirror", "image"]
    place: str


def find(tools: Tools, folder: Path) -> Program:
    """The Trivy to run; that of a mirror is fetched into `folder`, and an image by the engine, if it is not there yet.

    Raises MissingTool when there is none, and when a mirror or the engine can't provide what is configured.
    """
    if (installed := _installed(tools)) is not None:
        return installed
    if tools.trivy_mirror:
        return Program(source="mirror", place=str(mirror.provide(tools, folder, system())))
    if tools.trivy_image:
        _pull(tools.trivy_image)
        return Program(source="image", place=tools.trivy_image)
    raise _missing(tools)


def examine(tools: Tools, folder: Path) -> Diagnosis:
    """Which Trivy would be run, and its version as far as it is here; nothing is fetched. Raises as `find` does."""
    if (installed := _installed(tools)) is not None:
        return Diagnosis("ok", f"{version(installed.place)}, {installed.source}: {installed.place}")
    if tools.trivy_mirror:
        path = mirror.path(tools, folder, system())
        state = version(str(path)) if path.exists() else "not fetched yet"
        return Diagnosis("ok", f"{state}, mirror: {mirror.url(tools, system())}")
    if not tools.trivy_image:
        raise _missing(tools)
    state = "fetched" if _is_present(tools.trivy_image) else "not fetched yet"
    found = f"image {tools.trivy_image}, {state}"
    if "@sha256:" in tools.trivy_image:
        return Diagnosis("ok", found)
    return Diagnosis(
        "warn", f"{found}; a tag may be moved", '[tools] trivy_image = "…@sha256:…" in versions.local.toml'
    )


def version(path: str) -> str:
    """The version of the program at `path`, "" if it does not say. Raises ToolFailed when it can't be run."""
    return _version(path, Path(path).stat().st_mtime_ns)


@functools.cache
def _version(path: str, _changed: int) -> str:
    return docker.dotted(run([path, "--version"], timeout=_SECONDS).stdout)


def system() -> str:
    """This system as Trivy's releases name it: Linux-ARM64, macOS-64bit, windows-64bit."""
    names = {"linux": "Linux", "darwin": "macOS", "win32": "windows"}
    arm = platform.machine().lower() in {"arm64", "aarch64"}
    return f"{names.get(sys.platform, sys.platform)}-{'ARM64' if arm else '64bit'}"


def _installed(tools: Tools) -> Program | None:
    """The one beside this Python, which the lock names; else the one on PATH, unless it is too old."""
    if beside := shutil.which("trivy", path=str(Path(sys.executable).parent)):
        return Program(source="this environment", place=beside)
    path = shutil.which("trivy")
    if path is None or docker.older(version(path), tools.trivy):
        return None
    return Program(source="PATH", place=path)


def _missing(tools: Tools) -> MissingTool:
    path = shutil.which("trivy")
    problem = f"{path} is {version(path) or 'of no known version'}" if path else "it is neither here nor on PATH"
    hint = f"{_INSTALL.get(sys.platform, 'put trivy on PATH')}; or [tools] trivy_mirror or trivy_image in versions.toml"
    return MissingTool(f"Trivy {tools.trivy} or newer is needed, and {problem}", hint=hint)


def _is_present(image: str) -> bool:
    try:
        docker.cli("image", "inspect", "--format", "{{.Id}}", image, timeout=_SECONDS)
    except ToolFailed:
        return False
    return True


@functools.cache
def _pull(image: str) -> None:
    if _is_present(image):
        return
    try:
        with waiting(f"fetching {image}"):
            docker.cli("pull", "--quiet", image)
    except ToolFailed as error:
        hint = "name a copy of it: [tools] trivy_image; or trivy_mirror, or a trivy on PATH"
        raise MissingTool(f"Trivy's image {image} can't be fetched", hint=hint, output=error.output) from None
