"""Load on a running service: `python load.py URL TOKEN_FILE [CLIENTS] [SECONDS]`; prints figures, exit 1 for a bad one.

Each client opens a chat, reads its events to the end, and opens the next. A 503 is the service's own refusal.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx

TASK = "Assets/A.cs(1,2): error CS1002: ; expected"
EVENTS_OF_A_CHAT = 15


@dataclass
class Figures:
    """What the clients saw; `resident` has megabytes after a warm-up, at half-time and at the end."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    incomplete: int = 0
    resident: list[float] = field(default_factory=list)

    @property
    def errors(self) -> int:
        """Answers of 500 and more that are not a refusal by design, and chats with an event missing."""
        return self.incomplete + sum(
            count for status, count in self.statuses.items() if status >= 500 and status != 503
        )

    def line(self, took: float) -> str:
        """One line for a person."""
        ordered = sorted(self.seconds)
        p50, p95 = statistics.median(ordered) * 1000, ordered[int(len(ordered) * 0.95)] * 1000
        memory = " -> ".join(f"{megabytes:.1f}" for megabytes in self.resident)
        rate = len(ordered) / took
        return (
            f"{len(ordered)} chats, {rate:.0f}/s, p50 {p50:.0f} ms, p95 {p95:.0f} ms, statuses {dict(self.statuses)}, "
            f"incomplete {self.incomplete}, memory {memory} MB"
        )


async def run(url: str, token: str, *, clients: int, seconds: float) -> tuple[Figures, float]:
    """The figures, and how long it really took."""
    figures, started = Figures(), time.monotonic()
    end = started + seconds
    limits = httpx.Limits(max_connections=clients * 2, max_keepalive_connections=clients * 2)
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, limits=limits) as http:
        samples = asyncio.create_task(_sample(http, figures, started, seconds))
        await asyncio.gather(*(_client(http, figures, end) for _ in range(clients)))
        took = time.monotonic() - started
        await samples
    return figures, took


async def _client(http: httpx.AsyncClient, figures: Figures, end: float) -> None:
    while time.monotonic() < end:
        started = time.monotonic()
        opened = await http.post("/groupchat", json={"task": TASK})
        figures.statuses[opened.status_code] += 1
        if opened.status_code != 202:
            continue
        events = await http.get(f"/groupchat/{opened.json()['session_id']}/events")
        figures.statuses[events.status_code] += 1
        if events.status_code == 200:
            figures.incomplete += events.text.count("\nevent: ") != EVENTS_OF_A_CHAT
            figures.seconds.append(time.monotonic() - started)


async def _sample(http: httpx.AsyncClient, figures: Figures, started: float, seconds: float) -> None:
    for part in (0.2, 0.5, 1.0):
        await asyncio.sleep(max(0.0, started + seconds * part - time.monotonic()))
        text = (await http.get("/metrics")).text
        value = next(line for line in text.splitlines() if line.startswith("process_resident_memory_bytes "))
        figures.resident.append(float(value.split()[1]) / 1e6)


def main() -> int:
    """Exit code 1 when a chat failed."""
    url, token_file, *numbers = sys.argv[1:]
    clients, seconds = (int(numbers[0]), float(numbers[1])) if numbers else (32, 60.0)
    token = Path(token_file).read_text().split()[0]
    figures, took = asyncio.run(run(url, token, clients=clients, seconds=seconds))
    sys.stdout.write(figures.line(took) + "\n")
    return int(figures.errors > 0)


if __name__ == "__main__":
    sys.exit(main())
