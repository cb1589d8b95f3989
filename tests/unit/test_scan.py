"""The pure parts of the scan gate: reading reports, the age of a database, waivers, messages."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from build import findings, scan, trivy, trivy_db, waivers
from build.errors import ManifestError, ScanBroken, ScanRejected
from build.findings import Finding
from build.manifest import Gates
from build.scan import Verdict
from build.waivers import Waiver

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


def test_contents_name_what_the_database_must_know() -> None:
    """The distribution with its release, and the types of packages, but not what was judged by other means."""
    assert findings.contents(REPORT) == {"debian 13.1", "python-pkg"}


def test_counts_are_worst_first_and_complete() -> None:
    """Every severity is there, also with nothing in it."""
    counted = findings.counts(list(findings.read(REPORT)))

    assert list(counted.items()) == [("CRITICAL", 3), ("HIGH", 2), ("MEDIUM", 0), ("LOW", 0), ("UNKNOWN", 0)]


# Verdicts ------------------------------------------------------------------------------------------------------------


def verdict(service: str, gated: Sequence[Finding] = (), *, checked: bool = True) -> Verdict:
    """A verdict with the findings that refuse."""
    return Verdict(
        service=service,
        reference=f"127.0.0.1:5000/test/{service}@sha256:1",
        vulnerabilities_checked=checked,
        database="",
        findings=findings.counts(list(gated)),
        refused=bool(gated),
        gated=tuple(gated),
        waived=0,
        notes=(),
        reports={"txt": Path(f"{service}.txt"), "json": Path(f"{service}.json")},
    )


def many(number: int) -> list[Finding]:
    """Some HIGH findings."""
    return [Finding(kind="vulnerability", id=f"CVE-{n}", severity="HIGH", subject="a 1") for n in range(number)]


def test_enforce_names_each_refused_image_and_its_worst() -> None:
    """Counts first, five findings, then where the rest is; images that pass are not mentioned."""
    with pytest.raises(ScanRejected) as refusal:
        scan.enforce([verdict("web", many(7)), verdict("fine"), verdict("api", many(1))])

    lines = str(refusal.value).splitlines()
    assert lines[:3] == ["the scan refuses 2 of 3 images", "  web: 7 HIGH", "    HIGH CVE-0: a 1, no fix yet"]
    assert lines[7:] == ["    … and 2 more in web.txt", "  api: 1 HIGH", "    HIGH CVE-0: a 1, no fix yet"]
    assert refusal.value.exit_code == 5
    assert "waive" in refusal.value.hint


def test_enforce_lets_passing_verdicts_pass() -> None:
    """Nothing refused, nothing raised."""
    scan.enforce([verdict("web"), verdict("api", checked=False)])
    scan.enforce([])


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (verdict("a"), "passed"),
        (verdict("a", checked=False), "passed, vulnerabilities NOT checked"),
        (verdict("a", many(2)), "refused: 2 HIGH"),
    ],
)
def test_a_summary_never_hides_what_was_not_checked(one: Verdict, words: str) -> None:
    """In a table a pass without a database must not look like a pass."""
    assert scan.summary(one) == words


def test_the_table_is_on_stdout_with_every_severity(capsys: pytest.CaptureFixture[str]) -> None:
    """One row per image: counts, waived, verdict."""
    scan.show([verdict("web", many(2))])

    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["service", "critical", "high", "medium", "low", "unknown", "waived", "verdict"]
    assert row.split()[1:] == ["web", "0", "2", "0", "0", "0", "0", "refused:", "2", "HIGH"]


# The database --------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("hours", [-23, 0, 48])
def test_a_database_within_its_age_is_taken(hours: int) -> None:
    """Up to the limit, and a little ahead of a slow clock."""
    trivy_db.check_age(NOW - timedelta(hours=hours), Gates(db_max_age_hours=48), NOW)


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (49, "stale: made 2026-11-20 11:00 UTC, 49 h ago; gates.db_max_age_hours allows 48"),
        (-25, "is dated 2026-11-23 13:00 UTC, and this machine's clock says 2026-11-22 12:00 UTC"),
    ],
)
def test_a_database_out_of_its_age_is_refused(hours: int, words: str) -> None:
    """A stale database, or one from the future, which would never get stale."""
    with pytest.raises(ScanBroken, match=words):
        trivy_db.check_age(NOW - timedelta(hours=hours), Gates(db_max_age_hours=48), NOW)


@pytest.mark.parametrize(
    ("kind", "purls"),
    [
        ("python-pkg", ["pkg:pypi/jinja2@2.10"]),
        ("dotnet-core", ["pkg:nuget/Newtonsoft.Json@12.0.1"]),
        ("debian 13.1", [None, "pkg:deb/debian/openssl@0-1?distro=debian-13.1"]),
        ("alpine 3.20.1", [None, "pkg:apk/alpine/openssl@0-r0?distro=alpine-3.20.1"]),
    ],
)
def test_a_probe_is_one_package_known_bad(kind: str, purls: list[str | None]) -> None:
    """For a distribution the probe also says which it is, or Trivy would not look."""
    components = trivy_db.bill(kind)["components"]

    assert [part.get("purl") for part in components] == purls
    assert all(part["name"] and part["version"] for part in components)


@pytest.mark.parametrize(
    ("reference", "flags"),
    [
        ("127.0.0.1:5000/a/b@sha256:1", []),
        ("127.0.0.2:5000/a/b:2", ["--insecure"]),
        ("127.1.2.3/a", ["--insecure"]),
        ("localhost:5000/a", []),
        ("registry.example:5000/a", []),
        ("127.example.org/a", []),
        ("10.0.0.1:5000/a", []),
    ],
)
def test_tls_is_given_up_on_loopback_only(reference: str, flags: list[str]) -> None:
    """No other registry is ever spoken to with unchecked certificates."""
    assert trivy.insecure(reference) == flags


def test_trivy_variables_are_emptied_but_for_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag from the shell does not reach the gate; a login does."""
    for name in ("TRIVY_IGNORE_UNFIXED", "TRIVY_USERNAME", "TRIVYISH"):
        monkeypatch.setenv(name, "x")
    added = trivy.environment()

    assert added["TRIVY_IGNORE_UNFIXED"] == ""
    assert "TRIVY_USERNAME" not in added
    assert "TRIVYISH" not in added
    assert added["TRIVY_DISABLE_TELEMETRY"] == "true"


