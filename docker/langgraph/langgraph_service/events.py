"""What a run streams: its events, kept for as long as somebody may still read them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from langgraph_service.encode import dumps

KEPT_EVENTS = 10_000
KEPT_CHARACTERS = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event; `key` orders the events of every run of a thread."""

    key: tuple[int, int]
    name: str
    data: str
    tag: Mapping[str, Any] | None = None

    @property
    def id(self) -> str:
        """The event id that a client sends back as Last-Event-ID."""
        return f"{self.key[0]}-{self.key[1]}"

    @property
    def mode(self) -> str:
        """The stream mode it belongs to: `values|ns` and `messages/partial` count as their first part."""
        return self.name.partition("|")[0].partition("/")[0]


Chosen = Callable[[Event], bool]


def in_modes(modes: frozenset[str] | None) -> Chosen:
    """Whether an event belongs to one of the stream modes (None: all); metadata and errors always do."""
    return lambda event: modes is None or event.mode in modes or event.mode in {"metadata", "error"}


def parse_id(text: str) -> tuple[int, int]:
    """A Last-Event-ID as a key; anything else means the beginning."""
    head, _, tail = text.partition("-")
    return (int(head), int(tail)) if head.isdigit() and tail.isdigit() else (-1, -1)


class EventLog:
    """The events of one run. Without a reader and not resumable, nothing is kept."""

    def __init__(self, *, resumable: bool) -> None:
        self.resumable = resumable
        self.closed = False
        self._events: deque[Event] = deque()
        self._count = 0
        self._size = 0
        self._readers = 0
        self._last = (0, 0)
        self._news = asyncio.Event()

    @property
    def watched(self) -> bool:
        """Whether anybody reads."""
        return self._readers > 0

    @property
    def wanted(self) -> bool:
        """Whether an event would be kept at all."""
        return self.resumable or self._readers > 0

    @property
    def count(self) -> int:
        """How many events there have been."""
        return self._count

    def publish(self, name: str, data: object, tag: Mapping[str, Any] | None = None) -> None:
        """Add an event for the readers."""
        if not self.wanted:
            return
        now = time.time_ns() // 1_000_000
        self._last = (now, 0) if now > self._last[0] else (self._last[0], self._last[1] + 1)
        event = Event(self._last, name, dumps(data).decode(), tag)
        self._size += len(event.data)
        while self._events and (self._size > KEPT_CHARACTERS or len(self._events) >= KEPT_EVENTS):
            self._size -= len(self._events.popleft().data)
        self._events.append(event)
        self._count += 1
        self._wake()

    def close(self) -> None:
        """No more events: readers end."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def reader(self, after: str | None = None) -> Reader:
        """A reader of what is still to come, or of everything after an event id if the log is resumable."""
        position = self._count
        if self.resumable:
            key = parse_id(after) if after else (-1, -1)
            position = self._count - sum(1 for event in self._events if event.key > key)
        return self.reader_from(position)

    def reader_from(self, position: int) -> Reader:
        """A reader of everything after the first `position` events."""
        self._readers += 1
        return Reader(self, position)


class Reader:
    """One client's place in an event log. Registered at once, so that nothing published later is missed."""

    def __init__(self, log: EventLog, position: int) -> None:
        self._log, self._position = log, position
        self._open = True

    @property
    def position(self) -> int:
        """How many events lie behind."""
        return self._position

    def close(self) -> None:
        """Stop counting as a reader."""
        if self._open:
            self._open = False
            self._log._readers -= 1

    async def events(self, chosen: Chosen) -> AsyncIterator[Event]:
        """The chosen events until the log ends. A reader too slow for the log ends early."""
        log = self._log
        try:
            while True:
                first = log._count - len(log._events)
                if self._position < first:
                    yield Event(log._last, "error", '{"error":"StreamLagged","message":"the client reads too slowly"}')
                    return
                while self._position < log._count:
                    event = log._events[self._position - (log._count - len(log._events))]
                    self._position += 1
                    if chosen(event):
                        yield event
                    if self._position < log._count - len(log._events):
                        break
                else:
                    if log.closed:
                        return
                    await log._news.wait()
        finally:
            self.close()
