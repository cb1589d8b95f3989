"""What the gates print: a table for people, JSON for programs, and the requests of a dry run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from build import console
from build.gates.scan import findings
from build.gates.scan.debian import Compared
from build.gates.scan.findings import Finding
from build.gates.scan.verdict import ImageVerdict
from build.gates.smoke.checks import CheckResult
from build.images.image import Image
from build.views import gates
from tests.support.project import Project

FINDING = Finding(kind="vulnerability", id="CVE-1", severity="HIGH", subject="a 1", fixed="2")


def verdict(*gated: Finding, checked: bool = True) -> ImageVerdict:
    """A verdict on an image of the service `web`."""
    return ImageVerdict(
        service="web",
        reference="127.0.0.1:5000/test/web@sha256:1",
        vulnerabilities_checked=checked,
        database="",
        database_reference="",
        findings=findings.counts(gated),
        refused=bool(gated),
        gated=gated,
        waived=1,
        waivers=("CVE-9",),
        vex=(),
        security=Compared(),
        notes=(),
        reports={"json": Path("/reports/web.json")},
    )


@pytest.mark.parametrize(
    ("shown", "mark", "words"),
    [
        (verdict(), "✓", "passed"),
        (verdict(checked=False), "!", "passed, vulnerabilities NOT checked"),
        (verdict(FINDING), "✗", "refused: 1 HIGH"),
        (verdict(FINDING, checked=False), "✗", "refused: 1 HIGH, vulnerabilities NOT checked"),
    ],
)
def test_a_verdict_s_mark_and_words_agree(
    shown: ImageVerdict, mark: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unchecked image has no tick, and a refused one its counts."""
    gates.scan([shown])

    captured = capsys.readouterr()
    row = captured.out.splitlines()[1]
    assert (row[0], row.endswith(words)) == (mark, True)
    assert "reports: /reports" in captured.err


def test_verdicts_as_json_have_their_findings(capsys: pytest.CaptureFixture[str]) -> None:
    """Findings are objects and paths are text; no table beside the document."""
    gates.scan([verdict(FINDING)], json=True)

    (document,) = json.loads(capsys.readouterr().out)
    assert document["gated"] == [
        {"kind": "vulnerability", "id": "CVE-1", "severity": "HIGH", "subject": "a 1", "fixed": "2"}
    ]
    assert (document["waivers"], document["reports"]) == (["CVE-9"], {"json": "/reports/web.json"})


RESULTS = [
    CheckResult(container="web", service="web", check="health", reason="", seconds=0.0123),
    CheckResult(container="stack", service="journey", check="a step", reason="timed out", seconds=60.0),
]


def test_smoke_results_have_a_mark_a_time_and_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """A failed check names its reason; times are in milliseconds."""
    gates.smoke(RESULTS)

    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[1:] == [["✓", "web", "health", "12", "ms"], ["✗", "stack", "a", "step", "60000", "ms", "timed", "out"]]


def test_smoke_results_as_json_are_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    """Each result with the fields that programs read."""
    gates.smoke(RESULTS, json=True)

    first, second = json.loads(capsys.readouterr().out)
    outcome = {"reason": "", "seconds": 0.0123, "note": "", "applies": True}
    assert first == {"container": "web", "service": "web", "check": "health"} | outcome
    assert second["service"] == "journey"


def test_a_dry_scan_names_the_digests(capsys: pytest.CaptureFixture[str]) -> None:
    """What would be scanned is a digest and not a tag: short in the table, whole in the JSON."""
    image = Image(
        service="web",
        name="127.0.0.1:5000/test/web",
        tag="1",
        digest=f"sha256:{'1' * 64}",
        fingerprint="",
        size=1,
        pushed=True,
    )
    gates.planned_scan({"web": image})
    with console.collecting() as collected:
        gates.planned_scan({"web": image})

    shown = capsys.readouterr().out.splitlines()[1].split()
    assert shown == ["web", "127.0.0.1:5000/test/web", "sha256:111111111111"]
    assert collected.result == {"web": f"127.0.0.1:5000/test/web@sha256:{'1' * 64}"}


def test_a_dry_smoke_lists_the_requests(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Each check of the services asked for, with its method and address."""
    project.append('\n[[services.web.smoke]]\nname = "health"\npath = "/health"\n')
    project.service("other", 18981)
    project.append('\n[[services.other.smoke]]\nname = "ready"\npath = "/ready"\n')
    gates.planned_checks(project.load(), ["web"])

    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows == [["web", "health", "http", "GET", "http://127.0.0.1:18980/health"]]
