"""GitLab's report of a container scan, which it shows in merge requests and in its list of vulnerabilities.

The format is that of `container-scanning-report-format.json`, version 15:
https://gitlab.com/gitlab-org/security-products/security-report-schemas
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from build.gates.scan.image import Scanned

FILE = "gl-container-scanning-report.json"
_VERSION = "15.0.7"
_LONGEST = {"name": 255, "description": 1 << 20, "solution": 7000}
_NAMESPACE = uuid.UUID("7d1f6a52-5d0e-5b4c-9a57-2f0a3c1f8f3e")
_KINDS = {"CVE": "cve", "GHSA": "ghsa"}
_SCANNER = {"id": "trivy", "name": "Trivy", "url": "https://github.com/aquasecurity/trivy", "vendor": "Aqua Security"}
_ANALYZER = {"id": "unity-claude-build", "name": "./inv scan", "vendor": "this repository"}


def report(scanned: Sequence[Scanned], *, started: datetime, ended: datetime) -> dict[str, Any]:
    """The vulnerabilities of the images' packages; the format has no place for what else Trivy finds."""
    version = next((image.report["Trivy"]["Version"] for image in scanned if "Trivy" in image.report), "unknown")
    return {
        "version": _VERSION,
        "scan": {
            "type": "container_scanning",
            "status": "success",
            "start_time": _time(started),
            "end_time": _time(ended),
            "scanner": _tool(_SCANNER, version),
            "analyzer": _tool(_ANALYZER, version),
        },
        "vulnerabilities": [entry for image in scanned for entry in _of_image(image)],
        "remediations": [],
    }


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}"


def _tool(tool: dict[str, str], version: str) -> dict[str, Any]:
    return {**tool, "version": version, "vendor": {"name": tool["vendor"]}}


def _of_image(scanned: Scanned) -> Iterator[dict[str, Any]]:
    # Without registry and digest: by this name GitLab recognises a vulnerability in the next pipeline.
    repository = scanned.image.repository
    system = scanned.report.get("Metadata", {}).get("OS") or {}
    name = f"{system.get('Family', '')}:{system.get('Name', '')}".strip(":") or "none"
    for result in scanned.report.get("Results") or []:
        for found in result.get("Vulnerabilities") or []:
            yield _vulnerability(found, repository, name, scanned.image.reference)


def _vulnerability(found: dict[str, Any], repository: str, system: str, reference: str) -> dict[str, Any]:
    identifier, package, version = found["VulnerabilityID"], found["PkgName"], found.get("InstalledVersion", "")
    named = {"type": _KINDS.get(identifier.partition("-")[0], "trivy"), "name": identifier, "value": identifier}
    fixed = found.get("FixedVersion", "")
    texts = {
        "name": found.get("Title") or identifier,
        "description": found.get("Description", ""),
        "solution": f"Upgrade {package} to {fixed}" if fixed else "",
    }
    return {
        "id": str(
            uuid.uuid5(_NAMESPACE, "\0".join((repository, package, version, found.get("PkgPath", ""), identifier)))
        ),
        **{key: text[: _LONGEST[key]] for key, text in texts.items() if text},
        "severity": found.get("Severity", "UNKNOWN").capitalize(),
        "identifiers": [named | ({"url": url} if _is_link(url := found.get("PrimaryURL", "")) else {})],
        "links": [{"url": url} for url in found.get("References") or [] if _is_link(url)],
        "location": {
            "dependency": {"package": {"name": package}, "version": version},
            "operating_system": system,
            "image": repository,
        },
        "details": {"image": {"name": "Image", "type": "text", "value": reference}},
    }


def _is_link(url: str) -> bool:
    return url.startswith(("https://", "http://"))
