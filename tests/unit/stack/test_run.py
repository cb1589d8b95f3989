"""Which containers a start takes along, and what is refused before any engine is called."""

from __future__ import annotations

import os
import socket
from dataclasses import replace

import pytest

from build.errors import PortTaken
from build.stack import run
from build.stack.status import Running
from tests.support.project import Project

NEW = Running(
    name="web", service="web", state="restarting", health="", image="x", url="", exit_code=1, restarts=0, error=""
)


@pytest.mark.parametrize(
    ("services", "images", "containers"),
    [
        (["web"], "web api worker", ["web"]),
        (["worker"], "web api worker", ["web", "api", "worker"]),
        (["api"], "web api worker", ["web", "api"]),
        (["worker"], "web worker", ["worker"]),
        (["worker"], "web", []),
        (["web", "api", "worker"], "web api worker", ["web", "api", "worker"]),
    ],
)
def test_a_start_includes_dependencies(
    project: Project, services: list[str], images: str, containers: list[str]
) -> None:
    """Directly or through others, in the manifest's order; what has no image is left out, and what only it needs."""
    project.service("api", 18981, depends_on='["web"]')
    project.service("worker", 18982, depends_on='["api"]')

    assert run._with_dependencies(project.load(), dict.fromkeys(images.split(), "x"), services) == containers


def test_a_taken_port_is_named_with_its_key(project: Project) -> None:
    """The message names port, container and process, the hint the key of versions.toml that changes the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        project.service("api", port)
        project.append(f"[services.api.containers.left]\npublished = {port}\n")
        manifest = project.load()

        with pytest.raises(PortTaken, match=rf"port {port} of left is taken by .*\(pid {os.getpid()}\)") as caught:
            run._check_ports(manifest, ["web", "left"])

    assert "give services.api.containers.left.published another value" in caught.value.hint
    assert manifest.published_key("web") == "services.web.published"


@pytest.mark.parametrize(
    ("state", "health", "error", "restarts", "hopeless"),
    [
        ("running", "unhealthy", "", 0, False),
        ("running", "starting", "", 2, False),
        ("restarting", "", "", 2, False),
        ("restarting", "", "", 3, True),
        ("running", "starting", "", 3, True),
        ("created", "", "", 0, False),
        ("created", "", "no such program", 0, True),
        ("exited", "", "", 0, True),
        ("dead", "", "", 0, True),
    ],
)
def test_e9_what_may_recover_is_waited_for(state: str, health: str, error: str, restarts: int, hopeless: bool) -> None:
    """An unhealthy container may recover; one that ends again and again, or can't be started, is given up."""
    container = Running(
        name="web", service="web", state=state, health=health, image="x", url="", exit_code=1, restarts=5 + restarts,
        error=error,
    )  # fmt: skip

    assert run._any_hopeless([container], {"web": 5}) is hopeless


def test_e9_a_container_made_anew_is_counted_anew() -> None:
    """Its restarts before this start were those of another container."""
    before = {"web": 7}
    looks = [replace(NEW, restarts=restarts) for restarts in (0, 1, 2, 3)]

    assert [run._any_hopeless([look], before) for look in looks] == [False, False, False, True]
