"""Tells the open streams of a session that there is something new; what is new they read from the store."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager

from groupchat_service.team import Chunk

_KEPT_CHUNKS = 256


class Subscription:
    """One stream's view of the feed: a wake-up, and the last chunks with the seq that they come after."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self._chunks: deque[tuple[int, Chunk]] = deque(maxlen=_KEPT_CHUNKS)

    async def wait(self) -> None:
        """Return when something happened since the last `take`."""
        await self._news.wait()

    def take(self) -> list[tuple[int, Chunk]]:
        """The chunks since the last time; the wake-up is used up with them."""
        self._news.clear()
        taken = list(self._chunks)
        self._chunks.clear()
        return taken

    def notify(self, chunk: tuple[int, Chunk] | None = None) -> None:
        """Wake the stream; a reader that is too slow loses the oldest chunks, never an event."""
        if chunk is not None:
            self._chunks.append(chunk)
        self._news.set()


class Feed:
    """The open streams of every session."""

    def __init__(self) -> None:
        self._open: defaultdict[str, set[Subscription]] = defaultdict(set)

    @contextmanager
    def subscribe(self, session_id: str) -> Iterator[Subscription]:
        """A subscription for as long as the stream is open."""
        subscription = Subscription()
        self._open[session_id].add(subscription)
        try:
            yield subscription
        finally:
            self._open[session_id].discard(subscription)
            if not self._open[session_id]:
                del self._open[session_id]

    def publish(self, session_id: str, chunk: tuple[int, Chunk] | None = None) -> None:
        """Wake the session's streams."""
        for subscription in self._open.get(session_id, ()):
            subscription.notify(chunk)

    def publish_all(self) -> None:
        """Wake every stream: the service is closing."""
        for session_id in list(self._open):
            self.publish(session_id)

    def __len__(self) -> int:
        return sum(len(subscriptions) for subscriptions in self._open.values())
