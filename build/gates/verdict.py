"""The verdict of a gate, as a release records it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class GateVerdict:
    """A gate's verdict; `notes` are what it could not check, `waivers` the ids of the waived findings.

    `findings` counts what it found in each service's image, by severity.
    """

    verdict: Literal["passed", "skipped"]
    checks: int = 0
    vulnerabilities_checked: bool = False
    database: str = ""
    waivers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    findings: dict[str, dict[str, int]] = field(default_factory=dict)


SKIPPED = GateVerdict(verdict="skipped")
