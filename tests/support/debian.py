"""Programs from Debian packages for tests, unpacked next to the reports: nothing is installed on the machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.support.machine import lacking

# Nothing of the toolkit is imported: the environment of the docs service, whose tests use this too, does not have it.
_FOLDER = Path(__file__).resolve().parents[2] / ".uc" / "debian"
_TRANSFERS = ("Acquire::Retries=5", "Acquire::http::Timeout=30")


@dataclass(frozen=True, slots=True)
class Program:
    """An executable, and the environment that it needs."""

    path: str
    environment: dict[str, str]


def program(package: str, name: str, inside: str) -> Program:
    """Return `name` from PATH, otherwise `inside` from the package, downloaded with its missing dependencies.

    Skips the test if apt does not have the package, fails it if CI=true.
    """
    if found := shutil.which(name):
        return Program(found, dict(os.environ))
    root = _FOLDER / package
    try:
        if not (root / inside).exists():
            _unpack(package, root)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        reason = f"no {name} on PATH, and apt can't give the package {package}: {said.strip()}"
        lacking(reason)
    libraries = sorted({str(path.parent) for path in root.glob("**/*.so*") if "lib" in path.parts})
    search = os.pathsep.join([*libraries, os.environ.get("LD_LIBRARY_PATH", "")]).rstrip(os.pathsep)
    return Program(str(root / inside), {**os.environ, "LD_LIBRARY_PATH": search})


def _unpack(package: str, root: Path) -> None:
    try:
        plan = _apt("--simulate", "--no-install-recommends", "install", package)
    except subprocess.CalledProcessError:
        _apt("update")
        plan = _apt("--simulate", "--no-install-recommends", "install", package)
    shutil.rmtree(root, ignore_errors=True)
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
        downloads, unpacked = Path(folder) / "packages", Path(folder) / "root"
        downloads.mkdir()
        _apt("download", *re.findall(r"^Inst (\S+)", plan, re.M), cwd=downloads)
        for file in downloads.glob("*.deb"):
            subprocess.run(["dpkg", "--extract", str(file), str(unpacked)], check=True, capture_output=True, text=True)
        # The folder appears complete or not at all: an interrupted download is repeated.
        unpacked.rename(root)


def _apt(*arguments: str, cwd: Path | None = None) -> str:
    argv = ["apt-get", "-qq", *(part for option in _TRANSFERS for part in ("--option", option)), *arguments]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        argv, cwd=cwd, env=environment, check=True, capture_output=True, text=True, timeout=300
    ).stdout
