"""The memory of every program of the stack under a light load that lasts: ten minutes, or --minutes.

All programs run at once, each with one client of its own load program, which asks again when it is answered; one after
the other they would take an hour and a half. Together they fill two processors, so their rates are no figures here:
only the resident memory is, and how many requests it took. It is read from /proc every five seconds, on Linux alone.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from build import console, json_file
from build.config.manifest import Manifest
from build.waiting import waiting
from tests.bench import programs
from tests.bench.programs import Address, NoFigureError, Options, Program, Table

EVERY = 5.0  # seconds between two samples
PAUSE_MS = 20  # of a client of load.mjs, which else would take a processor for itself and node's server
_HEADINGS = ("program", "under load", "after minute 1", "middle", "at the end", "MB/min after minute 2")

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


def measure_endurance(manifest: Manifest, options: Options) -> Table:
    """Every program's memory; all samples are in .uc/reports/bench-endurance.json."""
    if not Path("/proc/self/status").exists():
        console.note("endurance is not measured: memory is read from /proc, on Linux", kind="skip")
        return _HEADINGS, []
    rows, report = [], {}
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        serve: dict[Program, Address] = {}
        for program, environment in programs.present(manifest).items():
            console.note(f"starting {program.name}")
            try:
                serve[program] = stack.enter_context(programs.serving(program, environment, Path(place, program.name)))
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
    samples: dict[Program, Samples] = {program: [(0.0, _resident(at.pid))] for program, at in serve.items()}
    loads = {program: _load(program, at, seconds) for program, at in serve.items()}
    started = time.monotonic()

    def look() -> str:
        return f"{(time.monotonic() - started) / 60:.1f} of {seconds / 60:g} minutes"

    with waiting(f"{len(serve)} programs under load", look):
        while (passed := time.monotonic() - started) < seconds:
            time.sleep(min(EVERY, seconds - passed))
            for program, at in serve.items():
                if megabytes := _resident(at.pid):
                    samples[program].append((round(time.monotonic() - started, 1), megabytes))
    return {program: load.communicate()[0] for program, load in loads.items()}, samples


def _load(program: Program, at: Address, seconds: float) -> subprocess.Popen[str]:
    argv: Sequence[str] = programs.load_program(program, at, clients=1, seconds=seconds, pause_ms=PAUSE_MS)
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _resident(pid: int) -> float:
    """Megabytes of a process, 0 when it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in status.splitlines() if line.startswith("VmRSS:")), 0.0)


def _seen(output: str, seconds: float) -> str:
    try:
        seen = programs.figures(output, seconds)
    except NoFigureError as error:
        return str(error)
    return f"{seen.number} {seen.counted}" + (f", {seen.failures} failed" if seen.failures else "")


def _shown(found: Growth) -> tuple[str, ...]:
    slope = "-" if found.per_minute is None else f"{found.per_minute:+.2f}"
    return f"{found.after_first_minute:.1f} MB", f"{found.middle:.1f} MB", f"{found.end:.1f} MB", slope
