"""What the real Trivy finds in tiny images, which findings refuse them, and what the reports contain."""

from __future__ import annotations

import pytest

from build.config.manifest import Manifest
from build.errors import ScanRejected
from build.gates.scan.gate import enforce
from build.images.image import Image
from tests.docker.scan.conftest import DEBIAN, JINJA2, METADATA, TOKEN, Build, gate, report

# Findings ------------------------------------------------------------------------------------------------------------


def test_findings_at_the_gate_refuse(manifest: Manifest, vulnerable: Image, clean: Image) -> None:
    """An image with a HIGH finding is refused with its id, package and fix; the clean one next to it passes."""
    verdicts = gate(manifest, vulnerable, clean)

    assert [(one.service, one.refused) for one in verdicts] == [("vulnerable", True), ("clean", False)]
    assert verdicts[0].findings == {"CRITICAL": 0, "HIGH": 1, "MEDIUM": 1, "LOW": 0, "UNKNOWN": 0}
    with pytest.raises(ScanRejected) as refusal:
        enforce(verdicts)
    assert str(refusal.value).splitlines() == [
        "the scan refuses 1 of 2 images",
        "  vulnerable: 1 HIGH",
        "    HIGH CVE-2019-10906: Jinja2 2.10, fixed in 2.10.1",
    ]


def test_a_clean_image_passes(manifest: Manifest, clean: Image) -> None:
    """A clean image passes with vulnerabilities checked and no findings."""
    (verdict,) = gate(manifest, clean)

    enforce([verdict])
    assert (verdict.refused, verdict.vulnerabilities_checked, sum(verdict.findings.values())) == (False, True, 0)


def test_findings_below_the_gate_pass_and_are_counted(manifest: Manifest, vulnerable: Image) -> None:
    """The gate decides by gates.severity alone; findings below it are in the reports."""
    (verdict,) = gate(manifest, vulnerable, severity=("CRITICAL",))

    enforce([verdict])
    assert (verdict.refused, verdict.findings["HIGH"]) == (False, 1)


def test_a_vulnerable_distribution_package_refuses(manifest: Manifest, build: Build) -> None:
    """A Debian package is looked up under its source package and the image's own release."""
    (verdict,) = gate(manifest, build("debian", DEBIAN))

    assert [str(finding) for finding in verdict.gated] == [
        "CRITICAL CVE-2025-15467: libssl3t64 3.5.1-1, fixed in 3.5.4-1~deb13u2"
    ]


def test_a_secret_in_a_file_refuses_and_stays_out_of_the_reports(manifest: Manifest, leaking: Image) -> None:
    """The finding names rule and line, and no report contains the token itself."""
    (verdict,) = gate(manifest, leaking)

    assert [str(finding) for finding in verdict.gated] == ["CRITICAL github-pat: /app/settings.env:1"]
    assert not [path for path in verdict.reports.values() if TOKEN in path.read_text()]


def test_a_secret_in_the_configuration_refuses(manifest: Manifest, build: Build) -> None:
    """A token in ENV is found like one in a file."""
    (verdict,) = gate(manifest, build("environment", {"a": "a"}, more=f"ENV GITHUB_PAT={TOKEN}"))

    assert {finding.id for finding in verdict.gated} == {"github-pat"}
    with pytest.raises(ScanRejected) as refusal:
        enforce([verdict])
    assert refusal.value.hint.startswith("remove the secrets and renew them")
    assert report(verdict, "sarif")["runs"][0]["results"][0]["ruleId"] == "github-pat"
    assert not [path for path in verdict.reports.values() if TOKEN in path.read_text()]


def test_licenses_of_the_distribution_do_not_refuse(manifest: Manifest, build: Build) -> None:
    """With the license scanner on, a Python package's license counts, and the base image's GPL packages don't."""
    package = {"usr/lib/python3/thing-1.dist-info/METADATA": METADATA.format("thing", "1") + "License: AGPL-3.0\n"}
    (verdict,) = gate(manifest, build("licensed", DEBIAN | package), scanners=("license",))

    assert [(finding.kind, finding.subject) for finding in verdict.gated] == [("license", "thing")]


def test_a_misconfiguration_refuses(manifest: Manifest, build: Build) -> None:
    """With the misconfig scanner on, Trivy's built-in checks judge the image's configuration."""
    (verdict,) = gate(manifest, build("rooted", {"a": "a"}, more="USER root"), scanners=("misconfig",))

    assert {finding.kind for finding in verdict.gated} == {"misconfiguration"}


# Reports -------------------------------------------------------------------------------------------------------------


def test_the_reports_hold_the_finding(manifest: Manifest, vulnerable: Image) -> None:
    """SARIF, table and SBOM come from the same scan as the JSON report and name the same package."""
    (verdict,) = gate(manifest, vulnerable)

    sarif, bill = report(verdict, "sarif"), report(verdict, "cdx.json")
    assert verdict.reports["json"] == manifest.workspace.reports / "scan" / "vulnerable.json"
    assert sarif["version"] == "2.1.0"
    assert {result["ruleId"] for result in sarif["runs"][0]["results"]} == {"CVE-2019-10906", "CVE-2020-28493"}
    assert [part["purl"] for part in bill["components"]] == ["pkg:pypi/jinja2@2.10"]
    assert "CVE-2019-10906" in verdict.reports["txt"].read_text()


def test_the_findings_of_a_service_have_a_category_of_their_own(manifest: Manifest, vulnerable: Image) -> None:
    """Each service has its own category, so code scanning accepts all SARIF files in one upload."""
    (verdict,) = gate(manifest, vulnerable)

    assert [run["automationDetails"]["id"] for run in report(verdict, "sarif")["runs"]] == ["vulnerable/"]


def test_the_given_digest_is_scanned_though_its_tag_moved(manifest: Manifest, build: Build) -> None:
    """A verdict is about name@digest: moving the tag to another image changes nothing."""
    first = build("moving", JINJA2)
    second = build("moving", {"a": "a"})
    (verdict,) = gate(manifest, first)

    assert first.digest != second.digest
    assert report(verdict, "json")["Metadata"]["RepoDigests"] == [first.reference] == [verdict.reference]
    assert verdict.refused


def test_an_image_that_was_not_pushed_is_scanned_in_the_engine(manifest: Manifest, build: Build) -> None:
    """Without a registry, the engine's image of that digest is scanned."""
    image = build("local", JINJA2, push=False)
    (verdict,) = gate(manifest, image)

    assert verdict.refused
    assert report(verdict, "json")["Metadata"]["RepoDigests"] == [image.reference]


def test_an_image_for_arm_is_scanned(manifest: Manifest, build: Build) -> None:
    """An index without an amd64 image, as built on an Apple laptop, can be scanned."""
    (verdict,) = gate(manifest, build("arm", JINJA2, platform="linux/arm64"))

    assert verdict.refused


def test_java_archives_are_reported_as_not_scanned(
    manifest: Manifest, build: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    """A .jar needs a second database: without it the rest of the image is scanned, and a note says so."""
    (verdict,) = gate(manifest, build("java", JINJA2 | {"app/a.jar": "its name is enough"}))

    assert verdict.refused
    assert verdict.notes == ("its Java archives were NOT checked, which takes a Java database",)
    assert "java: its Java archives were NOT checked" in capsys.readouterr().err
