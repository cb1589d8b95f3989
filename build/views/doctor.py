"""The doctor's report."""

from __future__ import annotations

from collections.abc import Sequence

from build import console
from build.columns import Column
from build.diagnosis import Row


def report(rows: Sequence[Row], *, json: bool = False) -> None:
    """Print a line for each check: its state, what it found and what to do about it."""
    if json:
        console.result(rows)
        return
    cells = [(console.mark(row.state), row.check, row.found, row.remedy) for row in rows]
    console.table(
        ("", "check", Column("found", yields=1, prose=True), Column("what to do", yields=2, prose=True)), cells
    )
