"""How the doctor judges what an engine says of itself: no engine is asked."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from build.config.manifest import Manifest
from build.engine import client as engine_client
from build.errors import MissingTool
from build.machine import docker_checks
from build.machine.docker_checks import Docker
from tests.support.project import Project

ENGINE = Docker(client="docker", info={"ServerVersion": "26.1.5", "OSType": "linux"}, asked=0.0)


@pytest.fixture
def manifest(project: Project) -> Manifest:
    """A project's manifest."""
    return project.load()


def test_a_program_that_is_too_old_is_reported_with_both_versions(manifest: Manifest) -> None:
    """Found and wanted stand side by side."""
    plugins = [{"Name": "buildx", "Version": "v0.9.1", "Path": "/plugins/docker-buildx"}]
    docker = dataclasses.replace(
        ENGINE, info={**ENGINE.info, "ServerVersion": "20.10.24+dfsg1", "ClientInfo": {"Plugins": plugins}}
    )
    assert docker_checks.version(manifest, docker).found == "20.10.24+dfsg1 is too old: 24.0 or newer is needed"
    assert docker_checks.buildx(manifest, docker) == (
        "fail", "v0.9.1 is too old: 0.12 or newer is needed", "upgrade /plugins/docker-buildx",
    )  # fmt: skip
    assert docker_checks.compose(manifest, docker).found == "the plugin is not installed"


@pytest.mark.parametrize(
    ("info", "check", "state", "says"),
    [
        ({"Driver": "overlay2"}, "store", "fail", "containerd-snapshotter"),
        ({"OperatingSystem": "Docker Desktop"}, "store", "fail", "Docker Desktop → Settings → General"),
        ({"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}, "store", "ok", ""),
        ({"OSType": "windows"}, "mode", "fail", "Switch to Linux containers"),
        ({"SystemTime": "1970-01-01T00:00:59.123456789Z"}, "clock", "ok", ""),
        ({"SystemTime": "1970-01-01T00:02:00.123456789Z"}, "clock", "warn", "NTP"),
    ],
)
def test_an_engine_of_the_wrong_kind(
    manifest: Manifest, info: dict[str, object], check: str, state: str, says: str
) -> None:
    """What an engine says of itself is judged, and the switch that changes it is named."""
    finding = getattr(docker_checks, check)(manifest, dataclasses.replace(ENGINE, info={**ENGINE.info, **info}))
    assert finding.state == state
    assert says in finding.remedy


def test_wsl_without_integration_names_the_switch(
    monkeypatch: pytest.MonkeyPatch, manifest: Manifest, tmp_path: Path
) -> None:
    """In WSL an engine that does not answer is most often Docker Desktop with its integration off."""
    (tmp_path / "version").write_text("Linux version 5.15.167.4-microsoft-standard-WSL2 (root@build)\n")
    monkeypatch.setenv("WSL_DISTRO_NAME", "Ubuntu-24.04")
    finding = docker_checks.desktop(manifest, Docker(), tmp_path / "version")
    assert finding.state == "fail"
    assert "WSL integration: switch on Ubuntu-24.04" in finding.remedy
    assert docker_checks.desktop(manifest, ENGINE, tmp_path / "version").state == "ok"


@pytest.mark.parametrize("check", ["client", "version", "buildx"])
def test_the_remedy_is_none_that_sends_back_to_the_doctor(
    monkeypatch: pytest.MonkeyPatch, manifest: Manifest, check: str
) -> None:
    """Where ./inv engine installs nothing, the errors of other tasks name the doctor: it must know the next step."""
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    problem = MissingTool("the Docker daemon is not running", hint=engine_client.PROVISION_HINT)
    docker = Docker(problem=problem, info={"ClientInfo": {}} if check == "buildx" else {})

    finding = getattr(docker_checks, check)(manifest, docker)

    assert (finding.state, finding.remedy) == ("fail", "brew install --cask docker-desktop, then open -a Docker")
