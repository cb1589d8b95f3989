"""The pure parts of the scan gate: what is read from a report, and what is said of an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from build.errors import ScanBroken, ScanRejected
from build.gates.scan import findings, gate, image
from build.gates.scan.debian import Compared
from build.gates.scan.findings import Finding
from build.gates.scan.verdict import ImageVerdict, described
from build.views import gates as view

REPORT: dict[str, Any] = {
    "ArtifactName": "127.0.0.1:5000/test/web@sha256:1",
    "Metadata": {"OS": {"Family": "debian", "Name": "13.1"}},
    "Results": [
        {
            "Target": "127.0.0.1:5000/test/web@sha256:1 (debian 13.1)",
            "Class": "os-pkgs",
            "Type": "debian",
            "Vulnerabilities": [
                {"VulnerabilityID": "CVE-1", "PkgName": "openssl", "InstalledVersion": "1", "Severity": "CRITICAL"}
            ],
        },
        {
            "Target": "Python",
            "Class": "lang-pkgs",
            "Type": "python-pkg",
            "Vulnerabilities": [
                {
                    "VulnerabilityID": "CVE-2",
                    "PkgName": "jinja2",
                    "InstalledVersion": "2.10",
                    "FixedVersion": "2.10.1",
                    "Severity": "HIGH",
                }
            ],
            "ExperimentalModifiedFindings": [
                {
                    "Type": "vulnerability",
                    "Status": "ignored",
                    "Statement": "not reached",
                    "Finding": {"VulnerabilityID": "CVE-3"},
                },
                {"Type": "vulnerability", "Status": "not_affected", "Finding": {"VulnerabilityID": "CVE-4"}},
            ],
        },
        {
            "Target": "/app/.env",
            "Class": "secret",
            "Secrets": [{"RuleID": "github-pat", "StartLine": 3, "Severity": "CRITICAL"}],
        },
        {
            "Target": "127.0.0.1:5000/test/web@sha256:1",
            "Class": "config",
            "Type": "dockerfile",
            "Misconfigurations": [
                {"ID": "DS-0002", "Title": "Runs as root", "Status": "FAIL", "Severity": "HIGH"},
                {"ID": "DS-0026", "Title": "No health check", "Status": "PASS", "Severity": "LOW"},
            ],
        },
        {
            "Target": "OS Packages",
            "Class": "license",
            "Licenses": [{"Name": "GPL-3.0", "PkgName": "bash", "Severity": "HIGH"}],
        },
        {
            "Target": "Python",
            "Class": "license",
            "Licenses": [{"Name": "AGPL-3.0", "PkgName": "thing", "Severity": "CRITICAL"}],
        },
    ],
}

# Reports -------------------------------------------------------------------------------------------------------------


def test_every_kind_of_finding_is_read() -> None:
    """Vulnerabilities, secrets, failed checks and licenses are findings; the base image's licenses are not."""
    assert [str(finding) for finding in findings.read(REPORT)] == [
        "CRITICAL CVE-1: openssl 1, no fix yet",
        "HIGH CVE-2: jinja2 2.10, fixed in 2.10.1",
        "CRITICAL github-pat: /app/.env:3",
        "HIGH DS-0002: 127.0.0.1:5000/test/web@sha256:1: Runs as root",
        "CRITICAL AGPL-3.0: thing",
    ]


@pytest.mark.parametrize("report", [{}, {"Results": None}, {"Results": [{"Target": "a"}]}])
def test_a_report_without_results_has_nothing(report: dict[str, Any]) -> None:
    """Trivy leaves out what is empty."""
    assert (list(findings.read(report)), findings.waived(report), findings.contents(report)) == ([], [], set())


def test_only_waivers_count_as_waived() -> None:
    """What a vendor's statement took out is no waiver of ours."""
    assert findings.waived(REPORT) == [("vulnerability", "CVE-3", "not reached")]


