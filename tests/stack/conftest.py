"""The six services of this repository as they really run: started once for the session, and always taken down."""

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
    """Every service that can be built here, started by the one command that a newcomer runs."""
    try:
        ran = inv("quickstart")
        manifest = load(REPOSITORY, os.environ)
        _, missing = build.resolve_bases(manifest, list(manifest.services))
        # 13: a base image is not available here; its service is named, and the others run.
        assert ran.code == (13 if missing else 0), ran.text
        assert set(manifest.services) - set(missing) == set(store.recorded(manifest)), ran.text
        yield manifest
    finally:
        inv("down")


@pytest.fixture
def running(brought_up: Manifest) -> Manifest:
    """The manifest of the stack with every container healthy again: an earlier test may have stopped some."""
    containers = status.containers(brought_up)
    if not containers or any(one.health != "healthy" for one in containers):
        ran = inv("up")
        assert ran.code == 0, ran.text
    return brought_up


@pytest.fixture
def live(running: Manifest) -> Iterator[Live]:
    """The running stack as clients use it: addresses, tokens, logs."""
    with Live(running) as client:
        yield client


@pytest.fixture
def inspected(running: Manifest) -> dict[str, dict[str, Any]]:
    """`docker inspect` of every container, by Compose service."""
    names = [f"{running.project.name}-{one.name}-1" for one in status.containers(running)]
    entries = json.loads(docker.cli("inspect", *names).stdout)
    return {entry["Config"]["Labels"]["com.docker.compose.service"]: entry for entry in entries}
