"""The gate where Trivy is no program of this machine: a container of its image, here a stand-in with the same program."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from build.config.manifest import Manifest
from build.engine import client as docker
from build.errors import MissingTool, ScanBroken
from build.gates.scan import program
from build.images.image import Image
from tests.docker.scan.conftest import JINJA2, Build, gate, report
from tests.support.project import Project

NAME = f"uct-trivy-{os.getpid()}:1"


@pytest.fixture(scope="module")
def trivy_image(docker_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image of the locked Trivy alone, with its entry point as in Trivy's own."""
    found = shutil.which("trivy", path=str(Path(sys.executable).parent))
    assert found, "the lock has Trivy on this system"
    folder = tmp_path_factory.mktemp("trivy")
    shutil.copy(found, folder / "trivy")
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY trivy /trivy\nENTRYPOINT ["/trivy"]\n')
    docker.cli("buildx", "build", "--quiet", "--load", "--tag", NAME, str(folder))
    yield NAME
    docker.cli("image", "rm", "--force", NAME)


@pytest.fixture
def away(manifest: Manifest, trivy_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """The manifest on a machine without a Trivy, that names the image."""
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", f"{Path(docker.docker()).parent}:/usr/bin:/bin")
    return replace(manifest, tools=replace(manifest.tools, trivy_image=trivy_image))


def test_w1_the_image_scans_what_is_in_a_registry(away: Manifest, vulnerable: Image) -> None:
    """Database, findings and all reports are those of the program, and belong to this user."""
    (verdict,) = gate(away, vulnerable)

    assert verdict.vulnerabilities_checked
    assert [finding.id for finding in verdict.gated] == ["CVE-2019-10906"]
    assert report(verdict, "sarif")["runs"]
    assert {path.stat().st_uid for path in verdict.reports.values()} == {os.getuid()}
    assert list(away.workspace.trivy.glob("temporary-*")) == []


def test_w1_the_image_scans_what_is_in_the_engine(away: Manifest, build: Build) -> None:
    """An image that was not pushed is read by the engine's socket, which a scan of the registry does not get."""
    (verdict,) = gate(away, build("local", JINJA2, push=False))

    assert [finding.id for finding in verdict.gated] == ["CVE-2019-10906"]


def test_w1_waivers_reach_the_container(away: Manifest, vulnerable: Image) -> None:
    """A file outside the cache is mounted for it, and only read."""
    (away.root / "waived.yaml").write_text(
        "vulnerabilities:\n  - {id: CVE-2019-10906, expired_at: 2100-01-01, statement: a test}\n"
    )

    (verdict,) = gate(away, vulnerable, waivers_file="waived.yaml")

    assert (verdict.refused, verdict.waived) == (False, 1)


def test_w1_a_failure_in_the_container_is_a_broken_scan(away: Manifest, vulnerable: Image) -> None:
    """Its exit code and its output are Trivy's own."""
    absent = replace(vulnerable, digest="sha256:" + "0" * 64)

    with pytest.raises(ScanBroken, match="trivy image failed") as broken:
        gate(away, absent)
    assert "manifest unknown" in broken.value.output.lower()


def test_w1_an_image_that_cannot_be_had_is_named(away: Manifest, vulnerable: Image) -> None:
    """Neither in the engine nor in its registry: a missing tool, with the setting."""
    tools = replace(away.tools, trivy_image="127.0.0.1:1/none/trivy:1")

    with pytest.raises(MissingTool, match=r"127\.0\.0\.1:1/none/trivy:1 can't be fetched") as missing:
        gate(replace(away, tools=tools), vulnerable)
    assert "[tools] trivy_image" in missing.value.hint


def test_w1_the_doctor_says_which_trivy_it_is(away: Manifest, project: Project) -> None:
    """The row names the source; an image without a digest is a warning, because its tag may be moved."""
    by_tag = program.examine(away.tools, away.workspace.tools)
    pinned = replace(away.tools, trivy_image=f"{NAME}@sha256:{'0' * 64}")

    assert (by_tag.state, by_tag.found) == ("warn", f"image {NAME}, fetched; a tag may be moved")
    assert program.examine(pinned, away.workspace.tools).state == "ok"
