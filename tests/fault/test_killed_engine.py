"""An engine that is killed and started again: an engine of the test's own, never the one that other tests use."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from build import json_file
from build.images.image import Image
from tests.support.own_engine import OwnEngine, own_engine, tiny_image, until
from tests.support.project import Project
from tests.support.stack import free_port

_BACK_SECONDS = 60


@pytest.fixture
def engine(docker_engine: dict[str, str]) -> Iterator[OwnEngine]:
    """A running engine of the test's own."""
    with own_engine() as running:
        yield running


def _state(engine: OwnEngine, container: str) -> str:
    state = json.loads(engine.docker("inspect", "--format", "{{json .State}}", container))
    return f"{state['Status']}, {state.get('Health', {}).get('Status', 'no health check')}"


def _recorded(project: Project, reference: str) -> None:
    """Record an image as that of the project's service, as its last build would have done."""
    name, _, digest = reference.partition("@")
    image = Image(service="web", name=name, tag="1", digest=digest, fingerprint="", size=1, pushed=False)
    json_file.write(project.load().workspace.images, {"web": dataclasses.asdict(image)})


@pytest.mark.parametrize("everything", [False, True], ids=["the daemon alone", "a power cut"])
def test_e2_the_stack_comes_back_after_the_engine_was_killed(
    project: Project, engine: OwnEngine, tmp_path: Path, *, everything: bool
) -> None:
    """The stack is up and healthy again as soon as the engine is, without a command."""
    text = (project.root / "versions.toml").read_text()
    (project.root / "versions.toml").write_text(text.replace("18980", str(free_port())))
    _recorded(project, tiny_image(engine, tmp_path / "root", project.load().image("web")))
    ran = project.inv("up", DOCKER_HOST=engine.host)
    assert ran.code == 0, ran.text
    container = f"{project.load().project.name}-web-1"
    assert _state(engine, container) == "running, healthy"

    engine.kill(everything=everything)
    engine.start()

    until(lambda: _state(engine, container) == "running, healthy", _BACK_SECONDS, lambda: _state(engine, container))
    ran = project.inv("down", DOCKER_HOST=engine.host)
    assert ran.code == 0, ran.text
