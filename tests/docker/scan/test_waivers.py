"""Waivers with the real Trivy: with a date and a reason they waive a finding; otherwise they are reported or refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from build.config.manifest import Manifest
from build.errors import ManifestError
from build.gates.scan.gate import enforce
from build.images.image import Image
from tests.docker.scan.conftest import gate, report


def waive(manifest: Manifest, text: str) -> str:
    """Write a waiver file; return its name for gates.waivers_file."""
    (manifest.root / ".trivyignore.yaml").write_text(text)
    return ".trivyignore.yaml"


def test_a_waiver_takes_a_finding_out_and_keeps_the_evidence(manifest: Manifest, vulnerable: Image) -> None:
    """A waiver with date and reason lets the image pass; the JSON report keeps the finding with the reason."""
    name = waive(
        manifest,
        "vulnerabilities:\n- id: CVE-2019-10906\n  expired_at: 2999-01-31\n  statement: only our own templates\n"
        "  purls: ['pkg:pypi/jinja2']\n",
    )
    (verdict,) = gate(manifest, vulnerable, waivers_file=name)

    enforce([verdict])
    (kept,) = report(verdict, "json")["Results"][0]["ExperimentalModifiedFindings"]
    assert (kept["Finding"]["VulnerabilityID"], kept["Statement"]) == ("CVE-2019-10906", "only our own templates")
    assert (verdict.waived, verdict.findings["HIGH"], verdict.findings["MEDIUM"]) == (1, 0, 1)
    assert verdict.waivers == ("CVE-2019-10906",)


def test_an_expired_waiver_counts_again_and_is_named(
    manifest: Manifest, vulnerable: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    """From its date on, a waiver has no effect and is reported."""
    today = datetime.now(UTC).date()
    name = waive(
        manifest,
        f"vulnerabilities:\n- id: CVE-2019-10906\n  expired_at: {today}\n  statement: only our own templates\n",
    )
    (verdict,) = gate(manifest, vulnerable, waivers_file=name)

    assert verdict.refused
    assert f"the waiver of CVE-2019-10906 expired on {today}: its findings count again" in capsys.readouterr().err


def test_a_waiver_that_matches_nothing_is_reported(
    manifest: Manifest, leaking: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    """A waiver without a finding is reported, unless its kind was not scanned; a used one is not."""
    name = waive(
        manifest,
        "secrets:\n- {id: github-pat, expired_at: 2999-01-01, statement: a sample, paths: [/app/settings.env]}\n"
        "- {id: aws-access-key-id, expired_at: 2999-01-01, statement: a sample}\n"
        "vulnerabilities:\n- {id: CVE-1999-0001, expired_at: 2999-01-01, statement: none}\n",
    )
    (verdict,) = gate(manifest, leaking, waivers_file=name, db_repository="")

    warnings = capsys.readouterr().err
    assert not verdict.refused
    assert "the waiver of aws-access-key-id matches nothing" in warnings
    assert "the waiver of github-pat" not in warnings
    assert "CVE-1999-0001" not in warnings


def test_a_waiver_without_reason_is_refused_before_the_scan(manifest: Manifest, clean: Image) -> None:
    """The waiver file is checked before the scan: no report is written."""
    name = waive(manifest, "vulnerabilities:\n- id: CVE-2019-10906\n  expired_at: 2999-01-31\n")

    with pytest.raises(ManifestError, match=r"vulnerabilities\[0\]\.statement: missing"):
        gate(manifest, clean, waivers_file=name)
    assert not (manifest.workspace.reports).exists()
