"""Timing of benchmarks: whole processes or calls, interleaved rounds, medians of both and of the ratios."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INV = [sys.executable, str(ROOT / "build/program/start.py")]  # what ./inv executes

Rows = list[tuple[str, ...]]
Table = tuple[tuple[str, ...], Rows]  # its headings and its rows


@dataclass(frozen=True)
class Options:
    """How much is measured: rounds of what has a peer, seconds of each load, minutes of the endurance."""

    rounds: int
    seconds: float
    minutes: float


def timed(
    argv: Sequence[str],
    *,
    before: Callable[[], None] | None = None,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
) -> float:
    """Wall time of one process in seconds; its output is discarded. Raises CalledProcessError on failure."""
    if before:
        before()
    started = time.perf_counter()
    subprocess.run(argv, cwd=cwd, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def pair(rounds: int, ours: Callable[[], float], peer: Callable[[], float]) -> tuple[float, float, float]:
    """Medians of both, and the median of the per-round ratios, after one warm-up round."""
    ours(), peer()
    return medians([(ours(), peer()) for _ in range(rounds)])


def medians(taken: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """The median of ours, of the peer, and of their ratios; `taken` has ours and the peer of each round, in seconds."""
    return (
        statistics.median(a for a, _ in taken),
        statistics.median(b for _, b in taken),
        statistics.median(a / b for a, b in taken),
    )


def milliseconds(seconds: float) -> str:
    """Format seconds as milliseconds for a table."""
    return f"{seconds * 1000:.0f} ms"
