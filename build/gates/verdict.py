"""The verdict of a gate, as a release records it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class GateVerdict:
    """A gate's verdict; `notes` are what it could not check, `waivers` the ids of the waived findings."""

    verdict: Literal["passed", "skipped"]
    checks: int = 0
    vulnerabilities_checked: bool = False
    database: str = ""
    waivers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


SKIPPED = GateVerdict(verdict="skipped")
