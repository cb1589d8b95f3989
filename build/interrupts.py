"""Signals that end a task as Ctrl-C does: what it started is stopped, what it holds is given back."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn, TypeVar

from build.errors import INTERRUPTED

Process = TypeVar("Process", bound="subprocess.Popen[Any]")
# SIGHUP: the terminal is gone. SIGTERM: kill, timeout, a CI system that cancels a job. SIGBREAK: Ctrl-Break on Windows.
_SIGNALS = ("SIGHUP", "SIGTERM", "SIGBREAK")


class Ended(KeyboardInterrupt):
    """One of these signals has come; `exit_code` is 128 and its number, as a shell reports it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """The exit code of a task that an interrupt ended: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
    return interrupt.exit_code if isinstance(interrupt, Ended) else INTERRUPTED


@contextlib.contextmanager
def as_interrupts() -> Iterator[None]:
    """Within it, the first of the signals raises Ended in the main thread; later ones don't disturb the cleaning up.

    A signal that is ignored, as nohup has it, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    taken = [number for number in numbers if before[number] == signal.SIG_DFL]

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        for other in taken:
            signal.signal(other, signal.SIG_IGN)
        raise Ended(number)

    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])


@contextlib.contextmanager
def started(start: Callable[[], Process], stop: Callable[[Process], object]) -> Iterator[Process]:
    """Start a process that has exited when the context ends; any exception inside it stops the process by `stop`.

    So does a signal that comes while `start` still runs, before anybody has the process in hand.
    """
    with _deferred() as deliver, start() as process:
        try:
            deliver()
            yield process
        except BaseException:
            # The exception of a signal may have come when Popen had just taken this lock, and nobody gives it back.
            process._waitpid_lock = threading.Lock()  # type: ignore[attr-defined]  # noqa: SLF001 - Popen offers no other way
            stop(process)
            raise


@contextlib.contextmanager
def _deferred() -> Iterator[Callable[[], None]]:
    """Within it a signal that ends the task waits until the given function is called, or until the end.

    Each of the two raises what the signal would have raised.
    """
    taken: dict[int, Callable[[int, FrameType | None], object]] = {}
    arrived: list[int] = []

    def deliver() -> None:
        handlers = taken.copy()
        while taken:  # once: what a handler changes below stays
            signal.signal(*taken.popitem())
        if arrived:
            number = arrived[0]
            arrived.clear()
            handlers[number](number, None)

    try:
        if threading.current_thread() is threading.main_thread():  # no other thread receives one
            for number in (getattr(signal, name) for name in ("SIGINT", *_SIGNALS) if hasattr(signal, name)):
                handler = signal.getsignal(number)
                if callable(handler):
                    taken[number] = handler
                    signal.signal(number, lambda came, _frame: arrived.append(came))
        yield deliver
    finally:
        deliver()
