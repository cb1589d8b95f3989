"""From a change to its hook: `latency.py [--seconds 15] [--debounce 0.1]`; prints a line for a person.

One file after the other is written, each once the hook of the one before has arrived; the clock starts after the write.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from monitor_rig import Monitor, Target, eventually, furnish


def measure(seconds: float, debounce: float) -> list[float]:
    """Seconds from each change to the request that says so."""
    with tempfile.TemporaryDirectory() as name:
        home, target = Path(name), Target()
        furnish(home)
        rules = f'[targets.hook]\nurl = "{target.url}"\n[[triggers]]\nname = "hook"\nglob = "**"\ntarget = "hook"\n'
        (home / "config" / "triggers.toml").write_text(f"{rules}debounce = {debounce}\n")
        monitor = Monitor(home, {}, []).wait_healthy()
        taken: list[float] = []
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until:
                number = len(taken)
                (home / "workspace" / f"{number}.txt").write_text("changed")
                changed = time.time()
                eventually(partial(target.was_asked, number + 1))
                taken.append(target.requests[number]["at"] - changed)
                time.sleep(0.2)
        finally:
            monitor.close()
            target.close()
    return taken


def main() -> None:
    """Print how many changes there were, and how long their hooks took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--debounce", type=float, default=0.1, help="of the trigger, in seconds")
    given = parser.parse_args()
    taken = sorted(measure(given.seconds, given.debounce))
    p50, p95 = 1000 * statistics.median(taken), 1000 * taken[int(len(taken) * 0.95)]
    sys.stdout.write(f"{len(taken)} hooks, p50 {p50:.1f} ms, p95 {p95:.1f} ms\n")


if __name__ == "__main__":
    main()
