"""How long each program of the stack takes to end while clients hold it open, beside the grace that the stack gives.

Held open are idle connections and whatever the service has that lasts: streams of runs, events, a WebSocket, a client
that waits, a delivery without an answer, a download that nobody takes, a call in flight. The clients never hang up, and
the work would take minutes: the worst case, not the usual one.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
from pathlib import Path

from build import console, json_file
from build.config.manifest import Manifest
from build.stack.model import Container
from tests.bench.timing import Options, Table
from tests.support.programs import served
from tests.support.programs.served import NoFigureError

TIMES = 10
_GRACE = {field.name: field.default for field in dataclasses.fields(Container)}["stop_grace_seconds"]
_HEADINGS = ("program", "open", f"SIGTERM, {TIMES} times: max", "median", "grace", "exit codes")


def measure_stops(manifest: Manifest, _options: Options) -> Table:
    """Seconds from SIGTERM to the end, one program after the other; also in .uc/reports/bench-stops.json."""
    rows: list[tuple[str, ...]] = []
    report = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        for program, environment in served.present(manifest).items():
            console.note(program.name)
            try:
                ended = served.stops(program, environment, Path(place, program.name), TIMES)
            except NoFigureError as error:
                console.warn(str(error))
                continue
            report[program.name] = ended
            seconds = [end["seconds"] for end in ended]
            codes = ", ".join(map(str, sorted({int(end["code"]) for end in ended})))
            middle = f"{statistics.median(seconds):.2f} s"
            rows.append(
                (program.name, f"{ended[0]['open']:.0f}", f"{max(seconds):.2f} s", middle, f"{_GRACE} s", codes)
            )
    json_file.write(manifest.workspace.reports / "bench-stops.json", {"programs": report})
    return _HEADINGS, rows
