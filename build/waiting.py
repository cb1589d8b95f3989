"""Breaks a long silence: says what is being waited for, and what is still missing."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator

from build import console

_SPINNER = "|/-\\"
_SPIN_SECONDS, _QUIET_SECONDS = 0.1, 15.0


@contextlib.contextmanager
def waiting(text: str, look: Callable[[], str] | None = None, *, look_seconds: float = 3) -> Iterator[None]:
    """Show a line that runs, on a terminal; elsewhere print a line now, and another every 15 seconds.

    `look` returns what is still missing. It is called from a thread, every `look_seconds` at most, and what it raises
    is no failure of the work that is waited for.
    """
    if not console.is_terminal():
        console.note(text)
    waited_for = _WaitedFor(text, look, look_seconds)
    ended = threading.Event()
    watcher = threading.Thread(target=waited_for.watch, args=(ended,), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join(_SPIN_SECONDS * 10)  # it may be in the middle of a look
        console.passing("")


class _WaitedFor:
    def __init__(self, text: str, look: Callable[[], str] | None, look_seconds: float) -> None:
        self._text = text
        self._look = look
        self._look_seconds = look_seconds
        self._started = self._looked = time.monotonic()
        self._missing = ""

    def watch(self, ended: threading.Event) -> None:
        """Print until `ended` is set."""
        shows = console.is_terminal()
        for turn in itertools.count():
            if shows:
                console.passing(f"{_SPINNER[turn % len(_SPINNER)]} {self._line()}")
            elif turn:
                console.note(self._line())
            if ended.wait(_SPIN_SECONDS if shows else _QUIET_SECONDS):
                return
            self._ask()

    def _ask(self) -> None:
        now = time.monotonic()
        if self._look and now - self._looked >= self._look_seconds:
            self._looked = now
            with contextlib.suppress(Exception):
                self._missing = self._look()

    def _line(self) -> str:
        seconds = f"{self._text} ({time.monotonic() - self._started:.0f} s)"
        return f"{seconds}: {self._missing}" if self._missing else seconds
