"""Projects of small services, built and run by the real engine. Never skipped in CI."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.engine import docker_engine, powershell_base, python_base, registry_program
from tests.support.project import Project
from tests.support.stack import add_server, clean, free_port, reuse_bases

__all__ = ["docker_engine", "powershell_base", "python_base", "registry_program"]


@pytest.fixture
def stack_project(empty_project: Project, python_base: dict[str, Any]) -> Iterator[Project]:
    """A committed project of two small services (one, two) with a network, a secret and a volume; removed afterwards."""
    manifest_text = (empty_project.root / "versions.toml").read_text()
    port = free_port()
    host = f"127.0.0.{2 + os.getpid() % 200}:{port}"
    manifest_text = manifest_text.replace('address = "127.0.0.1:5000"', f'address = "{host}"')
    (empty_project.root / "versions.toml").write_text(manifest_text)
    reuse_bases(empty_project, python_base)
    for name in ("one", "two"):
        add_server(empty_project, name)
    empty_project.commit("Start")
    project_name = empty_project.load().project.name
    yield empty_project
    clean(project_name, host)


@pytest.fixture
def built(stack_project: Project) -> Project:
    """The project with its images built and its secrets created."""
    for arguments in (["build"], ["secrets.init"]):
        ran = stack_project.inv(*arguments)
        assert ran.code == 0, ran.text
    return stack_project
