"""A small project in its own folder, with real git and the real `invoke`."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from build.config.load import load
from build.config.manifest import Manifest
from build.program import output_schema

REPOSITORY = Path(__file__).resolve().parents[2]

# The Python base of versions.toml: no test names its version.
PYTHON: str = tomllib.loads((REPOSITORY / "versions.toml").read_text(encoding="utf-8"))["bases"]["images"]["python"][
    "reference"
]

MINIMAL = """\
[project]
name = "{name}"
title = "Test"
version = "0.1.0"

[tools]
engine = "24.0"
buildx = "0.12"
compose = "2.20"

[registry]
address = "127.0.0.1:5000"
namespace = "test"

[bases.images.python]
reference = "{python}"
packages = ["python3", "python3-venv", "ca-certificates"]

[build_secrets]
ca_bundle = "auto"
token = ""

[gates]
db_repository = "none"
require_vulnerabilities = false
debian_security = "off"

[sources]
watched = ""

[secrets]
alpha = "random"
"""

_GIT_IDENTITY = {
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.invalid",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.invalid",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


@functools.cache
def output_validator() -> Draft7Validator:
    """What checks documents of tasks against their schema."""
    return Draft7Validator(output_schema.document())


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished command line: its exit code and both streams."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """The one JSON document that a task prints with --json; it fits the schema of the outputs."""
        document = json.loads(self.stdout)
        output_validator().validate(document)
        return document

    @property
    def result(self) -> Any:
        """What that document has as the task's result."""
        return self.document["result"]

    @property
    def text(self) -> str:
        """Both streams, for messages that may appear on either."""
        return self.stdout + self.stderr


@dataclass(frozen=True, slots=True)
class Project:
    """A project in its own folder: versions.toml, tasks.py, service folders, git."""

    root: Path

    def write(self, name: str, text: str) -> Path:
        """Write a file in the project's folder, creating parent folders."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def append(self, text: str) -> None:
        """Add to versions.toml."""
        path = self.root / "versions.toml"
        path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")

    def service(self, name: str, port: int, dockerfile: str = "FROM scratch\n", **extra: str) -> None:
        """Add a service table and its Dockerfile; `extra` values are written as TOML."""
        lines = "".join(f"{key} = {value}\n" for key, value in extra.items())
        self.append(f'\n[services.{name}]\nfolder = "docker/{name}"\ndescription = "A test"\nport = {port}\n{lines}')
        self.write(f"docker/{name}/Dockerfile", dockerfile)

    def git(self, *arguments: str) -> str:
        """Run git in the project with a fixed identity and without this machine's configuration."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env=os.environ | _GIT_IDENTITY,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, message: str = "Change") -> str:
        """Commit everything, creating the repository if necessary; return the commit's hash."""
        if not (self.root / ".git").exists():
            self.git("init", "--quiet", "--initial-branch", "main")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def load(self, **environment: str) -> Manifest:
        """The project's manifest, as a task would load it under `environment`."""
        return load(self.root, environment)

    def command(self, *arguments: str) -> list[str]:
        """The argv that `./inv ARGUMENTS` executes."""
        return [sys.executable, "-m", "build.program", *arguments]

    def environment(self, **extra: str) -> dict[str, str]:
        """This process's environment with the library on the path, without this machine's manifest overrides."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("UC_")}
        return kept | {"PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1"} | extra

    def inv(self, *arguments: str, timeout: float = 240, **environment: str) -> Ran:
        """Run an invoke task in the project as a user would."""
        done = subprocess.run(
            self.command(*arguments), cwd=self.root, env=self.environment(**environment), capture_output=True, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)


def make_empty(root: Path) -> Project:
    """Create a project in the new folder `root` whose manifest has no services, outside any git repository."""
    root.mkdir()
    shutil.copyfile(REPOSITORY / "tasks.py", root / "tasks.py")
    project = Project(root)
    project.write("versions.toml", MINIMAL.format(name=f"uct-{os.getpid()}", python=PYTHON))
    project.write(".gitignore", ".uc/\n__pycache__/\n")
    return project
