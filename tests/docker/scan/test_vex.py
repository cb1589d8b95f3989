"""OpenVEX documents with the real Trivy: what they say lets a finding through, is kept as evidence, and is recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from build.config.manifest import Manifest
from build.gates import order
from build.gates.scan import vex
from build.images.image import Image
from tests.docker.scan.conftest import gate, report

NAME = "vex/jinja2.openvex.json"


def state(manifest: Manifest, product: dict[str, Any], status: str = "not_affected") -> None:
    """Write a document with one statement on the HIGH finding of the vulnerable image."""
    statement = {
        "vulnerability": {"name": "CVE-2019-10906"},
        "products": [product],
        "status": status,
        "justification": "vulnerable_code_not_in_execute_path",
    }
    document = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.invalid/vex/1",
        "author": "A",
        "timestamp": "2026-01-01T00:00:00Z",
        "version": 1,
        "statements": [statement],
    }
    (manifest.root / "vex").mkdir(exist_ok=True)
    (manifest.root / NAME).write_text(json.dumps(document))


def _image(image: Image) -> dict[str, Any]:
    encoded = image.name.replace("/", "%2F").replace(":", "%3A")
    url = f"pkg:oci/{image.service}?repository_url={encoded}"
    return {"@id": url, "subcomponents": [{"@id": "pkg:pypi/jinja2@2.10"}]}


@pytest.mark.parametrize("product", ["package", "image"])
@pytest.mark.parametrize("status", vex.SUPPRESSING)
def test_a_statement_lets_a_finding_through(
    manifest: Manifest, vulnerable: Image, product: str, status: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A package, or a package of an image, that is not affected or fixed; the report keeps the finding with its source."""
    state(manifest, {"@id": "pkg:pypi/jinja2@2.10"} if product == "package" else _image(vulnerable), status)
    (verdict,) = gate(manifest, vulnerable)

    assert (verdict.refused, verdict.waived, verdict.vex) == (False, 1, ("CVE-2019-10906",))
    (kept,) = report(verdict, "json")["Results"][0]["ExperimentalModifiedFindings"]
    assert (kept["Status"], kept["Statement"]) == (status, "vulnerable_code_not_in_execute_path")
    assert "CVE-2019-10906" in verdict.reports["txt"].read_text()
    assert "matches nothing" not in capsys.readouterr().err


@pytest.mark.parametrize("status", ["affected", "under_investigation"])
def test_another_status_changes_nothing(manifest: Manifest, vulnerable: Image, status: str) -> None:
    """What is affected, or not known yet, refuses as before."""
    state(manifest, {"@id": "pkg:pypi/jinja2@2.10"}, status)
    (verdict,) = gate(manifest, vulnerable)

    assert (verdict.refused, verdict.vex) == (True, ())


def test_a_statement_that_matches_nothing_is_reported(
    manifest: Manifest, vulnerable: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    """A statement on another version lets nothing through, and the scan says so; without a database it says nothing."""
    state(manifest, {"@id": "pkg:pypi/jinja2@2.9"})
    words = f"{NAME}: its statement on CVE-2019-10906 matches nothing in the scanned images"

    assert gate(manifest, vulnerable)[0].refused
    assert words in capsys.readouterr().err
    gate(manifest, vulnerable, db_repository="none")
    assert words not in capsys.readouterr().err


def test_the_record_keeps_what_was_let_through_and_by_what(manifest: Manifest, vulnerable: Image) -> None:
    """A release names the findings and the digest of each document; without the check no document counted."""
    state(manifest, {"@id": "pkg:pypi/jinja2@2.10"})
    images = {"vulnerable": vulnerable}
    (document,) = vex.load(manifest)

    verdict = order.judge(order.GATES[0], manifest, images, dict, ())
    assert (verdict.vex, verdict.vex_documents) == (("CVE-2019-10906",), {NAME: document.digest})
    unchecked = replace(manifest, gates=replace(manifest.gates, db_repository="none", require_vulnerabilities=False))
    verdict = order.judge(order.GATES[0], unchecked, images, dict, ())
    assert (verdict.vex, verdict.vex_documents) == ((), {})
