"""What each service of the stack bears: 32 clients of its own load program, on loopback, without Docker.

The docs server and langgraph-api are measured beside their peers (peers.py), in turns.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from build import console, json_file
from build.config.manifest import Manifest
from tests.bench import peers
from tests.bench.timing import Options, Table
from tests.support.programs import served
from tests.support.programs.served import Address, Figures, NoFigureError, Program

CLIENTS = 32
_HEADINGS = ("program", "load", "rate", "p50", "p95", "CPU", "failures", "beside")
# What else a load program can do, by service: its options, and how many clients there are.
_LOADS: dict[str, dict[str, tuple[tuple[str, ...], int]]] = {
    "powershell": {"a call that does nothing": (("--call", "Probe/Get-Nothing"), CLIENTS)},
    "langgraph": {
        "runs without a thread": (("--stateless",), CLIENTS),
        "one client, runs without a thread": (("--stateless",), 1),
    },
}


def measure_services(manifest: Manifest, options: Options) -> Table:
    """Answers a second and their times, of one program after the other, warm; also in .uc/reports/bench-services.json."""
    rows, report = [], {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        for program, environment in served.present(manifest).items():
            folder = Path(place, program.name)
            console.note(program.name)
            try:
                with served.serving(program, environment, folder) as at:
                    seen = _loads(program, at, folder, options)
            except NoFigureError as error:
                console.warn(str(error))
                continue
            report[program.name] = {
                load: {**asdict(figures), "beside": asdict(peer) if peer else None}
                for load, (figures, peer) in seen.items()
            }
            rows += [_row(program, load, figures, peer) for load, (figures, peer) in seen.items()]
    json_file.write(manifest.workspace.reports / "bench-services.json", {"clients": CLIENTS, "programs": report})
    return _HEADINGS, rows


def _loads(
    program: Program, at: Address, folder: Path, options: Options
) -> dict[str, tuple[Figures, peers.Beside | None]]:
    """What each load of a program showed, by its name, beside the program's peer where there is one."""
    seen: dict[str, tuple[Figures, peers.Beside | None]] = {}
    with ExitStack() as stack:
        try:
            peer = stack.enter_context(peers.serving(program, at, folder / "peer"))
        except NoFigureError as error:
            console.note(f"{program.name} has no peer: {error}", kind="skip")
            peer = None
        usual: dict[str, tuple[tuple[str, ...], int]] = {f"{CLIENTS} clients": ((), CLIENTS)}
        for load, (given, clients) in (usual | _LOADS.get(program.service, {})).items():
            # Unmeasured: connections, caches, and modules that a runspace imports at its first call.
            _under(program, at, options.seconds / 3, clients, given)
            figures = _under(program, at, options.seconds, clients, given)
            beside = peers.beside(program, at, peer, options, clients=clients, load=given) if peer else None
            seen[load] = figures, beside
    return seen


def _under(program: Program, at: Address, seconds: float, clients: int, given: Sequence[str]) -> Figures:
    return served.under_load(program, at, clients=clients, seconds=seconds, options=given)


def _row(program: Program, load: str, seen: Figures, peer: peers.Beside | None) -> tuple[str, ...]:
    rate = f"{seen.per_second:.0f} {seen.counted}/s"
    times = f"{seen.p50_ms:.1f} ms", f"{seen.p95_ms:.1f} ms", f"{seen.cpu_ms:.2f} ms"
    return program.name, load, rate, *times, str(seen.failures), str(peer or "")
