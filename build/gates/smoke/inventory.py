"""What a service declares that it has, as its /health says: modules, graphs, roles, pages, tools, each with a state.

A smoke check of the kind `inventory` asks for it, so that any sources are checked for what they themselves declare.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

_SHOWN = 5  # entries that a note names


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A thing that a service declares; `state` is ready, failed or pending, `reason` why it is not ready."""

    kind: str
    name: str
    state: str
    reason: str = ""
    critical: bool = False

    def __str__(self) -> str:
        """The entry in words: kind, name, and why it is not ready."""
        state = f"is not ready yet{f' ({self.reason})' if self.reason else ''}" if self.state == "pending" else ""
        return f"{self.kind} {self.name}: {state or self.reason or self.state}"


class NoInventory(Exception):
    """An answer that is not a health report with an inventory; the message says what it is instead."""


def entries(document: Any) -> list[Entry]:
    """The entries of the body of a health report. Raises NoInventory."""
    listed = document.get("inventory") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise NoInventory("no list `inventory` in the answer")
    parsed = []
    for item in listed:
        if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("kind", "name", "state")):
            raise NoInventory(f"an entry of `inventory` without kind, name and state: {str(item)[:200]}")
        parsed.append(
            Entry(
                kind=item["kind"], name=item["name"], state=item["state"],
                reason=str(item.get("reason") or ""), critical=item.get("critical") is True,
            )
        )  # fmt: skip
    return parsed


def problem(listed: Iterable[Entry]) -> str:
    """Every critical entry that is not ready, with its reason; "" if there is none."""
    return "; ".join(str(entry) for entry in listed if entry.critical and entry.state != "ready")


def note(listed: Sequence[Entry]) -> str:
    """How many of each kind are ready, and which are not; "" when nothing is declared."""
    parts = []
    ready = Counter(entry.kind for entry in listed if entry.state == "ready")
    for kind, count in Counter(entry.kind for entry in listed).items():
        missing = [entry for entry in listed if entry.kind == kind and entry.state != "ready"]
        shown = "; ".join(str(entry) for entry in missing[:_SHOWN])
        more = f"; and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        parts.append(f"{kind}: {ready[kind]} of {count} ready" + (f" ({shown}{more})" if missing else ""))
    return ", ".join(parts)


def lacking(listed: Iterable[Entry], needs: Iterable[str]) -> list[str]:
    """Which of `needs`, each KIND:NAME, are not declared."""
    declared = {f"{entry.kind}:{entry.name}" for entry in listed}
    return [need for need in needs if need not in declared]
