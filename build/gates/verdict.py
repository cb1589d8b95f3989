"""The verdict of a gate, as a release records it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from build.typed import LATER


@dataclass(frozen=True, kw_only=True, slots=True)
class GateVerdict:
    """A gate's verdict; `notes` are what it could not check, `waivers` the ids of the waived findings.

    `database` is when the vulnerability database was made, `database_reference` the artifact that it was. Where
    vulnerabilities were not checked, `unchecked_by` is the word that allowed it: a flag of this release, or a setting.
    `findings` counts what was found in each service's image, by severity.
    `vex` are the ids of what VEX documents let through, `vex_documents` the digests of these by name.
    `security_suites` are Debian's suites that packages were compared with, `outdated` the older ones by service.
    """

    verdict: Literal["passed", "skipped"]
    checks: int = 0
    vulnerabilities_checked: bool = False
    database: str = ""
    waivers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    database_reference: str = field(default="", metadata=LATER)
    unchecked_by: Literal["", "flag", "setting"] = field(default="", metadata=LATER)
    findings: dict[str, dict[str, int]] = field(default_factory=dict, metadata=LATER)
    vex: tuple[str, ...] = field(default=(), metadata=LATER)
    vex_documents: dict[str, str] = field(default_factory=dict, metadata=LATER)
    security_suites: tuple[str, ...] = field(default=(), metadata=LATER)
    outdated: dict[str, tuple[str, ...]] = field(default_factory=dict, metadata=LATER)


SKIPPED = GateVerdict(verdict="skipped")
