"""The memory of every program of the stack under a light load that lasts: ten minutes, or --minutes.

All programs run at once, each with one client of its own load program, which asks again when it is answered; one after
the other they would take an hour and a half. Together they fill two processors, so their rates are no figures here:
only the resident memory is, and how many requests it took. It is read from /proc every five seconds, on Linux alone.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from build import console, json_file
from build.config.manifest import Manifest
from build.waiting import waiting
from tests.bench.timing import Options, Table
from tests.support.programs import served
from tests.support.programs.growth import Growth, Samples, growth, resident
from tests.support.programs.served import Address, NoFigureError, Program

EVERY = 5.0  # seconds between two samples
PAUSE_MS = 20  # of a client of load.mjs, which else would take a processor for itself and node's server
_HEADINGS = ("program", "under load", "after minute 1", "middle", "at the end", "MB/min after minute 2")


def measure_endurance(manifest: Manifest, options: Options) -> Table:
    """Every program's memory; all samples are in .uc/reports/bench-endurance.json."""
    if not Path("/proc/self/status").exists():
        console.note("endurance is not measured: memory is read from /proc, on Linux", kind="skip")
        return _HEADINGS, []
    rows, report = [], {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place, ExitStack() as stack:
        serve: dict[Program, Address] = {}
        for program, environment in served.present(manifest).items():
            console.note(f"starting {program.name}")
            try:
                serve[program] = stack.enter_context(served.serving(program, environment, Path(place, program.name)))
            except NoFigureError as error:
                console.warn(str(error))
        outputs, samples = _under_load(serve, 60 * options.minutes)
        for program, taken in samples.items():
            seen, found = _seen(outputs[program], 60 * options.minutes), growth(taken)
            report[program.name] = {"load": seen, **asdict(found), "samples": taken}
            rows.append((program.name, seen, *_shown(found)))
    measured = {"minutes": options.minutes, "programs": report}
    json_file.write(manifest.workspace.reports / "bench-endurance.json", measured)
    return _HEADINGS, rows


def _under_load(serve: Mapping[Program, Address], seconds: float) -> tuple[dict[Program, str], dict[Program, Samples]]:
    """What the load programs printed, and the memory of all programs while they ran."""
    samples: dict[Program, Samples] = {program: [(0.0, resident(at.pid))] for program, at in serve.items()}
    loads = {program: _load(program, at, seconds) for program, at in serve.items()}
    started = time.monotonic()

    def look() -> str:
        return f"{(time.monotonic() - started) / 60:.1f} of {seconds / 60:g} minutes"

    with waiting(f"{len(serve)} programs under load", look):
        while (passed := time.monotonic() - started) < seconds:
            time.sleep(min(EVERY, seconds - passed))
            for program, at in serve.items():
                if megabytes := resident(at.pid):
                    samples[program].append((round(time.monotonic() - started, 1), megabytes))
    return {program: load.communicate()[0] for program, load in loads.items()}, samples


def _load(program: Program, at: Address, seconds: float) -> subprocess.Popen[str]:
    argv: Sequence[str] = served.load_program(program, at, clients=1, seconds=seconds, pause_ms=PAUSE_MS)
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _seen(output: str, seconds: float) -> str:
    try:
        seen = served.figures(output, seconds)
    except NoFigureError as error:
        return str(error)
    return f"{seen.number} {seen.counted}" + (f", {seen.failures} failed" if seen.failures else "")


def _shown(found: Growth) -> tuple[str, ...]:
    slope = "-" if found.per_minute is None else f"{found.per_minute:+.2f}"
    return f"{found.after_first_minute:.1f} MB", f"{found.middle:.1f} MB", f"{found.end:.1f} MB", slope
