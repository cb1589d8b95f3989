"""The memory of a process over time, and the processor time that it and its children have used."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass
from pathlib import Path

Samples = list[tuple[float, float]]  # seconds since the load began, and megabytes


@dataclass(frozen=True)
class Growth:
    """What samples of memory say, in megabytes; the slope is that of least squares, None with no two after minute 2."""

    after_first_minute: float
    middle: float
    end: float
    per_minute: float | None


def growth(samples: Samples) -> Growth:
    """The growth in samples, of which there is at least one; `middle` is the median of their middle third."""
    first = next((megabytes for seconds, megabytes in samples if seconds >= 60), samples[-1][1])
    third = len(samples) // 3
    middle = statistics.median(megabytes for _, megabytes in samples[third : len(samples) - third])
    late = [(seconds / 60, megabytes) for seconds, megabytes in samples if seconds >= 120]
    slope = statistics.linear_regression(*zip(*late, strict=True)).slope if len(late) > 1 else None
    return Growth(first, middle, samples[-1][1], slope)


def resident(pid: int) -> float:
    """Megabytes of a process, 0 when it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in status.splitlines() if line.startswith("VmRSS:")), 0.0)


def processor_seconds(pid: int) -> float:
    """What a process and its descendants have used so far; 0 when it has ended, and where there is no /proc.

    Each of them may have used up to two clock ticks more: proc(5) has whole ones, for user and system apart.
    """
    used: dict[int, tuple[int, float]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ends just now
            continue
        used[int(stat.parent.name)] = int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    family = {pid}
    while more := {child for child, (parent, _) in used.items() if parent in family} - family:
        family |= more
    return sum(used[member][1] for member in family if member in used)
