"""What a person waits for at the terminal: the list of tasks, a Tab, a small table."""

from __future__ import annotations

import sys

from build.config.manifest import Manifest
from build.engine import client as docker
from tests.bench.timing import INV, Rows, milliseconds, pair, timed

_ROUNDS = 11  # these take milliseconds


def bench_terminal(_manifest: Manifest, rounds: int) -> Rows:
    """The program and its list beside the bare import of its framework; the wrapper beside what it calls; a Tab."""
    bare, python = [sys.executable, "-c", "import invoke.program"], [sys.executable, "-I", "-S", "-c", ""]
    compared = [
        ("./inv, without its wrapper", INV, "python -c 'import invoke.program'", bare, "<= 1.2"),
        ("./inv --list, without its wrapper", [*INV, "--list"], "python -c 'import invoke.program'", bare, "<= 1.2"),
        ("the wrapper: ./inv", ["./inv"], "without its wrapper", INV, "<= 1.1"),
        ("a Tab", ["./inv", "__complete", "build", "--service", ""], "python -I -S -c ''", python, "< 60 ms"),
    ]
    rows: Rows = []
    for what, ours, beside, theirs, goal in compared:
        a, b, ratio = pair(max(rounds, _ROUNDS), lambda ours=ours: timed(ours), lambda theirs=theirs: timed(theirs))  # type: ignore[misc]
        rows.append((what, beside, milliseconds(a), milliseconds(b), f"{ratio:.2f}", goal))
    return rows


def bench_ps(manifest: Manifest, rounds: int) -> Rows:
    """The containers as JSON, beside Docker's list of the same and the start of the program."""
    label = f"label=com.docker.compose.project={manifest.project.name}"
    listing = [docker.docker(), "ps", "--all", "--filter", label, "--format", "json"]

    def theirs() -> float:
        return 1.3 * timed(listing) + timed([*INV, "--list"])

    a, b, ratio = pair(max(rounds, _ROUNDS), lambda: timed([*INV, "ps", "--json"]), theirs)
    return [("ps --json", "1.3 × docker ps + the start", milliseconds(a), milliseconds(b), f"{ratio:.2f}", "<= 1.0")]
