"""What pipelines show of the gates: GitLab's report of a container scan, and the parts of a job's summary."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from build.gates.scan import gitlab
from build.gates.scan import summary as scan_summary
from build.gates.scan.debian import Compared
from build.gates.scan.findings import Finding, counts
from build.gates.scan.image import Scanned
from build.gates.scan.verdict import ImageVerdict
from build.gates.smoke import summary as smoke_summary
from build.gates.smoke.checks import CheckResult
from build.images.image import Image
from tests.support.gitlab_schema import SCHEMA

JINJA2 = {
    "VulnerabilityID": "CVE-2019-10906", "PkgName": "Jinja2", "PkgPath": "a/METADATA", "InstalledVersion": "2.10",
    "FixedVersion": "2.10.1", "Severity": "HIGH", "Title": "t" * 300, "Description": "d",
    "PrimaryURL": "https://avd.aquasec.com/nvd/cve-2019-10906", "References": ["https://a.example", "mail: b"],
}  # fmt: skip
BARE = {"VulnerabilityID": "TEMP-1", "PkgName": "bash"}


def scanned(service: str, *vulnerabilities: dict[str, Any], digest: str = "sha256:1", system: bool = True) -> Scanned:
    """An image of the registry with these vulnerabilities in Trivy's report."""
    image = Image(
        service=service, name=f"127.0.0.1:5000/test/{service}", tag="1", digest=digest, fingerprint="", size=0, pushed=True
    )  # fmt: skip
    metadata = {"OS": {"Family": "debian", "Name": "13.1"}} if system else {}
    results = [{"Target": "x", "Vulnerabilities": list(vulnerabilities)}, {"Target": "y"}]
    return Scanned(
        image=image, report={"Trivy": {"Version": "0.76.0"}, "Metadata": metadata, "Results": results}, left_out=()
    )


def report(*images: Scanned) -> dict[str, Any]:
    """GitLab's report of the images."""
    moment = datetime(2026, 11, 29, 12, 0, 0, 999, tzinfo=UTC)
    return gitlab.report(images, started=moment, ended=moment)


@pytest.mark.parametrize(
    "images",
    [
        (),
        (scanned("web"),),
        (scanned("web", JINJA2, BARE), scanned("api", JINJA2)),
        (scanned("a", BARE, system=False),),
    ],
)
def test_gitlab_takes_the_report(images: tuple[Scanned, ...]) -> None:
    """Whatever Trivy leaves out or makes too long, the report is what GitLab's schema demands."""
    jsonschema.validate(report(*images), SCHEMA)


def test_gitlab_sees_what_and_where() -> None:
    """A vulnerability has its severity, its fix, its package and the image, whose digest stands beside it."""
    (found,) = report(scanned("web", JINJA2))["vulnerabilities"]

    assert (found["severity"], found["solution"]) == ("High", "Upgrade Jinja2 to 2.10.1")
    assert found["identifiers"][0]["type"] == "cve"
    assert report(scanned("web"))["scan"]["scanner"]["version"] == "0.76.0"
    assert found["links"] == [{"url": "https://a.example"}]
    assert found["location"] == {
        "dependency": {"package": {"name": "Jinja2"}, "version": "2.10"}, "operating_system": "debian:13.1", "image": "test/web"
    }  # fmt: skip
    assert found["details"]["image"]["value"] == "127.0.0.1:5000/test/web@sha256:1"


def test_gitlab_recognises_a_vulnerability_in_the_next_pipeline() -> None:
    """It is the same in another build of the image, and another one in another image."""
    (first,), (later,), (other,) = (
        report(image)["vulnerabilities"]
        for image in (scanned("web", JINJA2), scanned("web", JINJA2, digest="sha256:2"), scanned("api", JINJA2))
    )

    assert (first["id"], first["location"]) == (later["id"], later["location"])
    assert first["id"] != other["id"]


def verdict(service: str, *gated: Finding) -> ImageVerdict:
    """A verdict with these findings at the gate."""
    return ImageVerdict(
        service=service, reference="", vulnerabilities_checked=True, database="", database_reference="", findings=counts(gated),
        refused=bool(gated), gated=gated, waived=2, waivers=(), vex=(), security=Compared(), notes=(), reports={"txt": Path("x")},
    )  # fmt: skip


def test_the_summary_of_a_scan_names_what_refuses() -> None:
    """A row for each image with its counts, and the findings of a refused one, as many as can be read."""
    many = tuple(
        Finding(kind="vulnerability", id=f"CVE-{number}", severity="HIGH", subject="<a> 1", fixed="2")
        for number in range(25)
    )

    text = scan_summary.markdown([verdict("web", *many), verdict("api")])

    assert text.startswith("### Scan: 1 of 2 images refused\n")
    assert "| web | 0 | 25 | 0 | 0 | 0 | 2 | refused: 25 HIGH |" in text
    assert "| api | 0 | 0 | 0 | 0 | 0 | 2 | passed |" in text
    assert "| HIGH | CVE-19 | &lt;a&gt; 1 | 2 |" in text
    assert "CVE-20" not in text
    assert "… and 5 more, in the reports" in text
    assert "images passed" in scan_summary.markdown([verdict("api")])


def test_the_summary_of_smoke_checks_starts_with_failures() -> None:
    """Failed checks with their reasons are in sight, those that passed are folded away."""
    results = [
        CheckResult(container="web", service="web", check="health", reason="", seconds=0.0123),
        CheckResult(container="web", service="web", check="token", reason="status 500", seconds=0),
    ]

    text = smoke_summary.markdown(results)

    assert text.startswith("### Smoke: 1 of 2 checks failed\n")
    assert text.index("| web | token | status 500 |") < text.index("<details>") < text.index("| web | health | 12 ms |")
    assert smoke_summary.markdown(results[:1]).startswith("### Smoke: 1 checks passed\n")
