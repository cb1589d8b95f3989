"""What the doctor says of the host: of the wrong Python, of a Windows drive, of missing rights, of a full disk."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

import pytest

from build import variables
from build.config.manifest import Manifest
from build.engine import disk
from build.machine import host_checks
from build.machine.docker_checks import Docker
from tests.support.project import Project

NOBODY = 65534
ENGINE = Docker(client="docker", info={"ServerVersion": "26.1.5"})


@pytest.fixture
def manifest(project: Project) -> Manifest:
    """A project's manifest."""
    return project.load()


def test_another_python_is_named(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks run in the locked environment of the checkout, and in no other."""
    assert host_checks.python(manifest).state == "warn"
    monkeypatch.setattr(sys, "prefix", str(manifest.root / ".venv"))
    assert host_checks.python(manifest).state == "ok"


def test_e1_the_environment_is_shown(manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is obeyed, what has no effect, and proxies that the client gives to containers; never a value."""
    for name in list(os.environ):
        if variables.rule_of(name):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert host_checks.environment(manifest).found == "obeyed: DOCKER_CONFIG"

    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy")
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "other")
    monkeypatch.setenv("PIP_TARGET", "/x")
    (tmp_path / "config.json").write_text('{"proxies": {"default": {"httpProxy": "http://proxy"}}}')

    assert host_checks.environment(manifest).found == (
        "obeyed: DOCKER_CONFIG, HTTPS_PROXY; without effect here: COMPOSE_PROJECT_NAME, PIP_TARGET; "
        "given to builds and containers: proxies of config.json"
    )


@pytest.mark.parametrize(("root", "state"), [("/mnt/c/project", "warn"), ("/home/me/project", "ok")])
def test_a_checkout_on_a_windows_drive_is_a_warning(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch, root: str, state: str
) -> None:
    """In WSL a Windows drive is slow and reports no changes; elsewhere the question does not arise."""
    assert host_checks.place(manifest).state == "skip"
    monkeypatch.setattr(host_checks, "in_wsl", lambda: True)
    assert host_checks.place(dataclasses.replace(manifest, root=Path(root))).state == state


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no user ids")
@pytest.mark.parametrize(
    ("user", "docker", "state"), [(0, Docker(), "ok"), (NOBODY, ENGINE, "ok"), (NOBODY, Docker(), "warn")]
)
def test_rights_matter_only_without_an_engine(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, user: int, docker: Docker, state: str
) -> None:
    """Root could install an engine; who is not root needs none to be installed."""
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert host_checks.privilege(manifest, docker).state == state


@pytest.mark.parametrize(("fail", "warn", "state"), [(0, 0, "ok"), (0, 10**9, "warn"), (10**9, 10**9, "fail")])
def test_little_space_is_a_warning_and_less_a_failure(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch, fail: int, warn: int, state: str
) -> None:
    """Only what is not fine has a remedy; the engine's folder is examined where it is on this machine."""
    monkeypatch.setattr(disk, "FAIL_GIGABYTES", fail)
    monkeypatch.setattr(disk, "WARN_GIGABYTES", warn)

    diagnosis = host_checks.disk(manifest, dataclasses.replace(ENGINE, info={**ENGINE.info, "DockerRootDir": "/"}))

    assert (diagnosis.state, bool(diagnosis.remedy)) == (state, state != "ok")
    assert diagnosis.found.endswith("GB free at /")
