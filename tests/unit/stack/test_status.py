"""A container's state from what the engine says of it."""

from __future__ import annotations

from typing import Any

import pytest

from build.stack import status
from build.stack.status import Running
from tests.support.project import Project


def _record(name: str, **state: Any) -> dict[str, Any]:
    """What `docker inspect` says of a container, as far as it is read."""
    return {
        "Config": {"Labels": {"com.docker.compose.service": name}, "Image": "registry/x@sha256:0"},
        "State": {"Status": "running", "ExitCode": 0, "Error": ""} | state,
        "RestartCount": 3,
    }


def test_a_container_of_the_manifest(project: Project) -> None:
    """Its service and its address come from the manifest, the rest from the engine."""
    manifest = project.load()
    container = status._running(manifest, _record("web", Health={"Status": "starting"}))

    assert container == Running(
        name="web", service="web", state="running", health="starting", image="registry/x@sha256:0",
        url=f"http://127.0.0.1:{manifest.containers()['web'][1].published}", exit_code=0, restarts=3, error="",
    )  # fmt: skip


def test_a_container_that_the_manifest_no_longer_has(project: Project) -> None:
    """It is shown until it is removed, without a service and without an address."""
    container = status._running(project.load(), _record("former", Status="exited", ExitCode=137, Error="killed"))

    assert (container.service, container.url) == ("", "")
    assert (container.state, container.exit_code, container.error) == ("exited", 137, "killed")


@pytest.mark.parametrize(
    ("health", "healthy"), [({"Status": "healthy"}, True), ({"Status": "unhealthy"}, False), ({}, True)]
)
def test_without_a_healthcheck_nothing_is_unhealthy(project: Project, health: dict[str, str], healthy: bool) -> None:
    """There is nothing to wait for then."""
    assert status._running(project.load(), _record("web", Health=health)).healthy is healthy
