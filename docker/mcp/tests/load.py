"""Load on one running server: `python load.py URL TOKEN_FILE [CLIENTS] [SECONDS]`; prints figures, exit 1 for a bad one.

The server says itself which it is; each client repeats one call that fits it.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

CALLS = {
    "modules": ("list_modules", {}),
    "docs": ("search", {"query": "secret token", "limit": 5}),
    "repository": ("read_file", {"path": "README.md"}),
    "events": ("list_events", {"limit": 5}),
}
HEADERS = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}


@dataclass
class Figures:
    """What the clients saw; `resident` has megabytes after a warm-up, at half-time and at the end."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    resident: list[float] = field(default_factory=list)

    @property
    def errors(self) -> int:
        """Answers that are not 200 or a refusal by design, and calls that failed."""
        return self.failed + sum(count for status, count in self.statuses.items() if status not in (200, 503))

    def line(self, took: float) -> str:
        """One line for a person."""
        ordered = sorted(self.seconds)
        p50, p95 = statistics.median(ordered) * 1000, ordered[int(len(ordered) * 0.95)] * 1000
        memory = " -> ".join(f"{megabytes:.1f}" for megabytes in self.resident)
        rate = len(ordered) / took
        return (
            f"{len(ordered)} calls, {rate:.0f}/s, p50 {p50:.1f} ms, p95 {p95:.1f} ms, "
            f"statuses {dict(self.statuses)}, failed {self.failed}, memory {memory} MB"
        )


async def run(url: str, token: str, *, clients: int, seconds: float) -> tuple[Figures, float]:
    """The figures, and how long it really took."""
    figures, started = Figures(), time.monotonic()
    limits = httpx2.Limits(max_connections=clients + 1, max_keepalive_connections=clients + 1)
    headers = {"authorization": f"Bearer {token}", **HEADERS}
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=60, limits=limits) as http:
        name = (await http.get("/health")).json()["server"]
        samples = asyncio.create_task(_sample(http, figures, started, seconds))
        await asyncio.gather(*(_client(http, name, figures, started + seconds) for _ in range(clients)))
        took = time.monotonic() - started
        await samples
    return figures, took


async def _client(http: httpx2.AsyncClient, name: str, figures: Figures, end: float) -> None:
    tool, arguments = CALLS[name]
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    content = json.dumps(message)
    while time.monotonic() < end:
        started = time.monotonic()
        answer = await http.post("/mcp", content=content, headers={"content-type": "application/json"})
        figures.statuses[answer.status_code] += 1
        if answer.status_code == 200:
            figures.failed += bool(answer.json().get("result", {}).get("isError", True))
            figures.seconds.append(time.monotonic() - started)


async def _sample(http: httpx2.AsyncClient, figures: Figures, started: float, seconds: float) -> None:
    for part in (0.2, 0.5, 1.0):
        await asyncio.sleep(max(0.0, started + seconds * part - time.monotonic()))
        text = (await http.get("/metrics")).text
        value = next(line for line in text.splitlines() if line.startswith("process_resident_memory_bytes "))
        figures.resident.append(float(value.split()[1]) / 1e6)


def main() -> int:
    """Exit code 1 when a call failed."""
    url, token_file, *numbers = sys.argv[1:]
    clients, seconds = (int(numbers[0]), float(numbers[1])) if numbers else (32, 60.0)
    token = Path(token_file).read_text().split()[0]
    figures, took = asyncio.run(run(url, token, clients=clients, seconds=seconds))
    sys.stdout.write(figures.line(took) + "\n")
    return int(figures.errors > 0)


if __name__ == "__main__":
    sys.exit(main())
