"""Fixtures of the real engine: its versions, the bases of test images, the registry's program. Never skip in CI."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest

from build import json_file
from build.config.load import load
from build.engine import client as engine_client
from build.errors import MissingTool, ToolFailed
from build.images import bases
from tests.support.machine import lacking
from tests.support.project import REPOSITORY


@pytest.fixture(scope="session")
def docker_engine() -> dict[str, str]:
    """The versions of the engine, buildx and Compose; without an engine, skips locally and fails in CI."""
    try:
        return engine_client.require(load(REPOSITORY, {}, local=False).tools)
    except MissingTool as error:
        lacking(f"{error} (./inv engine)")


@pytest.fixture(scope="session")
def python_base(docker_engine: dict[str, str]) -> dict[str, Any]:
    """The record of the Python base image, resolved once in the repository."""
    manifest = load(REPOSITORY, os.environ)
    _, reasons = bases.resolve(manifest, ["python", "registry"])
    assert not reasons, reasons
    return json_file.read(manifest.workspace.bases)


@pytest.fixture(scope="session")
def powershell_base(docker_engine: dict[str, str]) -> None:
    """The record of the PowerShell base, resolved once in the repository; skips if no source has that base."""
    _, reasons = bases.resolve(load(REPOSITORY, os.environ), ["powershell"])
    if reasons:
        pytest.skip(f"no PowerShell base here: {reasons['powershell']}")


@pytest.fixture(scope="session")
def registry_program(python_base: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Distribution's binary from the registry base, for registries with special settings that run as processes."""
    image = python_base["registry"]["context"].removeprefix("docker-image://")
    return take_registry_program(image, tmp_path_factory.mktemp("registry-program"))


def take_registry_program(image: str, folder: Path) -> str:
    """Copy Distribution's binary out of its image into a folder; return its path."""
    container = engine_client.cli("create", image, "x").stdout.strip()
    program = folder / "registry"
    try:
        for inside in ("/usr/bin/docker-registry", "/bin/registry"):
            with contextlib.suppress(ToolFailed):
                engine_client.cli("cp", f"{container}:{inside}", str(program))
                return str(program)
    finally:
        engine_client.cli("rm", "--force", container)
    raise AssertionError(f"{image} holds no registry program")
