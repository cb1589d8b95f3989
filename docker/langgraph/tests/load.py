"""Load: clients that create a thread, run, stream, read and delete it, again and again, for some seconds.

usage: load.py URL KEY [--graph probe] [--clients 32] [--seconds 60] [--stateless] [--container NAME]     KEY may be a file
--stateless: runs without a thread, each waited for, and nothing else.
Prints figures, and with --container the memory of that container; exit 1 when an answer was a 5xx that is not a 503.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

INPUTS: dict[str, Any] = {
    "probe": {"text": "load", "log": []},
    "gate": {"subject": "load"},
    # A deletion is risky, so the graph asks the modules and then waits for a person: no chat, no model.
    "triage": {"event": {"id": "load", "path": "load.txt", "kind": "deleted", "at": "2026-01-01T00:00:00Z"}},
}


@dataclass
class Figures:
    """What was seen."""

    statuses: Counter[str] = field(default_factory=Counter)
    runs: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    @property
    def failures(self) -> int:
        """Answers that no design allows: 5xx other than 503, and none at all."""
        return sum(count for status, count in self.statuses.items() if status[0] not in "234" and status != "503")

    def report(self, seconds: float) -> dict[str, Any]:
        """The figures, ready to print."""
        runs = sorted(self.runs) or [0.0]
        shown: dict[str, Any] = {
            "seconds": round(seconds, 1),
            "requests": sum(self.statuses.values()),
            "statuses": dict(sorted(self.statuses.items())),
            "runs_per_second": round(len(self.runs) / seconds, 1),
            "run_p50_ms": round(statistics.median(runs) * 1000, 1),
            "run_p95_ms": round(runs[int(len(runs) * 0.95)] * 1000, 1),
            "failures": self.failures,
        }
        if self.memory:
            third = max(len(self.memory) // 3, 1)
            shown["memory_mb"] = {
                "first_third": round(statistics.median(self.memory[:third]), 1),
                "last_third": round(statistics.median(self.memory[-third:]), 1),
                "highest": round(max(self.memory), 1),
            }
        return shown


async def _client(http: httpx.AsyncClient, graph: str, stateless: bool, until: float, figures: Figures) -> None:
    async def ask(method: str, path: str, body: Any = None) -> httpx.Response | None:
        try:
            answer = await http.request(method, path, json=body)
        except httpx.HTTPError as error:
            figures.statuses[type(error).__name__] += 1
            return None
        figures.statuses[str(answer.status_code)] += 1
        return answer

    async def run(path: str) -> None:
        started = time.monotonic()
        await ask("POST", path, {"assistant_id": graph, "input": INPUTS[graph]})
        figures.runs.append(time.monotonic() - started)

    turn = 0
    while time.monotonic() < until:
        if stateless:
            await run("/runs/wait")
            continue
        made = await ask("POST", "/threads", {"metadata": {"load": True}})
        if made is None or made.status_code != 200:
            continue
        thread = made.json()["thread_id"]
        route = "stream" if (turn := turn + 1) % 4 == 0 else "wait"
        await run(f"/threads/{thread}/runs/{route}")
        await ask("GET", f"/threads/{thread}/state")
        await ask("DELETE", f"/threads/{thread}")


def _resident(container: str) -> float:
    # What the process itself holds, without the page cache that the kernel lends to whoever writes files.
    command = ["docker", "exec", container, "cat", "/proc/1/status"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return next(int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("RssAnon")) / 1000


async def _memory(container: str, figures: Figures) -> None:
    while True:
        figures.memory.append(await asyncio.to_thread(_resident, container))
        await asyncio.sleep(1)


async def load(
    url: str, key: str, graph: str, clients: int, seconds: float, *, stateless: bool = False, container: str = ""
) -> Figures:
    """Let `clients` work for `seconds`; what they saw."""
    figures = Figures()
    sampler = asyncio.create_task(_memory(container, figures)) if container else None
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, headers={"x-api-key": key}, timeout=60, limits=limits) as http:
        until = time.monotonic() + seconds
        await asyncio.gather(*(_client(http, graph, stateless, until, figures) for _ in range(clients)))
    if sampler and not sampler.cancel():
        sampler.result()
    return figures


def main() -> int:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("key")
    parser.add_argument("--graph", choices=INPUTS, default="probe")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--stateless", action="store_true")
    parser.add_argument("--container", default="")
    given = parser.parse_args()
    key = Path(given.key).read_text("utf-8").split()[0] if Path(given.key).is_file() else given.key
    started = time.monotonic()
    what = {"stateless": given.stateless, "container": given.container}
    figures = asyncio.run(load(given.url, key, given.graph, given.clients, given.seconds, **what))
    sys.stdout.write(json.dumps(figures.report(time.monotonic() - started), indent=1) + "\n")
    return int(figures.failures > 0)


if __name__ == "__main__":
    sys.exit(main())
