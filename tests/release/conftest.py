"""The worlds of the fault suite, unbroken: the real engine, a real registry, a bare git remote, the real `invoke`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault.conftest import (
    docker_engine,
    faulty,
    hub,
    make_world,
    proxy,
    python_base,
    registry,
    registry_program,
    world,
)

__all__ = [
    "docker_engine",
    "faulty",
    "hub",
    "make_world",
    "proxy",
    "python_base",
    "registry",
    "registry_program",
    "world",
]

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is marked `docker`."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.docker)
