"""What each service of the stack bears: 32 clients of its own load program, on loopback, without Docker.

The docs server is measured beside sirv, which serves the same brotli file; npm fetches it for the measurement alone.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from build import console, json_file
from build.config.manifest import Manifest
from tests.bench.timing import Options, Table
from tests.support.programs import served
from tests.support.programs.served import Address, Figures, NoFigureError, Program

CLIENTS = 32
SIRV = "sirv@3.0.2"
_HEADINGS = ("program", f"{CLIENTS} clients", "p50", "p95", "failures", "beside")
# A page is in memory once it has been asked for, as at the docs server: what is compared is the answer, not the disk.
_SIRV_SERVER = """
import { createServer } from "node:http";
import sirv from "sirv";
const server = createServer(sirv(process.argv[2], { brotli: true, etag: true }));
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""


def measure_services(manifest: Manifest, options: Options) -> Table:
    """Requests a second and their times, of one program after the other, warm; also in .uc/reports/bench-services.json."""
    rows, report = [], {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        for program, environment in served.present(manifest).items():
            folder = Path(place, program.name)
            console.note(program.name)
            try:
                with served.serving(program, environment, folder) as at:
                    # Unmeasured: connections, caches, and modules that a runspace imports at its first call.
                    served.under_load(program, at, clients=CLIENTS, seconds=options.seconds / 3)
                    seen = served.under_load(program, at, clients=CLIENTS, seconds=options.seconds)
                    beside = _beside_sirv(program, at, folder, options) if program.service == "docs" else {}
            except NoFigureError as error:
                console.warn(str(error))
                continue
            report[program.name] = {**asdict(seen), **beside}
            rows.append(_row(program, seen, beside))
    json_file.write(manifest.workspace.reports / "bench-services.json", {"clients": CLIENTS, "programs": report})
    return _HEADINGS, rows


def _row(program: Program, seen: Figures, beside: dict[str, float]) -> tuple[str, ...]:
    peer = f"{SIRV}: {beside['sirv_per_second']:.0f}/s, ratio {beside['ratio']:.2f}" if beside else ""
    rate = f"{seen.per_second:.0f} {seen.counted}/s"
    return program.name, rate, f"{seen.p50_ms:.1f} ms", f"{seen.p95_ms:.1f} ms", str(seen.failures), peer


def _beside_sirv(program: Program, at: Address, folder: Path, options: Options) -> dict[str, float]:
    """Medians of sirv's rate and of the ratio of each round, A B A B; nothing where npm can't fetch it."""
    try:
        with _sirv(at, folder / "sirv") as peer:
            taken = [_round(program, at, peer, options.seconds / options.rounds) for _ in range(options.rounds + 1)]
    except NoFigureError as error:
        console.note(f"{program.name} has no peer: {error}", kind="skip")
        return {}
    warm = taken[1:]
    rates = statistics.median(theirs.per_second for _, theirs in warm)
    return {
        "sirv_per_second": rates,
        "ratio": statistics.median(ours.per_second / theirs.per_second for ours, theirs in warm),
        "answer_bytes": warm[0][0].bytes,
    }


def _round(program: Program, ours: Address, theirs: Address, seconds: float) -> tuple[Figures, Figures]:
    def ask(at: Address) -> Figures:
        return served.under_load(program, at, clients=CLIENTS, seconds=seconds)

    a, b = ask(ours), ask(theirs)
    if (a.encoding, a.bytes, a.failures) != (b.encoding, b.bytes, b.failures):
        raise NoFigureError(f"the answers differ: {a} and {b}")
    return a, b


@contextmanager
def _sirv(ours: Address, folder: Path) -> Iterator[Address]:
    """Sirv with the front page of the docs server, as it is there. Raises NoFigureError when it can't be fetched."""
    (site := folder / "site").mkdir(parents=True)
    for encoding, name in (("identity", "index.html"), ("br", "index.html.br")):
        request = urllib.request.Request(ours.url + ours.page, headers={"accept-encoding": encoding})
        with urllib.request.urlopen(request) as answer:
            (site / name).write_bytes(answer.read())
    try:
        install = ["npm", "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", SIRV]
        subprocess.run(install, check=True, capture_output=True, text=True, timeout=180)
    except (OSError, subprocess.SubprocessError) as error:
        raise NoFigureError(f"npm can't fetch {SIRV}: {error}") from error
    (server := folder / "server.mjs").write_text(_SIRV_SERVER)
    with subprocess.Popen(["node", server, site], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            port = process.stdout.readline().strip()
            yield Address(f"http://127.0.0.1:{port}", process.pid, ours.page, ours.token_file)
        finally:
            process.terminate()
