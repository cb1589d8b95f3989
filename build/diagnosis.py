"""What an examination of this machine reports: the doctor's checks and the dependencies of the gates return it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

State = Literal["ok", "warn", "fail", "skip"]


class Diagnosis(NamedTuple):
    """The result of one check; `remedy` is a command or an exact step, for a warning or a failure."""

    state: State
    found: str
    remedy: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A diagnosis under the name of its check, as the doctor lists it."""

    check: str
    state: State
    found: str
    remedy: str = ""
