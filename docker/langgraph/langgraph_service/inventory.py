"""What the sources declare, and what became of it: the key `inventory` of /health."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph_service.plugins import Graphs

COPIED = "runs from a copy of the agents folder: it writes files beside itself when it is imported"


def _entry(name: str, reason: str = "", **more: Any) -> dict[str, Any]:
    state = "failed" if reason else "ready"
    return {"kind": "graph", "name": name, "state": state, "reason": reason, "critical": True, **more}


def inventory(graphs: Graphs, critical: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Every declared graph, ready or failed; all are critical. Names in `critical` that nobody declares are failed.

    A pattern (with `*`, `?` or `[`) names graphs that may be there or not.
    """
    notes: Mapping[str, dict[str, str]] = {name: {"note": COPIED} for name in graphs.copied}
    entries = [_entry(name, **notes.get(name, {})) for name in graphs.loaded]
    entries += [_entry(name, reason) for name, reason in graphs.failed.items()]
    known = {entry["name"] for entry in entries}
    absent = [name for name in critical if name not in known and not any(sign in name for sign in "*?[")]
    return entries + [_entry(name, "not in the tree") for name in absent]


def failure(entries: Sequence[Mapping[str, Any]]) -> str | None:
    """What is not there although it is declared, in one line; None when all is."""
    failed = [f"graph {entry['name']!r} did not load: {entry['reason']}" for entry in entries if entry["reason"]]
    return "; ".join(failed) or None
