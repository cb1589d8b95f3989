"""What the engine lists while others change it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from build.engine import client as docker
from build.errors import ToolFailed

pytestmark = pytest.mark.usefixtures("docker_engine")
# The words of Engine 26.1.5 for an image that was removed while it listed them, which a test can't time.
REMOVED = f"Error response from daemon: content digest sha256:{'0' * 64}: not found"


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file: for each line in it, the engine fails one call about images with that line."""
    lines = tmp_path / "failures"
    front = tmp_path / "docker"
    front.write_text(
        "#!/bin/sh\n"
        f'if [ "$1" = image ] && [ -s "{lines}" ]; then head -n 1 "{lines}" >&2; sed -i 1d "{lines}"; exit 1; fi\n'
        f'exec "{docker.docker()}" "$@"\n'
    )
    front.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    docker.forget()
    yield lines
    docker.forget()


def test_an_image_that_is_removed_during_a_listing_is_no_failure(failing: Path) -> None:
    """The engine is asked again, as long as it is this that fails."""
    failing.write_text(f"{REMOVED}\n" * 3)

    docker.listed_images("{{.ID}}")

    assert failing.read_text() == ""


def test_another_failure_of_a_listing_is_told_at_once(failing: Path) -> None:
    """Only what passes by itself is asked for again."""
    failing.write_text("Error response from daemon: layer store is broken\n" * 2)

    with pytest.raises(ToolFailed, match="exit code 1"):
        docker.listed_images("{{.ID}}")
    assert failing.read_text().count("broken") == 1
