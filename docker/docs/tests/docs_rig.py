"""Runs the steps of the Dockerfile on this machine: real builds and a real server process on loopback."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import docsite.__main__
import httpx
import pytest

HERE = Path(__file__).parent.parent
REPOSITORY_DOCS = HERE.parent.parent / "docs"
EPOCH = "1700000000"
CONFIG = """\
site_name: Tried
theme: {name: material, font: false}
plugins: [search]
markdown_extensions:
  - pymdownx.superfences:
      custom_fences:
        - name: mermaid
          class: mermaid
          format: !!python/name:pymdownx.superfences.fence_code_format
nav: [index.md, guide/a.md]
strict: true
"""


@dataclass(frozen=True)
class Outcome:
    """What a step printed and how it ended."""

    code: int
    text: str


def run(argv: list[str], env: Mapping[str, str] | None = None, *, timeout: float = 60) -> Outcome:
    """Run one step as the Dockerfile does, with PYTHONPATH at this folder."""
    done = subprocess.run(
        argv,
        env={**os.environ, "PYTHONPATH": str(HERE), "SOURCE_DATE_EPOCH": EPOCH, **(env or {})},
        capture_output=True,
        check=False,
        text=True,
        timeout=timeout,
    )
    return Outcome(done.returncode, done.stdout + done.stderr)


def make(source: Path, out: Path, **env: str) -> Outcome:
    """The Dockerfile's stage `site`, in this process: most of a small build would be imports."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
        for name, value in {"SOURCE_DATE_EPOCH": EPOCH, **env}.items():
            patch.setenv(name, value)
        code = docsite.__main__.main([str(source), str(out)])
    return Outcome(code, said.getvalue())


def make_as_process(source: Path, out: Path) -> Outcome:
    """The same as the Dockerfile starts it."""
    return run([sys.executable, "-m", "docsite", str(source), str(out)])


def pack(site: Path, out: Path, mermaid: Path, **env: str) -> Outcome:
    """The Dockerfile's stage `pack`."""
    return run(["node", str(HERE / "pack/main.mjs"), str(site), str(out), str(mermaid)], env, timeout=240)


def fetch_mermaid(lock: Path, out: Path, **env: str) -> Outcome:
    """What the Dockerfile does before the stage `pack`: the Mermaid that a lock file names."""
    return run(["node", str(HERE / "pack/mermaid.mjs"), str(lock), str(out)], env, timeout=300)


@dataclass
class Server:
    """A running server.mjs; `lines` are the log lines that have been read so far."""

    process: subprocess.Popen[str]
    port: int
    lines: list[dict[str, object]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def rest(self) -> list[dict[str, object]]:
        """All log lines; ends only with the process."""
        assert self.process.stdout is not None
        return self.lines + [json.loads(line) for line in self.process.stdout]


class Start(Protocol):
    """What the fixture `start_any` gives."""

    def __call__(self, site: Path, **env: str) -> Server: ...


def get(server: Server, path: str, **headers: str) -> httpx.Response:
    """One GET, its redirect not followed."""
    return httpx.get(server.url + path, headers={"accept-encoding": "identity", **headers})
