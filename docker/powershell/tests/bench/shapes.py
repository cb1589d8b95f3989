"""Shapes of a server on HttpListener side by side in one run, the same handler in each, and the service itself beside them.

usage: shapes.py [--seconds 4] [--rounds 3] [--clients 32]      needs pwsh (UC_PWSH or PATH)

Rounds are interleaved; medians are printed, and the ratio to the queue with eight workers. The service does more for each answer: a token, strict
JSON, names and values checked, a call in a runspace of its own under a time limit, the frame put back, a log line, metrics. Nothing asserts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from psserver import TOKEN, free_port, running, write_module

HERE = Path(__file__).resolve().parent
SHAPES = ("accept-3", "accept-8", "queue-8", "queue-4", "main", "pool")
FLOOR = "queue-8"
ECHO = "function Get-Number { [CmdletBinding()] param([int] $N) $N }"


@contextmanager
def shape(pwsh: str, name: str) -> Iterator[int]:
    """Start one shape; the port it listens on."""
    port = free_port()
    command = [
        pwsh,
        "-NoProfile",
        "-NonInteractive",
        "-File",
        str(HERE / "shapes.ps1"),
        "-Shape",
        name,
        "-Port",
        str(port),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        while process.stdout.readline().strip() != b"ready":
            assert process.poll() is None, name
        try:
            yield port
        finally:
            process.kill()


async def drive(port: int, request: bytes, clients: int, seconds: float) -> list[float]:
    """Seconds of each call that was answered 200 within the time."""
    taken: list[float] = []
    until = time.perf_counter() + seconds

    async def caller() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < until:
            started = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = next(int(line[15:]) for line in head.lower().splitlines() if line.startswith(b"content-length:"))
            await reader.readexactly(length)
            taken.append(time.perf_counter() - started)
            if b"connection: close" in head.lower():  # the listener's own rule: a hundred answers for each connection
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(caller())
    return taken


def post(path: str, body: bytes) -> bytes:
    """A request as bytes."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def measure(port: int, request: bytes, clients: int, seconds: float) -> tuple[float, float, float]:
    """Requests a second, p50 and p95 in ms, after a second that does not count."""
    asyncio.run(drive(port, request, clients, 1))
    taken = asyncio.run(drive(port, request, clients, seconds))
    cuts = statistics.quantiles(taken, n=100)
    return len(taken) / seconds, 1000 * cuts[49], 1000 * cuts[94]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=32)
    given = parser.parse_args()
    pwsh = os.environ.get("UC_PWSH") or shutil.which("pwsh") or sys.exit("no pwsh: set UC_PWSH, or put it on PATH")
    results: dict[str, list[tuple[float, float, float]]] = {}
    call = post("/invoke", b'{"module":"Echo","command":"Get-Number","parameters":{"N":1}}')
    for _ in range(given.rounds):
        for name in SHAPES:
            with shape(pwsh, name) as port:
                results.setdefault(name, []).append(measure(port, post("/", b'{"n":1}'), given.clients, given.seconds))
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder) / "Modules"
            write_module(tree, "Echo", ECHO)
            with running(pwsh, tree, Path(folder), ["Echo"]) as service:
                results.setdefault("the service", []).append(measure(service.port, call, given.clients, given.seconds))
    floor = [rate for rate, _, _ in results[FLOOR]]
    print(f"{given.clients} connections, {given.rounds} rounds of {given.seconds:g} s\n")
    print(f"{'shape':12} {'req/s':>7} {'p50 ms':>7} {'p95 ms':>7} {'ratio':>6}")
    for name, rows in results.items():
        rate, p50, p95 = (statistics.median(column) for column in zip(*rows, strict=True))
        ratio = statistics.median(one[0] / base for one, base in zip(rows, floor, strict=True))
        print(f"{name:12} {rate:7.0f} {p50:7.1f} {p95:7.1f} {ratio:6.2f}")


if __name__ == "__main__":
    main()
