"""What the gates refuse by themselves: no Trivy and no engine is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from build.config.manifest import Gates, Manifest
from build.errors import ManifestError, ScanBroken, SmokeFailed
from build.gates.scan import database
from build.gates.scan import gate as scan
from build.gates.smoke import gate as smoke
from build.gates.smoke.checks import CheckResult
from tests.support.project import Project


def gated(project: Project, **gates: Any) -> Manifest:
    """The project's manifest with these settings of the gates, and no database."""
    return replace(project.load(), gates=Gates(**{"db_repository": "none"} | gates))


def test_required_vulnerabilities_are_not_optional(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a database the other scanners pass, unless the manifest demands that vulnerabilities are checked."""
    assert scan.scan(gated(project), {}) == ()
    assert "vulnerabilities were NOT checked" in capsys.readouterr().err

    with pytest.raises(ScanBroken, match=r"vulnerabilities were NOT checked, which is required here") as refusal:
        scan.scan(gated(project, require_vulnerabilities=True), {})
    assert refusal.value.exit_code == 8


def test_a_scan_that_would_look_for_nothing_is_refused(project: Project) -> None:
    """Only vulnerabilities, and no database to find them with."""
    with pytest.raises(ScanBroken, match="there is nothing to scan for"):
        scan.scan(gated(project, scanners=("vuln",)), {})


def test_a_bad_waiver_is_refused_before_anything_is_fetched(project: Project) -> None:
    """The waivers are read first."""
    with pytest.raises(ManifestError, match=r"gates\.waivers_file"):
        scan.scan(gated(project, waivers_file="none.yaml", db_repository="127.0.0.1:1/db"), {})


@pytest.mark.parametrize(
    ("gates", "state", "words"),
    [
        ({"scanners": ("secret",), "db_repository": "x/db"}, "skip", "does not include vuln"),
        ({}, "warn", '"none": vulnerabilities are not checked, and a release is refused'),
        ({"db_repository": ""}, "warn", '"": vulnerabilities are not checked'),
        ({"require_vulnerabilities": False}, "warn", "vulnerabilities are not checked"),
    ],
)
def test_the_doctor_says_what_the_database_is_for(
    project: Project, gates: dict[str, Any], state: str, words: str
) -> None:
    """Where no database is wanted, or none is configured, nothing is asked of Trivy."""
    manifest = gated(project, **gates)

    diagnosis = database.examine(manifest)

    assert (diagnosis.state, words in diagnosis.found) == (state, True)
    assert not manifest.workspace.trivy.exists()


@pytest.mark.parametrize(("hours", "words"), [(49, "is stale: made"), (-25, "is dated")])
def test_a_database_of_the_wrong_age_is_refused(hours: int, words: str) -> None:
    """Too old, or from a future that only a wrong clock explains."""
    now = datetime(2027, 1, 31, tzinfo=UTC)

    with pytest.raises(ScanBroken, match=words):
        database.check_age(datetime.fromtimestamp(now.timestamp() - 3600 * hours, UTC), Gates(), now)
    database.check_age(now, Gates(), now)


def test_failed_checks_are_named(project: Project) -> None:
    """The message counts and names the failures, the hint says where the evidence is."""
    manifest = project.load()
    results = [
        CheckResult(container="web", service="web", check="health", reason="", seconds=0),
        CheckResult(container="web", service="web", check="token", reason="status 500", seconds=0),
    ]
    smoke.enforce(manifest, results[:1])

    with pytest.raises(SmokeFailed, match="1 of 2 checks failed: web: token") as failure:
        smoke.enforce(manifest, results)
    assert (failure.value.exit_code, str(manifest.workspace.reports) in failure.value.hint) == (6, True)


@pytest.mark.parametrize(("setting", "needed"), [(None, (False, True)), (True, (True, True)), (False, (False, False))])
def test_a_release_needs_the_check_unless_it_is_said(setting: bool | None, needed: tuple[bool, bool]) -> None:
    """By default a scan may go without, and a release may not; the setting decides for both."""
    gates = Gates(require_vulnerabilities=setting)

    assert tuple(database.is_required(gates, release=release) for release in (False, True)) == needed


def test_a_release_without_a_database_is_told_the_ways_out(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is built: why there is none, and a mirror, the setting and the flag; the setting is obeyed."""
    with pytest.raises(ScanBroken, match=r'a release needs that: gates\.db_repository is "none"') as refusal:
        database.require(gated(project))
    assert refusal.value.exit_code == 8
    for way in ("db_repository = REGISTRY/trivy-db", "require_vulnerabilities = false", "--skip vulnerabilities"):
        assert way in refusal.value.hint

    database.require(gated(project, require_vulnerabilities=False))
    assert "vulnerabilities were NOT checked" in capsys.readouterr().err
