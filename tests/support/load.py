"""Requests to services at a steady rate while something else happens, and which of them failed, and when."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

_WORKERS = 64
_GAP = 1.0  # seconds without a failure that end a window


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that failed: when it was sent, in seconds since the first one, and why."""

    at: float
    why: str


@dataclass(slots=True)
class Answers:
    """What became of the requests to one service; each asks `urls` in turn until one of them answers.

    `refusals` are those that one of them did not answer, and another did.
    """

    urls: Sequence[str]
    latencies: list[float] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    refusals: list[Failure] = field(default_factory=list)
    _last: int = 0

    @property
    def sent(self) -> int:
        """The number of requests."""
        return len(self.latencies) + len(self.failures)

    @property
    def windows(self) -> list[tuple[float, float]]:
        """The spans, in seconds, in which requests failed; a second without a failure ends one."""
        spans: list[tuple[float, float]] = []
        for at in sorted(failure.at for failure in self.failures):
            if spans and at - spans[-1][1] < _GAP:
                spans[-1] = (spans[-1][0], at)
            else:
                spans.append((at, at))
        return spans

    @property
    def downtime(self) -> float:
        """The seconds of all windows together."""
        return sum(end - start for start, end in self.windows)

    @property
    def report(self) -> dict[str, Any]:
        """The counts, the seconds of downtime and the latencies, for a file."""
        ordered = sorted(self.latencies)
        slowest = {f"p{share}_ms": round(ordered[len(ordered) * share // 100] * 1000) for share in (50, 99) if ordered}
        return {
            "sent": self.sent, "failed": len(self.failures), "answered by another node": len(self.refusals),
            "downtime_s": round(self.downtime, 1), **slowest,
        }  # fmt: skip

    def __str__(self) -> str:
        """The counts, the windows and the reasons, for a failed assertion."""
        spans = ", ".join(f"{start:.1f}-{end:.1f}" for start, end in self.windows)
        reasons = dict(Counter(failure.why for failure in self.failures))
        return f"{len(self.failures)} of {self.sent} failed in [{spans}] s: {reasons}"

    def _ask(self, began: float, timeout: float) -> None:
        at, first, why = time.monotonic(), self._last, ""
        for step in range(len(self.urls)):
            number = (first + step) % len(self.urls)
            if not (failed := _why_failed(self.urls[number], timeout)):
                self._last = number
                self.latencies.append(time.monotonic() - at)
                if why:
                    self.refusals.append(Failure(round(at - began, 2), why))
                return
            why = why or failed
        self.failures.append(Failure(round(at - began, 2), why))


def _why_failed(url: str, timeout: float) -> str:
    """Why a GET on a connection of its own failed: an error, a timeout or a 5xx; "" if it did not."""
    place = urlsplit(url)
    try:
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=timeout)
        try:
            connection.request("GET", place.path or "/")
            answer = connection.getresponse()
            answer.read()
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    return "" if answer.status < 500 else f"HTTP {answer.status}"


class Load:
    """A context manager that asks each service `rate` times a second, whether or not earlier requests have returned.

    `services` maps a name to its URLs; several of one are tried in turn, as by a client that knows the nodes.
    """

    def __init__(self, services: Mapping[str, Sequence[str]], *, rate: float = 20, timeout: float = 2) -> None:
        self.answers = {name: Answers(urls) for name, urls in services.items()}
        self._rate, self._timeout = rate, timeout
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=_WORKERS)
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._pool.shutdown()

    def _send(self) -> None:
        began, count = time.monotonic(), 0
        while not self._over.is_set():
            for answers in self.answers.values():
                self._pool.submit(answers._ask, began, self._timeout)
            count += 1
            self._over.wait(max(0.0, began + count / self._rate - time.monotonic()))
