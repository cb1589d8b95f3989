"""The memory of a process over time: what it holds now, and what samples of it say."""

from __future__ import annotations

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
