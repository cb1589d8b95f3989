"""What was looked at in a release, what is missing or wrong in it, and what to do about that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from build.errors import VerificationFailed

_ATTACHED = ("signature", "attestation", "bill of materials")
State = Literal["ok", "missing", "wrong", "unchecked"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing that was looked at: of which image or record, what it is, and the state that it is in."""

    subject: str
    what: str
    state: State
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """The checks of a release; `keys` are the fingerprints of those that signed it, or its identity."""

    line: str
    version: str
    checks: tuple[Check, ...]
    keys: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.state in {"missing", "wrong"})


def require(verifications: Sequence[Verification]) -> None:
    """Raise VerificationFailed, naming what is missing or wrong."""
    lines = [
        f"{each.line} {each.version}: {check.subject}: {check.what}: {check.state}"
        + (f" ({check.detail})" if check.detail else "")
        for each in verifications
        for check in each.problems
    ]
    if lines:
        raise VerificationFailed("\n".join(lines), hint=_hint(verifications))


def _hint(verifications: Sequence[Verification]) -> str:
    """What to do about the problems: what is only missing can be put back, by whoever may release."""
    problems = [problem for each in verifications for problem in each.problems]
    if any(problem.state == "wrong" for problem in problems):
        return "./inv verify VERSION shows every check; ask whoever made the release, and do not run it"
    bundle = "from a bundle of it: ./inv bundle.load FILE"
    if all(problem.what.startswith(_ATTACHED) for problem in problems):
        return f"./inv release --resume puts back what the git tag has of it; {bundle}; do not run it before"
    return f"{bundle}; ./inv verify VERSION shows every check; do not run it before"
