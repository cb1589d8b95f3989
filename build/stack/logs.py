"""The logs of the containers, as Compose prints them or as records."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from build import console
from build.config.manifest import Manifest
from build.errors import ManifestError, UsageError
from build.stack import compose
from build.typed import suggest

_CLEARED = "\x1b[2K"  # Compose 2.26 clears the line before each line of a log, also in a pipe and with --ansi never
# With --timestamps a line is "monitoring-1  | 2026-03-01T10:00:00.000000000Z text"; the number is that of the replica.
_LINE = re.compile(r"(?P<container>\S+)-\d+\s+\| (?P<time>\S+) ?(?P<text>.*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line of a container's log; `time` is when the engine read it (RFC 3339, UTC)."""

    container: str
    time: str
    text: str


def show(manifest: Manifest, names: Sequence[str], *, follow: bool, tail: str) -> None:
    """Print the containers' logs, straight from Compose, until they end or the user stops following.

    `tail` is a number of lines, or all. Raises UsageError for another one, ManifestError for an unknown container,
    SmokeFailed before the first `up`.
    """
    _check(manifest, names, tail)
    options = ["--tail", tail, *(["--follow"] if follow else [])]
    if console.output_is_coloured():
        compose.run(manifest, "logs", *options, *names, capture=False)
    else:
        for line in compose.lines(manifest, "logs", "--no-color", *options, *names):
            console.text(line.removeprefix(_CLEARED))


def read(manifest: Manifest, names: Sequence[str], *, tail: str) -> list[Line]:
    """Return the last `tail` lines of each of the containers, by default of all, in the order of their times.

    Raises as `show` does.
    """
    _check(manifest, names, tail)
    printed = compose.run(manifest, "logs", "--tail", tail, "--timestamps", "--no-color", *names)
    matches = [_LINE.fullmatch(line.removeprefix(_CLEARED)) for line in printed.split("\n")]
    lines = [Line(**match.groupdict()) for match in matches if match]
    return sorted(lines, key=lambda line: line.time)


def _check(manifest: Manifest, names: Sequence[str], tail: str) -> None:
    if tail != "all" and not tail.isdecimal():
        raise UsageError(f"--tail takes a number of lines, or all, and not '{tail}'", hint="./inv logs --tail 50")
    known = manifest.containers()
    for name in names:
        if name not in known:
            hint = f"containers: {', '.join(known)}"
            raise ManifestError(f"unknown container '{name}'{suggest(name, known)}", hint=hint)
