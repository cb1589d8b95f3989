"""What the benchmarks of the services read: load programs' output, samples of memory, and which programs there are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from build.config.load import load
from tests.support.programs import rig, served
from tests.support.programs.growth import Growth, growth, processor_seconds
from tests.support.programs.served import Address, Figures, NoFigureError, Program
from tests.support.project import REPOSITORY

CHATS = "90 chats, 12/s, p50 2235 ms, p95 2686 ms, statuses {202: 90, 200: 90}, incomplete 2, memory 70.1 -> 70.2 -> 70.3 MB"
CALLS = "1440 calls, 96/s, p50 308.2 ms, p95 410.8 ms, statuses {200: 1440}, failed 0, memory 70.1 -> 70.2 -> 70.3 MB"
RUNS = {"statuses": {"200": 9}, "runs_per_second": 13.2, "run_p50_ms": 796.3, "run_p95_ms": 1858.6, "failures": 1}
REQUESTS = {"requests_per_second": 9.4, "p50_ms": 4.1, "p95_ms": 6.7, "statuses": {"200": 9, "503": 2, "401": 3}}


def test_each_container_of_the_stack_has_a_rig() -> None:
    """A program without a rig would be missing in every figure."""
    assert load(REPOSITORY, {}).containers().keys() == rig.PROGRAMS.keys()


def test_each_load_program_is_there() -> None:
    """The command line of a program's load begins with a script that exists."""
    manifest = load(REPOSITORY, {})
    for container, (service, _) in manifest.containers().items():
        program = Program(container, Path(manifest.services[service].folder).name)
        at = Address("http://127.0.0.1:1", 1, "/", Path("token"))

        script = served.load_program(program, at, clients=1, seconds=1)[1]

        assert Path(script).is_file(), script


@pytest.mark.parametrize(
    ("output", "figures"),
    [
        (CHATS, Figures("chats", 90, 12.0, 2235.0, 2686.0, 2)),
        (CALLS, Figures("calls", 1440, 96.0, 308.2, 410.8, 0)),
        (json.dumps(RUNS, indent=1), Figures("runs", 132, 13.2, 796.3, 1858.6, 1)),
        (json.dumps(REQUESTS), Figures("requests", 94, 9.4, 4.1, 6.7, 3)),
    ],
)
def test_what_a_load_program_prints_is_read(output: str, figures: Figures) -> None:
    """A line for a person or JSON; a 503 is a refusal by design, any other bad status a failure."""
    assert served.figures(output, 10) == figures


@pytest.mark.parametrize("output", ["", "Traceback:\nhttpx.ConnectError: refused", "{}", "[]"])
def test_output_without_a_figure_is_refused_by_its_last_line(output: str) -> None:
    """A load program that failed gives no figure, and its last line says why."""
    with pytest.raises(NoFigureError, match=r"no figure: (it printed nothing|httpx.ConnectError: refused|\{\}|\[\])"):
        served.figures(output, 10)


def test_growth_is_measured_after_the_second_minute() -> None:
    """What a start takes is no growth: the slope is that of the time after minute 2, in megabytes a minute."""
    start = [(float(second), 40.0 + second) for second in range(0, 120, 5)]
    steady = [(float(second), 200.0 + second / 60) for second in range(120, 601, 5)]

    found = growth(start + steady)

    assert found.after_first_minute == 100.0
    assert found.end == 210.0
    assert found.per_minute == pytest.approx(1.0)
    assert found.middle == pytest.approx(205, abs=0.1)


def test_a_short_endurance_has_no_slope() -> None:
    """With no two samples after minute 2 there is no slope, and the last sample stands for minute 1."""
    found = growth([(0.0, 40.0), (5.0, 41.0)])

    assert found == Growth(after_first_minute=41.0, middle=40.5, end=41.0, per_minute=None)


class _Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """A page for whoever has the token and takes brotli, in two pieces."""
        known = self.headers["authorization"] == "Bearer t" and self.headers["accept-encoding"] == "br"
        self.send_response(200 if known and self.path == "/page" else 404)
        self.send_header("content-length", "6")
        self.send_header("content-encoding", "br")
        self.end_headers()
        self.wfile.write(b"abc")
        self.wfile.flush()
        self.wfile.write(b"def")

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def pages() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.skipif(not shutil.which("node"), reason="needs node")
@pytest.mark.parametrize(("path", "failed"), [("/page", False), ("/other", True)])
def test_the_clients_of_load_count_answers_and_failures(pages: str, tmp_path: Path, path: str, failed: bool) -> None:
    """Each answer counts once, with the size of its body; one that is not 200 is a failure and the exit code 1."""
    (tmp_path / "token").write_text("t\n")
    argv = ["node", str(served.LOAD), pages, path, str(tmp_path / "token"), "2", "0.3", "5"]

    ran = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)

    seen = json.loads(ran.stdout)
    status = "404" if failed else "200"
    assert seen["statuses"] == {status: seen["requests"]}
    assert (seen["failures"] > 0, ran.returncode) == (failed, int(failed))
    assert (seen["bytes"], seen["encoding"]) == (6, "br")


@pytest.mark.skipif(sys.platform != "linux", reason="processor time is read from /proc")
def test_a_process_has_used_what_its_children_use() -> None:
    """A server that works in a child of what was started is measured all the same."""
    used, ticks = 0.2, 2 / os.sysconf("SC_CLK_TCK")
    burn = f"import time\nwhile time.process_time() < {used + ticks}: pass\nprint(flush=True); input()"
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-S', '-c', {burn!r}])"
    with subprocess.Popen([sys.executable, "-S", "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as ran:
        assert ran.stdin
        assert ran.stdout
        ran.stdout.readline()
        assert processor_seconds(ran.pid) >= used
        ran.stdin.close()