@pytest.mark.parametrize(
    "entry",
    [{"Type": "smell", "Finding": {"ID": "X-1"}}, {"Type": "vulnerability", "Finding": {}}, {"Type": "secret"}, {}],
)
def test_c10_a_waiver_never_falls_out_of_the_record(entry: dict[str, Any]) -> None:
    """A waived finding that can't be named stops the gate, instead of being recorded as none."""
    report = {"Results": [{"ExperimentalModifiedFindings": [{"Status": "ignored", **entry}]}]}

    with pytest.raises(ScanBroken, match="can't name in a release's record"):
        findings.waived(report)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"Results": []}', '{"Metadata": null}'])
def test_c10_a_report_that_can_t_be_read_is_not_an_empty_one(tmp_path: Path, content: str) -> None:
    """A scan whose report is broken has no verdict: no findings and no waivers are concluded from it."""
    (tmp_path / "report.json").write_text(content)

    with pytest.raises(ScanBroken):
        image._read(tmp_path / "report.json")


def test_contents_name_what_the_database_must_know() -> None:
    """The distribution with its release, and the types of packages, but not what was judged by other means."""
    assert findings.contents(REPORT) == {"debian 13.1", "python-pkg"}


def test_counts_are_worst_first_and_complete() -> None:
    """Every severity is there, also with nothing in it."""
    counted = findings.counts(list(findings.read(REPORT)))

    assert list(counted.items()) == [("CRITICAL", 3), ("HIGH", 2), ("MEDIUM", 0), ("LOW", 0), ("UNKNOWN", 0)]


# Verdicts ------------------------------------------------------------------------------------------------------------


def verdict(service: str, gated: Sequence[Finding] = (), *, checked: bool = True) -> ImageVerdict:
    """A verdict with the findings that refuse."""
    return ImageVerdict(
        service=service,
        reference=f"127.0.0.1:5000/test/{service}@sha256:1",
        vulnerabilities_checked=checked,
        database="",
        database_reference="",
        findings=findings.counts(list(gated)),
        refused=bool(gated),
        gated=tuple(gated),
        waived=0,
        waivers=(),
        vex=(),
        security=Compared(),
        notes=(),
        reports={"txt": Path(f"{service}.txt"), "json": Path(f"{service}.json")},
    )


def many(number: int) -> list[Finding]:
    """Some HIGH findings."""
    return [Finding(kind="vulnerability", id=f"CVE-{n}", severity="HIGH", subject="a 1") for n in range(number)]


def test_enforce_names_each_refused_image_and_its_worst() -> None:
    """Counts first, five findings, then where the rest is; images that pass are not mentioned."""
    with pytest.raises(ScanRejected) as refusal:
        gate.enforce([verdict("web", many(7)), verdict("fine"), verdict("api", many(1))])

    lines = str(refusal.value).splitlines()
    assert lines[:3] == ["the scan refuses 2 of 3 images", "  web: 7 HIGH", "    HIGH CVE-0: a 1, no fix yet"]
    assert lines[7:] == ["    … and 2 more in web.txt", "  api: 1 HIGH", "    HIGH CVE-0: a 1, no fix yet"]
    assert refusal.value.exit_code == 5
    assert "waive" in refusal.value.hint


def test_enforce_lets_passing_verdicts_pass() -> None:
    """Nothing refused, nothing raised."""
    gate.enforce([verdict("web"), verdict("api", checked=False)])
    gate.enforce([])


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (verdict("a"), "passed"),
        (verdict("a", checked=False), "passed, vulnerabilities NOT checked"),
        (verdict("a", many(2)), "refused: 2 HIGH"),
    ],
)
def test_a_summary_lists_unchecked_images(one: ImageVerdict, words: str) -> None:
    """In a table a pass without a database must not look like a pass."""
    assert described(one) == words


def test_the_table_is_on_stdout_with_every_severity(capsys: pytest.CaptureFixture[str]) -> None:
    """One row per image: counts, waived, verdict."""
    view.scan([verdict("web", many(2))])

    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["service", "critical", "high", "medium", "low", "unknown", "waived", "verdict"]
    assert row.split()[1:] == ["web", "0", "2", "0", "0", "0", "0", "refused:", "2", "HIGH"]
