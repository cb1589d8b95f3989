"""A project with ./inv of its own: a real tasks.py, two locks, and wheels that pip and uv find without a network.

The wheels of invoke and uv are put together from those that are installed here.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
TASKS = """
import os
import sys
from pathlib import Path
from invoke.collection import Collection
from build.program.task import group, task
ROOT = Path(__file__).parent
@task()
def show(_c, *, file=""):
    print(f"root={ROOT} cwd={Path.cwd()} file={file and Path(file).read_text()}")
@task()
def leave(_c, *, code=0):
    sys.exit(code)
@task()
def pid(_c):
    print(os.getpid())
ns = Collection(*group("Tasks", show, leave, pid))
"""


def wheel(folder: Path, name: str, files: Mapping[str, bytes], *, tag: str = "py3-none-any") -> str:
    """Write the wheel NAME 1.0 into the folder; its line for a lock."""
    info = f"{name}-1.0.dist-info"
    metadata = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: " + tag.encode() + b"\n",
        f"{info}/entry_points.txt": b"[console_scripts]\ninvoke = invoke.main:program.run\n"
        if name == "invoke"
        else b"",
    }
    record = "".join(f"{place},{_digest(content)},{len(content)}\n" for place, content in {**files, **metadata}.items())
    metadata[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for place, content in {**files, **metadata}.items():
            archive.writestr(_member(place), content)
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def _digest(content: bytes) -> str:
    """A hash as RECORD has it."""
    return f"sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()}"


def _member(place: str) -> zipfile.ZipInfo:
    """An entry of a wheel, executable where it is a program."""
    member = zipfile.ZipInfo(place)
    member.external_attr = (0o100755 if ".data/scripts/" in place else 0o100644) << 16
    return member


def uv_files() -> dict[str, bytes]:
    """The program of the uv that is installed here."""
    program = Path(sysconfig.get_path("scripts")) / "uv"
    return {"uv-1.0.data/scripts/uv": program.read_bytes()}


def invoke_files() -> dict[str, bytes]:
    """The modules of the invoke that is installed here."""
    files = importlib.metadata.files("invoke") or []
    return {str(file): file.read_binary() for file in files if file.suffix == ".py" or "py.typed" in file.name}


@dataclass
class Project:
    """A project with ./inv, a tasks.py, a lock, and the wheels that its pip finds."""

    root: Path
    wheels: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(
        self, *arguments: str, program: tuple[str, ...] = ("./inv",), cwd: Path | None = None
    ) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        argv = [*program, *arguments]
        return subprocess.Popen(
            argv,
            cwd=cwd or self.root,
            env=self.environment,
            stdout=pipe,
            stderr=pipe,
            text=True,
            start_new_session=True,
        )

    def run(
        self, *arguments: str, program: tuple[str, ...] = ("./inv",), cwd: Path | None = None
    ) -> tuple[int, str, str]:
        process = self.start(*arguments, program=program, cwd=cwd)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def lock(self, *lines: str) -> None:
        """Write requirements.txt."""
        (self.root / "requirements.txt").write_text("".join(lines))

    def test_lock(self, *lines: str) -> None:
        """Write requirements-test.txt."""
        (self.root / "requirements-test.txt").write_text("".join(lines))

    @property
    def add_tests(self) -> tuple[str, ...]:
        """The words that put the packages of tests on top of .venv, as a nox session says them."""
        return (str(self.root / ".venv/bin/python"), "-m", "build.machine.environment")

    @property
    def log(self) -> str:
        """What pip and uv said the last time."""
        return (self.root / ".uc/setup.log").read_text()

    @property
    def packages(self) -> set[str]:
        return {path.name.partition("-")[0] for path in (self.root / ".venv").glob("lib/*/site-packages/*.dist-info")}


def this_python(folder: Path) -> None:
    """Put a `python3.14` into the folder, which is looked for first; it is the Python that runs these tests."""
    _python(folder, "")


def python_without_ensurepip(folder: Path) -> None:
    """Put a `python3.14` that lacks ensurepip into the folder; it is the Python that runs these tests."""
    _python(folder, "case $* in *ensurepip*) exit 1 ;; esac\n")


def _python(folder: Path, before: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "python3.14"
    script.write_text(f'#!/bin/sh\n{before}exec "{sys.executable}" "$@"\n')
    script.chmod(0o755)


def make_project(folder: Path, wheels: Path, *lines: str) -> Project:
    """A project whose requirements.txt has these lines, and whose requirements-test.txt has none."""
    root = folder / "my project"
    root.mkdir()
    for name in ("inv", "inv.py"):
        shutil.copy2(ROOT / name, root / name)
    shutil.copytree(ROOT / "build", root / "build", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "tasks.py").write_text(TASKS)
    this_python(folder / "python")
    foreign = ("PIP_", "UV_", "INVOKE_", "CI", "GITHUB_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environment |= {"PATH": f"{folder / 'python'}:/usr/bin:/bin", "PIP_FIND_LINKS": str(wheels)}
    environment |= {"PIP_NO_INDEX": "1", "PIP_NO_COMPILE": "1", "UV_CACHE_DIR": str(folder / "uv-cache")}
    project = Project(root=root, wheels=wheels, environment=environment)
    project.lock(*lines)
    project.test_lock()
    return project
