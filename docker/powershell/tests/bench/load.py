"""Callers that each wait for their answer, on connections they keep, against a running service; prints what came back.

usage: load.py HOST:PORT TOKEN_FILE [--call MODULE/COMMAND] [--seconds 60] [--clients 32] [--rotate N] [--json]
exit 1 on a 5xx that is not 503

--call: a command without parameters, instead of a summary of the files of the service's working folder.
--rotate N: every N seconds the token file is overwritten in place (the old and the new, then the new alone), as an operator would;
each client goes on with the new token. An answer 401 to a token that was valid when it was sent is a failure.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import secrets
import statistics
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

CALL = {"module": "Unity-Claude-FileTree", "command": "Get-FileTreeSummary", "parameters": {"Path": "."}}


@dataclass
class Load:
    """What all callers share: where to, with which token, and what came of it."""

    host: str
    port: int
    token: str
    until: float
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    rotations: int = 0
    old_refused: int = 0


async def exchange(
    load: Load, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], token: str, body: bytes
) -> tuple[int, bool]:
    """Send one call and read its whole answer; its status, and whether the connection may be used again.

    The listener ends a connection after a hundred answers, and says so.
    """
    reader, writer = streams
    writer.write(
        b"POST /invoke HTTP/1.1\r\nHost: %b\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b"
        % (load.host.encode(), token.encode(), len(body), body)
    )
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = next(int(line[15:]) for line in head.splitlines() if line.lower().startswith("content-length:"))
    await reader.readexactly(length)
    return int(head[9:12]), "connection: close" not in head.lower()


def wait_ready(host: str, port: int, seconds: float = 60) -> None:
    """Until /ready is 200; raises TimeoutError. A port that Docker publishes takes connections before the service does."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError, http.client.HTTPException):
            urllib.request.urlopen(f"http://{host}:{port}/ready", timeout=5).close()
            return
        time.sleep(0.1)
    raise TimeoutError(f"http://{host}:{port}/ready is not 200 after {seconds:g} s")


async def caller(load: Load, body: bytes) -> None:
    """Call until the time is up."""
    streams = None
    while time.monotonic() < load.until:
        streams = streams or await asyncio.open_connection(load.host, load.port)
        started = time.perf_counter()
        status, lasts = await exchange(load, streams, load.token, body)
        load.seconds.append(time.perf_counter() - started)
        load.statuses[status] += 1
        if not lasts:
            streams[1].close()
            streams = None


async def watch(load: Load) -> None:
    """The service's resident memory, once a second."""
    while time.monotonic() < load.until:
        text = await asyncio.to_thread(
            lambda: urllib.request.urlopen(f"http://{load.host}:{load.port}/metrics", timeout=30).read().decode()
        )
        line = next(line for line in text.splitlines() if line.startswith("process_resident_memory_bytes "))
        load.memory.append(int(float(line.split()[1])))
        await asyncio.sleep(1)


async def rotate(load: Load, file: Path, every: float, body: bytes) -> None:
    """A new token every so often, with an overlap in which both are valid; then the old one has to be refused."""
    while time.monotonic() + every < load.until:
        await asyncio.sleep(every)
        old, new = load.token, secrets.token_hex(16)
        file.write_text(f"{old}\n{new}\n")
        load.token = new
        # Long enough for every call that was sent with the old token.
        await asyncio.sleep(every / 2)
        file.write_text(f"{new}\n")
        streams = await asyncio.open_connection(load.host, load.port)
        load.old_refused += (await exchange(load, streams, old, body))[0] == 401
        streams[1].close()
        load.rotations += 1


async def run(load: Load, body: bytes, clients: int, file: Path, every: float) -> None:
    """All of it at once."""
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(caller(load, body))
        group.create_task(watch(load))
        if every:
            group.create_task(rotate(load, file, every, body))


def main() -> int:
    """Print requests a second, percentiles, statuses and memory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("token_file", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rotate", type=float, default=0)
    parser.add_argument("--call", default="")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    host, port = given.address.split(":")
    wait_ready(host, int(port))
    load = Load(host, int(port), given.token_file.read_text().split()[0], time.monotonic() + given.seconds)
    module, _, command = given.call.partition("/")
    body = json.dumps({"module": module, "command": command} if module else CALL).encode()
    asyncio.run(run(load, body, given.clients, given.token_file, given.rotate))
    cuts = statistics.quantiles(load.seconds, n=100)
    tenth = max(1, len(load.memory) // 10)
    result = {
        "clients": given.clients,
        "seconds": given.seconds,
        "requests_per_second": round(len(load.seconds) / given.seconds, 1),
        "p50_ms": round(1000 * cuts[49], 1),
        "p95_ms": round(1000 * cuts[94], 1),
        "p99_ms": round(1000 * cuts[98], 1),
        "statuses": dict(load.statuses),
        "memory_mib": [round(statistics.median(part) / 2**20) for part in (load.memory[:tenth], load.memory[-tenth:])],
        "rotations": load.rotations,
        "old_token_refused": load.old_refused,
    }
    print(json.dumps(result) if given.json else "\n".join(f"{name:22}{value}" for name, value in result.items()))
    bad = [status for status in load.statuses if (status >= 500 and status != 503) or status == 401]
    return 1 if bad or load.old_refused != load.rotations else 0


if __name__ == "__main__":
    sys.exit(main())
