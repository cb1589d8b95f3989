"""The smoke gate of a release: its candidates run as a stack of their own, from the registry, and are gone afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from build.engine import client as docker
from tests.release.queries import ok
from tests.support.stack import SERVER, add_server, reuse_bases
from tests.support.steps import begins
from tests.support.world import World

ALLOWED = {"UC_RELEASE_STAND_INS": "python"}


@pytest.fixture
def web(make_world: Callable[..., World], python_base: dict[str, Any]) -> World:
    """A world with a line of its own for `web`, a small HTTP service with one smoke check."""
    world = make_world(mode='"independent"')
    project = world.clone.project
    reuse_bases(project, python_base)
    add_server(project, "web")
    project.commit("feat: web")
    project.git("push", "--quiet", "origin", "main")
    return world


def _left(world: World) -> list[str]:
    """Containers, networks and volumes that carry the project's name, and images of its registry's namespace."""
    name = world.clone.project.load().project.name
    found = []
    for kind in ("container", "network", "volume"):
        every = ["--all"] if kind == "container" else []
        found += docker.cli(kind, "ls", *every, "--quiet", "--filter", f"name={name}-").stdout.split()
    images = docker.listed_images("{{.Repository}}@{{.Digest}}")
    return found + [image for image in images if f"/{world.namespace}/" in image]


def test_r7_images_of_a_killed_gate_go_with_the_next(web: World) -> None:
    """What a gated release fetched is gone at its end; what a killed one left, the next removes, but never a tagged one."""
    running = web.clone.start("release", "--skip-scan", "--service", "web", **ALLOWED)
    fetched: list[str] = []

    def kill() -> None:
        while not (left := _left(web)) or not any("@sha256:" in name for name in left):
            time.sleep(0.1)
        fetched.extend(name for name in left if "@sha256:" in name)
        running.kill()

    assert running.when(begins("smoke"), kill).wait().code == -9
    assert [name for name in _left(web) if "@sha256:" in name] == fetched != []

    ok(web.clone.inv("release", "--skip-scan", "--service", "web", **ALLOWED))

    assert _left(web) == []


def test_candidates_are_asked_before_anything_is_public(web: World) -> None:
    """A check that fails stops the release with nothing public and nothing left running; repaired, it is recorded."""
    project = web.clone.project
    project.write("docker/web/server.py", SERVER.replace('"healthy"', '"sick"'))
    web.clone.share("fix: break it")

    refused = web.clone.inv("release", "--skip-scan", "--service", "web", **ALLOWED)

    assert refused.code == 6, refused.text
    assert "stopped by the smoke gate: nothing was published" in refused.stderr
    assert "web: answers" in refused.stderr, "the failed check is named"
    assert web.git_tags() == {}
    assert web.hub.tags(f"{web.namespace}/web") == []
    assert _left(web) == []
    assert list((project.root / ".uc" / "reports").glob("*web*")) != []
    assert not list((project.root / ".uc").glob("sandbox-*"))

    project.write("docker/web/server.py", SERVER)
    web.clone.share("fix: repair it")
    ok(web.clone.inv("release", "--skip", "scan", "--service", "web", **ALLOWED))

    record = web.record("web/v0.1.0")
    assert (record["gates"]["smoke"]["verdict"], record["gates"]["smoke"]["checks"]) == ("passed", 1)
    assert record["gates"]["scan"]["verdict"] == "skipped"
    assert web.hub.digest(f"{web.namespace}/web", "0.1.0") == record["services"]["web"]["digest"]
    assert _left(web) == []
