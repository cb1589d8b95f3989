"""Reads Trivy's JSON report: findings, waived findings and package types. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from build.errors import ScanBroken
from build.gates.scan.vex import SUPPRESSING

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "UNKNOWN")
_ID_KEYS = {"vulnerability": "VulnerabilityID", "secret": "RuleID", "misconfiguration": "ID", "license": "Name"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A vulnerability, secret, misconfiguration or license; `subject` is where, `fixed` the version that fixes it."""

    kind: str
    id: str
    severity: str
    subject: str
    fixed: str = ""

    def __str__(self) -> str:
        remedy = f", fixed in {self.fixed}" if self.fixed else ", no fix yet" if self.kind == "vulnerability" else ""
        return f"{self.severity} {self.id}: {self.subject}{remedy}"

    @property
    def rank(self) -> tuple[int, str, str]:
        """A sort key, worst first."""
        return SEVERITIES.index(self.severity), self.id, self.subject


def read(report: Mapping[str, Any]) -> Iterator[Finding]:
    """The findings of a report, without the licenses of the distribution's own packages.

    Those dominate a base image (663 in Debian with Python, mostly GPL), and nobody can act on them.
    """
    for result in report.get("Results") or []:
        target = result.get("Target", "")
        for entry in result.get("Vulnerabilities") or []:
            package = f"{entry['PkgName']} {entry.get('InstalledVersion', '')}".rstrip()
            yield _finding("vulnerability", entry, package, fixed=entry.get("FixedVersion", ""))
        for entry in result.get("Secrets") or []:
            yield _finding("secret", entry, f"{target}:{entry['StartLine']}")
        for entry in result.get("Misconfigurations") or []:
            if entry.get("Status", "FAIL") == "FAIL":
                yield _finding("misconfiguration", entry, f"{target}: {entry.get('Title', '')}")
        for entry in result.get("Licenses") or []:
            if target != "OS Packages":
                yield _finding("license", entry, entry.get("PkgName") or entry.get("FilePath", ""))


def _finding(kind: str, entry: Mapping[str, Any], subject: str, *, fixed: str = "") -> Finding:
    severity = entry.get("Severity", "UNKNOWN")
    return Finding(kind=kind, id=entry[_ID_KEYS[kind]], severity=severity, subject=subject, fixed=fixed)


def waived(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The kind, id and reason of every waived finding. Raises ScanBroken for one without an id: the record names it."""
    return [
        _waived(entry)
        for result in report.get("Results") or []
        for entry in result.get("ExperimentalModifiedFindings") or []
        if entry.get("Status") == "ignored"
    ]


def stated(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The id of every finding that a statement of a VEX document lets through, and Trivy's path of the document."""
    return [
        (str((entry.get("Finding") or {}).get("VulnerabilityID", "")), str(entry.get("Source", "")))
        for result in report.get("Results") or []
        for entry in result.get("ExperimentalModifiedFindings") or []
        if entry.get("Status") in SUPPRESSING
    ]


def _waived(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    kind = str(entry.get("Type"))
    if not (identifier := (entry.get("Finding") or {}).get(_ID_KEYS.get(kind, ""))):
        message = f"Trivy waived a finding of the kind {kind}, which this toolkit can't name in a release's record"
        raise ScanBroken(message, hint="has the version of Trivy changed?")
    return kind, identifier, entry.get("Statement", "")


def contents(report: Mapping[str, Any]) -> set[str]:
    """The distribution (`debian 13.1`) and the package types (`python-pkg`) of an image."""
    held = {result.get("Type", "") for result in report.get("Results") or [] if result.get("Class") == "lang-pkgs"}
    system = report.get("Metadata", {}).get("OS")
    if system:
        held.add(f"{system.get('Family', '')} {system.get('Name', '')}".strip())
    return held


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """The number of findings of each severity, worst first, including zeros."""
    counted = Counter(finding.severity for finding in findings)
    return {severity: counted[severity] for severity in SEVERITIES}
