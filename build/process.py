"""The one subprocess call of the toolkit (the Docker client has its own in python-on-whales)."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from build import console
from build.errors import MissingTool, ToolFailed

_CREDENTIALS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/@\s]+@", re.IGNORECASE)
_GRACE_SECONDS = 10
_CHUNK = 1 << 16
T = TypeVar("T")


_thread = threading.local()  # .children: what the `together` that made the thread ends with itself


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """A finished process: its exit code and what it printed (empty where the output was not captured)."""

    returncode: int
    stdout: str
    stderr: str


def redact(text: str) -> str:
    """The text with the user-and-password part of every URL replaced by ***."""
    return _CREDENTIALS.sub(r"\g<scheme>***@", text)


@contextlib.contextmanager
def starting(program: str, hint: str = "") -> Iterator[None]:
    """Around the start of a program that is on PATH.

    Raises ToolFailed when the system can't execute it: made for another machine, half a file, no such interpreter.
    """
    try:
        yield
    except OSError as error:
        if error.filename not in {program, None}:  # the working folder: a mistake of ours
            raise
        path = shutil.which(program)
        raise ToolFailed(f"{path} can't be run: {error.strerror}", hint=hint or f"mend or remove {path}") from None


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    stdin: str | None = None,
    capture: bool = True,
    ok_codes: Sequence[int] = (0,),
    timeout: float | None = None,
    hint: str = "",
) -> Outcome:
    """Run argv and return its Outcome.

    `env` is added to this process's environment; None takes a variable out of it. With `capture` the output is kept
    and shown only on failure; without it the tool writes to the terminal itself. An interrupt stops the whole process
    group before it goes on.

    Raises MissingTool when argv[0] is not on PATH, ToolFailed when it can't be executed, on a code outside `ok_codes`,
    or after `timeout` seconds.
    """
    shown = redact(shlex.join(argv))
    console.command([shown])
    if shutil.which(argv[0]) is None:
        raise MissingTool(f"{argv[0]} is not installed or not on PATH", hint=hint or "./inv doctor")
    pipe = subprocess.PIPE if capture else None
    with _child(
        argv,
        hint=hint,
        cwd=cwd,
        env=_environment(env) if env else None,
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise ToolFailed(f"gave up after {timeout:g} s: {shown}", hint=hint) from None
    if process.returncode not in ok_codes:
        output = redact("\n".join(part for part in (stdout, stderr) if part)) if capture else ""
        raise ToolFailed(
            f"exit code {process.returncode}: {shown}", hint=hint, output=output, returncode=process.returncode
        )
    return Outcome(returncode=process.returncode, stdout=stdout or "", stderr=stderr or "")


def records(
    argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str | None] | None = None
) -> Iterator[list[str]]:
    """The NUL-separated records that argv prints, in batches as they come, so that they are read while it still works.

    Raises MissingTool when argv[0] is not on PATH, ToolFailed when it can't be executed, and after the last batch on a
    code other than 0.
    """
    shown = redact(shlex.join(argv))
    console.command([shown])
    if shutil.which(argv[0]) is None:
        raise MissingTool(f"{argv[0]} is not installed or not on PATH", hint="./inv doctor")
    with _child(
        argv,
        cwd=cwd,
        env=_environment(env or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert isinstance(process.stdout, io.BufferedReader)
        assert process.stderr is not None
        said: list[bytes] = []
        listener = threading.Thread(
            target=lambda stream: said.append(stream.read()), args=(process.stderr,), daemon=True
        )
        listener.start()
        pending = b""
        while chunk := process.stdout.read1(_CHUNK):
            whole, _, pending = (pending + chunk).rpartition(b"\0")
            if whole:
                yield whole.decode("utf-8", "replace").split("\0")
        if pending:
            yield pending.decode("utf-8", "replace").split("\0")
        listener.join()
    if process.returncode:
        output = redact(b"".join(said).decode("utf-8", "replace"))
        raise ToolFailed(f"exit code {process.returncode}: {shown}", output=output, returncode=process.returncode)


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    merged: dict[str, str | None] = {**os.environ, **changes}
    return {name: value for name, value in merged.items() if value is not None}


class _Children:
    """The processes that the threads of one `together` wait for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = False
        self._running: set[subprocess.Popen[Any]] = set()

    def start(self, argv: Sequence[str], *, hint: str = "", **options: Any) -> subprocess.Popen[Any]:
        """Start a process in a session of its own. Raises as `starting` does, and when all were ended."""
        with self._lock:
            if self._ended:
                raise ToolFailed(f"interrupted before {argv[0]} was started")
            with starting(argv[0], hint):
                process = subprocess.Popen(list(argv), start_new_session=True, **options)
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


@contextlib.contextmanager
def _child(argv: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process that has ended afterwards; whatever is raised meanwhile stops its whole group.

    So does an interrupt of the `together` that this thread works for, if it does.
    """
    children: _Children = getattr(_thread, "children", None) or _Children()
    with children.start(argv, **options) as process:
        try:
            yield process
        except BaseException:
            stop_group(process)
            raise
        finally:
            children.discard(process)


def together(calls: Sequence[Callable[[], T]]) -> list[T]:
    """What each call returns, in their order; all run at once, the first is started first, the last in this thread.

    An interrupt is not held up: it ends the others' processes and leaves the rest of their work undone.
    Raises what the first of them raised.
    """
    results: dict[int, T] = {}
    problems: dict[int, BaseException] = {}
    children: _Children = getattr(_thread, "children", None) or _Children()

    def one(position: int) -> None:
        try:
            results[position] = calls[position]()
        except KeyboardInterrupt:  # only ever in the main thread
            raise
        except BaseException as error:  # noqa: BLE001  (handed to the caller below)
            problems[position] = error

    def aside(position: int) -> None:
        _thread.children = children
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
        children.end()
        raise
    if problems:
        raise problems[min(problems)]
    return [results[position] for position in range(len(calls))]


def alive(pid: int) -> bool:
    """Whether a process of this number is there, whoever's it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _terminate(process: subprocess.Popen[Any]) -> None:
    if sys.platform == "win32":
        process.terminate()
    elif process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


def stop_group(process: subprocess.Popen[Any]) -> None:
    """End a process started in its own session, with its children: SIGINT, then SIGKILL after ten seconds."""
    if sys.platform == "win32":
        process.terminate()
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
