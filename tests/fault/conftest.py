"""Options and fixtures of the fault suite; the worlds are those of every suite that releases."""

from __future__ import annotations

import pytest

from tests.support.engine import docker_engine, python_base, registry_program
from tests.support.worlds import faulty, hub, make_world, module_proxy, proxy, registry, world

__all__ = [
    "docker_engine", "faulty", "hub", "make_world", "module_proxy", "proxy", "python_base", "registry",
    "registry_program", "world",
]  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--kills N` and `--seed FIRST`: the seeds that test_kill.py tries."""
    parser.addoption("--kills", type=int, default=6, help="how many seeds to try")
    parser.addoption("--seed", type=int, default=0, help="the first of them")
