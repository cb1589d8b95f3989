"""Concurrent calls in threads, and ending child processes: those of these threads on an interrupt, and whole groups."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from build.errors import ToolFailed

Item = TypeVar("Item")
Result = TypeVar("Result")
_WORKERS = 8
_GRACE_SECONDS = 10
_PR_SET_PDEATHSIG = 1  # prctl(2)
_thread = threading.local()  # .children: the processes that end with the `together` which started the thread


class Children:
    """The child processes of the threads of one `together`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = False
        self._running: set[subprocess.Popen[Any]] = set()

    def start(self, spawn: Callable[[], subprocess.Popen[Any]], program: str) -> subprocess.Popen[Any]:
        """Start a process by `spawn` and return it. Raises ToolFailed after `end`, and what `spawn` raises."""
        with self._lock:
            if self._ended:
                raise ToolFailed(f"interrupted before {program} was started")
            process = spawn()
            self._running.add(process)
            return process

    def discard(self, process: subprocess.Popen[Any]) -> None:
        """Forget a process that has exited."""
        self._running.discard(process)

    def end(self) -> None:
        """Terminate all processes without waiting for them, and refuse to start others."""
        with self._lock:
            self._ended = True
        for process in tuple(self._running):
            _terminate(process)


def children() -> Children:
    """Return the processes of the `together` that started this thread; a new, empty group outside of one."""
    group: Children | None = getattr(_thread, "children", None)
    return group or Children()


def _terminate(process: subprocess.Popen[Any]) -> None:
    if sys.platform == "win32":
        end_tree(process)
    elif process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


def end_tree(process: subprocess.Popen[Any]) -> None:
    """End a process and its children at once, on Windows, which knows neither sessions nor signals."""
    taskkill = ["taskkill", "/T", "/F", "/PID", str(process.pid)]
    with contextlib.suppress(OSError):
        subprocess.run(taskkill, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    process.terminate()  # has no effect on one that has ended


def stop_group(process: subprocess.Popen[Any]) -> None:
    """Stop a process in its own session, with its children: SIGINT, then SIGKILL after ten seconds.

    On Windows, which has neither, they end at once.
    """
    if sys.platform == "win32":
        end_tree(process)
        return
    for sign in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(_GRACE_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        return


def kill_group(process: subprocess.Popen[Any]) -> None:
    """End a process in its own session, with its children, at once, and wait for it."""
    if sys.platform == "win32":
        end_tree(process)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_SECONDS)


def follow_parent() -> Callable[[], None] | None:
    """What makes a new program end by SIGTERM when the thread that starts it has ended, even by SIGKILL; Linux only.

    For `preexec_fn` of a program that is started from the main thread, and would otherwise go on for minutes.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def together(calls: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run the calls concurrently, each in a thread and the last in this one; return their results in order.

    An interrupt takes effect at once: it terminates the child processes of all threads and abandons their work.
    Raises the exception of the first call that failed, after all have ended.
    """
    results: dict[int, Result] = {}
    failures: dict[int, BaseException] = {}
    group = children()

    def run(position: int) -> None:
        try:
            results[position] = calls[position]()
        except KeyboardInterrupt:  # only ever in the main thread
            raise
        except BaseException as error:  # noqa: BLE001  (raised in the caller's thread below)
            failures[position] = error

    def run_in_thread(position: int) -> None:
        _thread.children = group
        run(position)

    # Daemon threads: Python does not wait for them when it exits.
    threads = [
        threading.Thread(target=run_in_thread, args=(position,), daemon=True) for position in range(len(calls) - 1)
    ]
    try:
        for thread in threads:
            thread.start()
        if calls:
            run(len(calls) - 1)
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        group.end()
        raise
    if failures:
        raise failures[min(failures)]
    return [results[position] for position in range(len(calls))]


def at_once(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Call the function on every item, eight concurrently; return the results in order.

    Raises the exception of the first item that failed, after all have ended.
    """
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        futures = [pool.submit(function, item) for item in items]
    return [future.result() for future in futures]


def within(seconds: float, calls: Sequence[Callable[[], Result]]) -> list[Result | None]:
    """Run the calls concurrently; return their results in order, None for one that has not ended after `seconds`.

    What has not ended is abandoned, and Python does not wait for it when it exits: a look-up of a name, which no
    timeout reaches, may go on for minutes. The calls must not raise.
    """
    results: dict[int, Result] = {}

    def run(position: int) -> None:
        results[position] = calls[position]()

    threads = [threading.Thread(target=run, args=(position,), daemon=True) for position in range(len(calls))]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [results.get(position) for position in range(len(calls))]


def alive(pid: int) -> bool:
    """Whether a process with this pid exists, whoever owns it."""
    if sys.platform == "win32":  # there os.kill is no question: signal 0 is Ctrl-C
        return _alive_on_windows(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if sys.platform == "win32":
    import ctypes

    _SYNCHRONIZE = 0x00100000
    _ERROR_ACCESS_DENIED = 5
    _WAIT_TIMEOUT = 0x102

    def _alive_on_windows(pid: int) -> bool:
        """The same by Windows: a process that can be waited for, and has not ended."""
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = ctypes.c_void_p
        handle = kernel.OpenProcess(_SYNCHRONIZE, False, pid)  # noqa: FBT003  (the call has no names)
        if not handle:
            return ctypes.get_last_error() == _ERROR_ACCESS_DENIED
        try:
            waited: int = kernel.WaitForSingleObject(ctypes.c_void_p(handle), 0)
            return waited == _WAIT_TIMEOUT
        finally:
            kernel.CloseHandle(ctypes.c_void_p(handle))
