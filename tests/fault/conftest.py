"""Fixtures of the fault suite; its worlds are those of every suite that releases."""

from __future__ import annotations

from tests.support.engine import docker_engine, python_base, registry_program
from tests.support.worlds import faulty, hub, make_world, module_proxy, proxy, registry, world

__all__ = [
    "docker_engine", "faulty", "hub", "make_world", "module_proxy", "proxy", "python_base", "registry",
    "registry_program", "world",
]  # fmt: skip
