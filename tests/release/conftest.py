"""Fixtures of the release suite: worlds without faults, as in every suite that releases; bundles of releases."""

from __future__ import annotations

from tests.release.bundled import origin, site
from tests.support.engine import docker_engine, python_base, registry_program
from tests.support.worlds import faulty, hub, make_world, proxy, registry, world

__all__ = [
    "docker_engine", "faulty", "hub", "make_world", "origin", "proxy", "python_base", "registry", "registry_program",
    "site", "world",
]  # fmt: skip
