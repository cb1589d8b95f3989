"""The verdict of the scan on one image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from build.gates.scan import findings
from build.gates.scan.debian import Compared
from build.gates.scan.findings import Finding


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageVerdict:
    """The verdict on one image: `findings` by severity, and the `gated` ones, which refuse it, worst first.

    `database` is the date of the vulnerability database, `database_reference` the artifact that it was; both are empty
    where vulnerabilities were not checked. `waived` counts
    the findings that the `waivers` (their ids) and the statements of VEX documents (the ids in `vex`) let through.
    `security` compares its packages with Debian's security suite.
    """

    service: str
    reference: str
    vulnerabilities_checked: bool
    database: str
    database_reference: str
    findings: dict[str, int]
    refused: bool
    gated: tuple[Finding, ...]
    waived: int
    waivers: tuple[str, ...]
    vex: tuple[str, ...]
    security: Compared
    notes: tuple[str, ...]
    reports: dict[str, Path]


def described(verdict: ImageVerdict) -> str:
    """The verdict in a few words, for a table."""
    unchecked = [] if verdict.vulnerabilities_checked else ["vulnerabilities NOT checked"]
    older = [str(verdict.security)] if verdict.security.outdated else []
    found = [counted(verdict)] if verdict.gated else []
    if not verdict.refused:
        return ", ".join(["passed", *unchecked, *older])
    return "refused: " + ", ".join([*found, *older, *unchecked])


def counted(verdict: ImageVerdict) -> str:
    """The number of findings at the gate, by severity."""
    counts = findings.counts(list(verdict.gated))
    return ", ".join(f"{number} {severity}" for severity, number in counts.items() if number)
