"""The wheels that the projects with ./inv install, put together once, and those projects."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.setup.inv_project import Project, invoke_files, make_project, uv_files, wheel


@pytest.fixture(scope="session")
def invoke_line(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that the wheel of invoke is in, and its line for a lock."""
    folder = tmp_path_factory.mktemp("wheels")
    return folder, wheel(folder, "invoke", invoke_files())


@pytest.fixture(scope="session")
def uv_line(invoke_line: tuple[Path, str]) -> str:
    """The line of uv for a lock; its wheel is beside that of invoke."""
    return wheel(invoke_line[0], "uv", uv_files())


@pytest.fixture
def pip_project(tmp_path: Path, invoke_line: tuple[Path, str]) -> Project:
    """A project that has no .venv yet, and whose lock has no uv: pip does all."""
    return make_project(tmp_path, *invoke_line)


@pytest.fixture
def uv_project(tmp_path: Path, invoke_line: tuple[Path, str], uv_line: str) -> Project:
    """A project that has no .venv yet, and whose lock has uv."""
    return make_project(tmp_path, *invoke_line, uv_line)


@pytest.fixture(params=["pip", "uv"])
def either(request: pytest.FixtureRequest) -> Project:
    """A project that has no .venv yet: once without uv in its lock, once with it."""
    chosen: Project = request.getfixturevalue("pip_project" if request.param == "pip" else "uv_project")
    return chosen


@pytest.fixture
def silent_index() -> Iterator[str]:
    """The URL of an index that accepts requests and never answers, so that an installation stops in the middle."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    accepted.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/simple"
        server.shutdown(socket.SHUT_RDWR)
        for connection in accepted:
            connection.close()
