"""What must not open the gate, what breaks it, its task's exit codes, and two scans at once."""

from __future__ import annotations

import fcntl
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

from build import json_file
from build.config.manifest import Gates, Manifest
from build.errors import MissingTool, ScanBroken
from build.gates import order
from build.gates.scan import gitlab
from build.images.image import Image
from tests.docker.scan.conftest import JINJA2, Build, Registry, gate
from tests.support.gitlab_schema import SCHEMA
from tests.support.project import Project


def test_the_shell_cannot_open_the_gate(manifest: Manifest, vulnerable: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trivy's own variables and files in the caller's environment have no effect."""
    for name, value in {"TRIVY_SKIP_DIRS": "/usr", "TRIVY_SEVERITY": "LOW", "TRIVY_IGNOREFILE": ".trivyignore"}.items():
        monkeypatch.setenv(name, value)
    (manifest.root / ".trivyignore").write_text("CVE-2019-10906\n")
    (manifest.root / "trivy.yaml").write_text("severity: [LOW]\nscan:\n  skip-dirs: [/usr]\n")
    monkeypatch.chdir(manifest.root)
    (verdict,) = gate(manifest, vulnerable)

    assert verdict.refused


def test_an_image_that_is_not_there_breaks_the_gate(manifest: Manifest, clean: Image) -> None:
    """A failure of Trivy is distinguished from findings, and an old report is not mistaken for the new one."""
    gate(manifest, clean)
    gone = replace(clean, digest="sha256:" + "a" * 64)

    with pytest.raises(ScanBroken) as broken:
        gate(manifest, gone)
    assert "manifest unknown" in broken.value.output
    assert list((manifest.workspace.reports / "scan").iterdir()) == []


def test_a_missing_trivy_is_named(
    manifest: Manifest, clean: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither next to this Python nor on PATH: a missing tool, with the command that tells more."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingTool, match="neither here nor on PATH") as missing:
        gate(manifest, clean)
    assert "trivy_mirror or trivy_image" in missing.value.hint


@pytest.mark.parametrize(("files", "repository", "code"), [(JINJA2, "", 0), (JINJA2, "full", 5), (JINJA2, "none", 8)])
def test_the_task_ends_with_the_code_of_its_kind(
    project: Project, build: Build, registry: Registry, database: str, files: dict[str, str], repository: str, code: int
) -> None:
    """`invoke scan` exits with 0, with 5 if findings refuse an image, and with 8 if the gate could not run."""
    reference = {"": "", "full": database, "none": f"{registry.address}/none:2"}[repository]
    json_file.write(project.root / ".uc" / "images.json", {"web": asdict(build("web", files)) | {"service": "web"}})
    ran = project.inv("scan", UC_GATES_DB_REPOSITORY=reference)

    assert ran.code == code, ran.text
    assert ("NOT checked" in ran.text) is (repository == "")


def test_a_pipeline_sees_the_scan(project: Project, build: Build, database: str, tmp_path: Path) -> None:
    """A refused image is an annotation and a row of the summary on GitHub, and a report that GitLab takes."""
    summary = tmp_path / "summary.md"
    json_file.write(project.root / ".uc" / "images.json", {"web": asdict(build("web", JINJA2)) | {"service": "web"}})

    ran = project.inv("scan", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary), UC_GATES_DB_REPOSITORY=database)

    assert ran.code == 5
    assert "::error::the scan refuses 1 of 1 images%0A  web: 1 HIGH%0A" in ran.stderr
    assert "### Scan: 1 of 1 images refused" in summary.read_text()
    assert "| HIGH | CVE-2019-10906 | Jinja2 2.10 |" in summary.read_text()
    report = json_file.read(project.root / ".uc/reports/scan" / gitlab.FILE)
    jsonschema.validate(report, SCHEMA)
    assert "CVE-2019-10906" in [found["identifiers"][0]["name"] for found in report["vulnerabilities"]]
    assert report["scan"]["scanner"]["version"][0].isdigit()


def test_two_scans_at_once_take_turns(manifest: Manifest, clean: Image) -> None:
    """If another scan holds the cache for longer than Trivy waits, ours keeps waiting instead of failing."""
    gate(manifest, clean)
    held = manifest.workspace.trivy / "fanal" / "fanal.db"
    with held.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        release = threading.Timer(7, lambda: fcntl.flock(file, fcntl.LOCK_UN))
        release.start()
        (verdict,) = gate(manifest, clean)
        release.join()

    assert not verdict.refused


@pytest.mark.parametrize(("skipped", "word"), [((), "setting"), (("vulnerabilities",), "flag")])
def test_the_verdict_names_the_word_that_was_taken(
    manifest: Manifest, vulnerable: Image, skipped: tuple[str, ...], word: str
) -> None:
    """A release without the check keeps for good whether a setting allowed it, or a flag of this release."""
    required = None if skipped else False
    allowed = replace(manifest, gates=Gates(db_repository="none", require_vulnerabilities=required))

    verdict = order.judge(order.GATES[0], allowed, {"vulnerable": vulnerable}, dict, skipped)

    assert (verdict.vulnerabilities_checked, verdict.unchecked_by, verdict.database_reference) == (False, word, "")


def test_a_flag_leaves_out_a_check_that_could_be_made(manifest: Manifest, vulnerable: Image) -> None:
    """--skip vulnerabilities skips them, and a broken or stale database with them."""
    verdict = order.judge(order.GATES[0], manifest, {"vulnerable": vulnerable}, dict, {"vulnerabilities"})

    assert (verdict.verdict, verdict.checks, verdict.unchecked_by) == ("passed", 1, "flag")


def test_the_record_keeps_the_database(manifest: Manifest, clean: Image, database: str) -> None:
    """The verdict of a release names the artifact that the images were checked against."""
    verdict = order.judge(order.GATES[0], manifest, {"clean": clean}, dict, ())

    assert (verdict.vulnerabilities_checked, verdict.unchecked_by) == (True, "")
    assert verdict.database_reference == database
