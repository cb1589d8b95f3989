"""How old base images are, and how long their lines get security fixes: a line is a name and the start of a tag."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from build.config.manifest import Bases
from build.images.bases import Resolved
from build.images.references import path


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line such as node:20: the last day of its security fixes, and the reference of the newest supported line.

    `newer` is "" where versions.toml knows none.
    """

    name: str
    until: date
    newer: str

    def ended(self, day: date) -> bool:
        """Whether there are no security fixes any more."""
        return self.until < day

    def __str__(self) -> str:
        """The line and its last day, in a phrase."""
        return f"{self.name} gets security fixes until {self.until}"


def today() -> date:
    """The day in UTC."""
    return datetime.now(UTC).date()


def line_of(bases: Bases, reference: str, day: date) -> Line | None:
    """The line of a reference, by the longest name in [bases.supported_until]; None where it has none.

    The suggestion for `newer` is the line of the same image that is supported longest, from `day` on.
    """
    name = path(reference)
    known = [line for line in bases.supported_until if re.match(rf"{re.escape(line)}(?![0-9])", name)]
    if not known:
        return None
    line = max(known, key=len)
    until = date.fromisoformat(bases.supported_until[line])
    others = {
        date.fromisoformat(last): other for other, last in bases.supported_until.items()
        if other.partition(":")[0] == line.partition(":")[0]
    }  # fmt: skip
    latest = max(others)
    newer = reference.replace(line, others[latest], 1) if latest >= day and latest > until else ""
    return Line(name=line, until=until, newer=newer)


def lines(bases: Bases, base: Resolved, day: date) -> list[Line]:
    """The lines that decide how long a base is supported: its own, and of a stand-in the Debian release as well."""
    references = [base.reference, *([f"debian:{bases.suite}"] if base.source == "stand-in" else [])]
    return [line for reference in references if (line := line_of(bases, reference, day))]


def age(base: Resolved, day: date) -> int | None:
    """The days since the image was made; None where nobody says when."""
    match = re.match(r"\d{4}-\d\d-\d\d", base.created)
    return (day - date.fromisoformat(match[0])).days if match else None


def ended(bases: Bases, resolved: Mapping[str, Resolved], day: date) -> str:
    """One sentence on the lines that get no security fixes any more; "" where all do."""
    found = {line.name: line for base in resolved.values() for line in lines(bases, base, day) if line.ended(day)}
    if not found:
        return ""
    texts = [
        f"{line.name} since {line.until}" + (f" (set {line.newer})" if line.newer else "") for line in found.values()
    ]
    return f"without security fixes: {', '.join(texts)}"


def described(bases: Bases, base: Resolved, day: date) -> str:
    """When a base was made and how long it is supported, as a release records it."""
    made = f"made {base.created[:10]}" if base.created else "made at an unknown time"
    known = lines(bases, base, day)
    return "; ".join([made, *(f"{line.name} supported until {line.until}" for line in known)])
