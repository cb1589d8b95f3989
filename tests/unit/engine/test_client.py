"""Both ways to call Docker report a daemon that does not answer alike; no engine is needed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from build.engine import client as docker
from build.errors import MissingTool
from tests.support.layout import Library
from tests.support.project import REPOSITORY


@pytest.mark.parametrize(
    ("version", "least", "older"),
    [("26.1.5", "24.0", False), ("9.0", "24.0", True), ("24.0", "24.0.1", True), ("", "0.1", True), ("2.20", "2.20", False)],
)  # fmt: skip
def test_versions_are_compared_as_numbers(version: str, least: str, older: bool) -> None:
    """Not as text, where 9.0 would be newer than 24.0; what is not installed is older than anything."""
    assert docker.older(version, least) is older


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("26.1.5+dfsg1\n", "26.1.5"),
        ("github.com/docker/buildx v0.13.1 0.13.1+ds1-3", "0.13.1"),
        ("v2.26.1-desktop.1", "2.26.1"),
        ("none", ""),
    ],
)
def test_a_version_is_read_out_of_what_a_tool_prints(text: str, version: str) -> None:
    """Distributions and vendors write around it."""
    assert docker.dotted(text) == version


@pytest.fixture
def no_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An address where no daemon listens."""
    try:
        docker.docker()
    except MissingTool:
        pytest.skip("no docker binary on this machine")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")


@pytest.mark.usefixtures("no_daemon")
def test_a_daemon_that_does_not_answer_is_a_missing_tool() -> None:
    """The docker command and python-on-whales give the same error, with the same hint."""
    with pytest.raises(MissingTool, match="daemon is not running") as by_command:
        docker.cli("ps")
    with pytest.raises(MissingTool, match="daemon is not running") as by_client, docker.failures():
        docker.client().container.list()

    assert by_client.value.hint == by_command.value.hint == docker.PROVISION_HINT


@pytest.mark.usefixtures("no_daemon")
def test_verbose_shows_the_commands_of_both(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """UC_VERBOSE shows what python-on-whales runs like what is run here; a second client shows nothing twice."""
    monkeypatch.setenv("UC_VERBOSE", "1")
    docker.client()
    with pytest.raises(MissingTool), docker.failures():
        docker.client().container.start("web")

    assert capsys.readouterr().err.count("container start web") == 1


def test_no_module_imports_python_on_whales_by_itself() -> None:
    """It costs half a second, which only a task that needs the engine is to pay."""
    offenders = [
        module
        for module, tree in Library(REPOSITORY / "build").trees.items()
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom) and "python_on_whales" in ast.unparse(node)
    ]

    assert offenders == []
