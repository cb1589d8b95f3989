"""The six services of this repository as they really run: brought up once for the whole session, and always taken down."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from build.config.load import load
from build.config.manifest import Manifest
from build.engine import client as docker
from build.images import build, store
from build.stack import status
from tests.stack.live import Live, inv
from tests.support.engine import docker_engine
from tests.support.project import REPOSITORY

__all__ = ["docker_engine"]


@pytest.fixture(scope="session")
def brought_up(docker_engine: dict[str, str]) -> Iterator[Manifest]:
    """Every service that can be built here, brought up by the one command that a newcomer types."""
    try:
        ran = inv("quickstart")
        manifest = load(REPOSITORY, os.environ)
        _, missing = build.resolve_bases(manifest, list(manifest.services))
        # 13: a base image can't be had here; its service is named, and the others run.
        assert ran.code == (13 if missing else 0), ran.text
        assert set(manifest.services) - set(missing) == set(store.recorded(manifest)), ran.text
        yield manifest
    finally:
        inv("down")


@pytest.fixture
def running(brought_up: Manifest) -> Manifest:
    """The manifest of the stack, every container of which is healthy: a test before this one may have stopped some."""
    found = status.containers(brought_up)
    if not found or any(one.health != "healthy" for one in found):
        ran = inv("up")
        assert ran.code == 0, ran.text
    return brought_up


@pytest.fixture
def live(running: Manifest) -> Iterator[Live]:
    """The running stack for clients: addresses, tokens, logs."""
    with Live(running) as found:
        yield found


@pytest.fixture
def inspected(running: Manifest) -> dict[str, dict[str, Any]]:
    """`docker inspect` of every container, by its Compose service."""
    names = [f"{running.project.name}-{one.name}-1" for one in status.containers(running)]
    entries = json.loads(docker.cli("inspect", *names).stdout)
    return {entry["Config"]["Labels"]["com.docker.compose.service"]: entry for entry in entries}
