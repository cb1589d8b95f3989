"""A project in tmp_path stands for the user's documentation; servers listen on ports of the kernel's choice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# pytest imports test files by path here, so their folder has to be put on the path for the module they share.
sys.path.insert(0, str(Path(__file__).parent))

from docs_rig import CONFIG, HERE, REPOSITORY_DOCS, Server, Start, make, pack


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A faultless mkdocs project of two pages."""
    where = tmp_path / "project"
    (where / "docs/guide").mkdir(parents=True)
    (where / "mkdocs.yml").write_text(CONFIG)
    (where / "docs/index.md").write_text("# Front\n\n[a](guide/a.md#part)\n")
    (where / "docs/guide/a.md").write_text("# A\n\n## Part\n\nMarmalade.\n")
    return where


@pytest.fixture(scope="session")
def fake_mermaid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stands for the 3.5 MB of the real one, which only the browser test needs."""
    file = tmp_path_factory.mktemp("mermaid") / "mermaid.min.js"
    file.write_text("window.mermaid = {};\n")
    return file


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory, fake_mermaid: Path) -> Path:
    """This repository's own documentation, built and packed."""
    folder = tmp_path_factory.mktemp("own")
    made = make(REPOSITORY_DOCS, folder / "site")
    assert made.code == 0, made.text
    done = pack(folder / "site", folder / "packed", fake_mermaid)
    assert done.code == 0, done.text
    return folder / "packed"


@pytest.fixture(scope="session")
def start_any() -> Iterator[Start]:
    """Start servers on ports of the kernel's choice, and end them."""
    running: list[subprocess.Popen[str]] = []

    def start(site: Path, **env: str) -> Server:
        process = subprocess.Popen(
            [os.environ.get("UC_NODE", "node"), str(HERE / "server/server.mjs")],
            env={**os.environ, "UC_SITE": str(site), "UC_PORT": "0", "UC_HOST": "127.0.0.1", **env},
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        line = json.loads(process.stdout.readline())
        return Server(process, int(line.get("port", 0)), [line])

    yield start
    for process in running:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


@pytest.fixture(scope="session")
def server(packed: Path, start_any: Start) -> Server:
    """One server with the repository's own documentation, for tests that leave it as it is."""
    return start_any(packed)
