"""The wheel of invoke that the projects with ./inv install: put together once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.setup.inv_project import invoke_files, wheel


@pytest.fixture(scope="session")
def invoke_line(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that it is in, and its line for a lock."""
    folder = tmp_path_factory.mktemp("wheels")
    return folder, wheel(folder, "invoke", invoke_files())
