"""What a service's load is measured beside: sirv for the documentation, the official server for langgraph-api.

Both are fetched for the measurement alone, into a folder that is removed again.
"""

from __future__ import annotations

import dataclasses
import os
import statistics
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.timing import Options
from tests.support.programs import served
from tests.support.programs.served import Address, Figures, NoFigureError, Program

SIRV = "sirv@3.0.2"
# A page is in memory once it has been asked for, as at the docs server: what is compared is the answer, not the disk.
_SIRV_SERVER = """
import { createServer } from "node:http";
import sirv from "sirv";
const server = createServer(sirv(process.argv[2], { brotli: true, etag: true }));
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
process.stdin.on("end", () => process.exit()).resume();
"""


@dataclass(frozen=True)
class Beside:
    """Medians of the peer under the same load, and of each round's ratios: our rate to its, its processor time to ours.

    The second one counts where the clients, on the same processors, are what limits the first.
    """

    peer: str
    per_second: float
    p50_ms: float
    rate_ratio: float
    cpu_ratio: float

    def __str__(self) -> str:
        figures = f"{self.per_second:.0f}/s, p50 {self.p50_ms:.1f} ms"
        return f"{self.peer}: {figures}, ratio {self.rate_ratio:.2f}, CPU {self.cpu_ratio:.2f}"


@contextmanager
def serving(program: Program, ours: Address, folder: Path) -> Iterator[tuple[str, Address] | None]:
    """The peer of a program, by name, with the page that `ours` has; None for a program without one.

    Raises NoFigureError when it can't be had.
    """
    peers: dict[str, tuple[str, Callable[[Program, Address, Path], AbstractContextManager[Address]]]] = {
        "docs": (SIRV, _sirv),
        "langgraph": ("the official server", _official),
    }
    if program.service not in peers:
        yield None
        return
    name, start = peers[program.service]
    folder.mkdir()
    with start(program, ours, folder) as address:
        yield name, address


def beside(
    program: Program, ours: Address, peer: tuple[str, Address], options: Options, *, clients: int, load: Sequence[str]
) -> Beside:
    """Both under the same load in turns, A B A B; the first round is a warm-up. Raises NoFigureError."""
    name, theirs = peer

    def ask(at: Address) -> Figures:
        seconds = options.seconds / options.rounds
        return served.under_load(program, at, clients=clients, seconds=seconds, options=load)

    taken = [(ask(ours), ask(theirs)) for _ in range(options.rounds + 1)][1:]
    for a, b in taken:
        if (a.encoding, a.bytes, a.failures) != (b.encoding, b.bytes, b.failures):
            raise NoFigureError(f"the answers differ: {a} and {b}")
    return Beside(
        name,
        statistics.median(b.per_second for _, b in taken),
        statistics.median(b.p50_ms for _, b in taken),
        statistics.median(a.per_second / b.per_second for a, b in taken),
        statistics.median(b.cpu_ms / a.cpu_ms if a.cpu_ms else 0.0 for a, b in taken),
    )


@contextmanager
def _sirv(_program: Program, ours: Address, folder: Path) -> Iterator[Address]:
    """Sirv with the front page of the docs server, as it is there."""
    (site := folder / "site").mkdir()
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
    with _started(["node", str(server), str(site)], ours) as address:
        yield address


@contextmanager
def _official(program: Program, ours: Address, folder: Path) -> Iterator[Address]:
    """The official server with the graphs of the tests, in a virtual environment of its own."""
    search = os.pathsep.join(map(str, (program.tests.parent, program.tests)))
    command = [str(program.python), "-P", str(program.tests / "official.py"), str(folder / "venv")]
    with _started(command, ours, PYTHONPATH=search) as address:
        yield address


@contextmanager
def _started(command: Sequence[str], ours: Address, **environment: str) -> Iterator[Address]:
    """A program that prints its URL and serves until its stdin ends."""
    variables = {**os.environ, **environment}
    with subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            url = process.stdout.readline().strip()
            if not url:
                raise NoFigureError(f"{command[-1]} does not start")
            yield dataclasses.replace(ours, url=url, pid=process.pid)
        finally:
            process.stdin.close()
