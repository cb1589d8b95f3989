"""What differs between the gates of two releases, computed from their records. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from build.gates.verdict import GateVerdict
from build.release.record import Record


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedFindings:
    """What a release's scan found in an image, by severity: `counts` is None where that was not recorded.

    `outdated` are the packages that a security suite of the distribution had newer, each with both versions: None where
    nothing was compared with one.
    """

    scan: Literal["passed", "skipped", "none"]
    vulnerabilities_checked: bool
    counts: dict[str, int] | None
    outdated: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GateChange:
    """A gate of both releases: its verdicts, "" where it is not in the record, and what was let through on one side.

    `waivers_…` are the ids of waivers, `vex_…` those of findings that VEX documents say do not apply, `notes_…` what
    the gate could not check, `suites_…` the security suites that packages were compared with.
    """

    gate: str
    before: str
    after: str
    waivers_came: tuple[str, ...]
    waivers_went: tuple[str, ...]
    vex_came: tuple[str, ...]
    vex_went: tuple[str, ...]
    notes_came: tuple[str, ...]
    notes_went: tuple[str, ...]
    suites_before: tuple[str, ...]
    suites_after: tuple[str, ...]


def findings(record: Record, service: str) -> RecordedFindings | None:
    """What the scan of a release found in a service's image, None for a service that it does not have."""
    if service not in record.services:
        return None
    gate = record.gates.get("scan")
    if gate is None:
        return RecordedFindings(scan="none", vulnerabilities_checked=False, counts=None)
    return RecordedFindings(
        scan=gate.verdict,
        vulnerabilities_checked=gate.vulnerabilities_checked,
        counts=gate.findings.get(service),
        outdated=gate.outdated.get(service, ()) if gate.security_suites else None,
    )


def not_compared(before: Record, after: Record, service: str) -> Iterator[str]:
    """Why the outdated packages of two images can't be compared, if only one of them was compared with a suite."""
    sides = [(record, found) for record in (before, after) if (found := findings(record, service))]
    unknown = [record.version for record, found in sides if found.outdated is None]
    if len(sides) == 2 and len(unknown) == 1:
        yield f"outdated packages are not compared: the scan of {unknown[0]} asked no security suite"


def changes(before: Mapping[str, GateVerdict], after: Mapping[str, GateVerdict]) -> Iterator[GateChange]:
    """What differs in each gate of either release."""
    nothing = GateVerdict(verdict="passed")
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name, nothing), after.get(name, nothing)
        yield GateChange(
            gate=name, before=_verdict(name, before.get(name)), after=_verdict(name, after.get(name)),
            waivers_came=_more(old.waivers, new.waivers), waivers_went=_more(new.waivers, old.waivers),
            vex_came=_more(old.vex, new.vex), vex_went=_more(new.vex, old.vex),
            notes_came=_more(old.notes, new.notes), notes_went=_more(new.notes, old.notes),
            suites_before=old.security_suites, suites_after=new.security_suites,
        )  # fmt: skip


def _more(these: Iterable[str], those: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(those) - set(these)))


def _verdict(name: str, gate: GateVerdict | None) -> str:
    """A verdict in words, with what its scan left out."""
    if gate is None:
        return ""
    unchecked = name == "scan" and gate.verdict == "passed" and not gate.vulnerabilities_checked
    return f"{gate.verdict}; vulnerabilities NOT checked" if unchecked else gate.verdict