def test_trivy_of_this_python_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pinned Trivy beside the interpreter is used, whatever PATH has; else the one on PATH."""
    for folder in ("venv", "path"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "trivy").touch(mode=0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "venv" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))

    assert trivy.program() == str(tmp_path / "venv" / "trivy")
    shutil.rmtree(tmp_path / "venv")
    assert trivy.program() == str(tmp_path / "path" / "trivy")


# Waivers -------------------------------------------------------------------------------------------------------------

GOOD = "vulnerabilities:\n- {id: CVE-1, expired_at: 2027-01-31, statement: not reached, purls: ['pkg:pypi/a']}\n"


def test_a_waiver_is_read() -> None:
    """Kind, id, end and reason."""
    assert waivers.parse(GOOD, "w.yaml") == (
        Waiver(kind="vulnerability", id="CVE-1", expired_at=date(2027, 1, 31), statement="not reached"),
    )


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "secrets: []\n"])
def test_a_file_may_hold_no_waiver(text: str) -> None:
    """An empty file waives nothing."""
    assert waivers.parse(text, "w.yaml") == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("secrets:\n- {id: a, statement: b}", r"w.yaml: secrets\[0\].expired_at \(a\): missing"),
        ("secrets:\n- {id: a, expired_at: 2027-01-31}", r"secrets\[0\].statement: missing"),
        ("secrets:\n- {id: a, expired_at: 2027-01-31, statement: ' '}", r"secrets\[0\].statement: missing"),
        ("secrets:\n- {expired_at: 2027-01-31, statement: b}", r"secrets\[0\].id: missing"),
        (
            "secrets:\n- {id: a, expired_at: '2027-01-31', statement: b}",
            "expected a date, unquoted, found '2027-01-31'",
        ),
        ("secrets:\n- {id: a, expired_at: 2027-01-31T00:00:00Z, statement: b}", "expected a date, unquoted"),
        ("secrets:\n- {id: a, expired_at: never, statement: b}", "expected a date, unquoted, found 'never'"),
        (GOOD.replace("purls", "purl"), r"vulnerabilities\[0\].purl: unknown key \(did you mean 'purls'\?\)"),
        ("secret:\n- {id: a}", r"secret: unknown section \(did you mean 'secrets'\?\)"),
        ("secrets: a", "secrets: expected a list"),
        ("secrets: [a]", r"secrets\[0\]: expected keys and values"),
        ("- CVE-1", "the file: expected keys and values"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_careless_waiver_is_refused_by_its_place(text: str, words: str) -> None:
    """Trivy would pass over each of these, or waive more than was meant."""
    with pytest.raises(ManifestError, match=words) as refusal:
        waivers.parse(text, "w.yaml")
    assert refusal.value.hint


@pytest.mark.parametrize(("day", "expired"), [(30, False), (31, True)])
def test_a_waiver_ends_as_its_day_begins(day: int, expired: bool) -> None:
    """As Trivy counts it."""
    (waiver,) = waivers.parse(GOOD, "w.yaml")

    assert waiver.is_expired(date(2027, 1, day)) is expired


@pytest.mark.parametrize(
    ("used", "kinds", "today", "named"),
    [
        ([], ["vulnerability"], date(2027, 1, 1), True),
        ([("vulnerability", "CVE-1", "not reached")], ["vulnerability"], date(2027, 1, 1), False),
        ([("vulnerability", "CVE-1", "another reason")], ["vulnerability"], date(2027, 1, 1), True),
        ([], ["secret"], date(2027, 1, 1), False),
        ([], ["vulnerability"], date(2027, 2, 1), False),
    ],
    ids=["unmatched", "matched", "another of the same id", "not scanned for", "expired"],
)
def test_a_waiver_without_a_finding_is_unused(
    used: list[tuple[str, str, str]], kinds: list[str], today: date, named: bool
) -> None:
    """Named so that it is taken out, unless nobody looked for its kind, or it has ended anyway."""
    assert bool(waivers.unused(waivers.parse(GOOD, "w.yaml"), used, kinds, today)) is named
