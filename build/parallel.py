"""Calls that run at the same time, and the processes that they leave when they are interrupted."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from build.errors import ToolFailed

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")
_AT_ONCE = 8
_thread = threading.local()  # .children: what the `together` that made the thread ends with itself


class Children:
    """The processes that the threads of one `together` wait for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = False
        self._running: set[subprocess.Popen[Any]] = set()

    def start(self, spawn: Callable[[], subprocess.Popen[Any]], program: str) -> subprocess.Popen[Any]:
        """The process that `spawn` starts. Raises ToolFailed when all were ended, and what `spawn` raises."""
        with self._lock:
            if self._ended:
                raise ToolFailed(f"interrupted before {program} was started")
            process = spawn()
            self._running.add(process)
            return process

    def discard(self, process: subprocess.Popen[Any]) -> None:
        """Forget a process that has ended."""
        self._running.discard(process)

    def end(self) -> None:
        """End them all, without waiting for it, and start no other."""
        with self._lock:
            self._ended = True
        for process in tuple(self._running):
            _terminate(process)


def children() -> Children:
    """The processes of the `together` that this thread works for; a new group outside of one."""
    group: Children | None = getattr(_thread, "children", None)
    return group or Children()


def _terminate(process: subprocess.Popen[Any]) -> None:
    if sys.platform == "win32":
        process.terminate()
    elif process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


def together(calls: Sequence[Callable[[], T]]) -> list[T]:
    """What each call returns, in their order; all run at once, the first is started first, the last in this thread.

    An interrupt is not held up: it ends the others' processes and leaves the rest of their work undone.
    Raises what the first of them raised.
    """
    results: dict[int, T] = {}
    problems: dict[int, BaseException] = {}
    group = children()

    def one(position: int) -> None:
        try:
            results[position] = calls[position]()
        except KeyboardInterrupt:  # only ever in the main thread
            raise
        except BaseException as error:  # noqa: BLE001  (handed to the caller below)
            problems[position] = error

    def aside(position: int) -> None:
        _thread.children = group
        one(position)

    # Daemons: Python does not wait for them at its end.
    threads = [threading.Thread(target=aside, args=(position,), daemon=True) for position in range(len(calls) - 1)]
    try:
        for thread in threads:
            thread.start()
        if calls:
            one(len(calls) - 1)
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        group.end()
        raise
    if problems:
        raise problems[min(problems)]
    return [results[position] for position in range(len(calls))]


def at_once(act: Callable[[A], B], items: Iterable[A]) -> list[B]:
    """The results of `act` on every item, eight at a time; the first failure is raised when all have ended."""
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        futures = [pool.submit(act, item) for item in items]
    return [future.result() for future in futures]


def alive(pid: int) -> bool:
    """Whether a process of this number is there, whoever's it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
