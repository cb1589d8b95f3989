"""A project with ./inv of its own: a real tasks.py, a lock, and wheels that its pip finds without a network.

The wheel of invoke is put together from the one that runs these tests.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
TASKS = """
import sys
from pathlib import Path
from invoke import task
@task
def show(c, file=""):
    print(f"root={Path(__file__).parent} cwd={Path.cwd()} file={file and Path(file).read_text()}")
@task
def leave(c, code=0):
    sys.exit(code)
"""


def wheel(folder: Path, name: str, files: Mapping[str, bytes]) -> str:
    """Write the wheel NAME 1.0 into the folder; its line for a lock."""
    info = f"{name}-1.0.dist-info"
    metadata = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": b"[console_scripts]\ninvoke = invoke.main:program.run\n"
        if name == "invoke"
        else b"",
        f"{info}/RECORD": b"",
    }
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for place, content in {**files, **metadata}.items():
            archive.writestr(place, content)
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


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
        (self.root / "requirements.txt").write_text("".join(lines))

    @property
    def packages(self) -> set[str]:
        return {path.name.partition("-")[0] for path in (self.root / ".venv").glob("lib/*/site-packages/*.dist-info")}


def python_without_ensurepip(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "python3.14"
    script.write_text(f'#!/bin/sh\ncase $* in *ensurepip*) exit 1 ;; esac\nexec "{sys.executable}" "$@"\n')
    script.chmod(0o755)


def make_project(folder: Path, wheels: Path, line: str) -> Project:
    root = folder / "my project"
    root.mkdir()
    for name in ("inv", "inv.py"):
        shutil.copy2(ROOT / name, root / name)
    (root / "tasks.py").write_text(TASKS)
    python_without_ensurepip(folder / "quick")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "INVOKE_", "CI"))}
    environment |= {"PATH": f"{folder / 'quick'}:/usr/bin:/bin", "PIP_FIND_LINKS": str(wheels)}
    environment |= {"PIP_NO_INDEX": "1", "PIP_NO_COMPILE": "1"}
    project = Project(root=root, wheels=wheels, environment=environment)
    project.lock(line)
    return project
