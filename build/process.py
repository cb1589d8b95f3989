"""The one subprocess call of the toolkit (the Docker client has its own in python-on-whales)."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build import console
from build.errors import MissingTool, ToolFailed
from build.parallel import children

_CREDENTIALS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/@\s]+@", re.IGNORECASE)
_GRACE_SECONDS = 10
_CHUNK = 1 << 16


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


@contextlib.contextmanager
def _child(argv: Sequence[str], *, hint: str = "", **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process that has ended afterwards; whatever is raised meanwhile stops its whole group.

    So does an interrupt of the `together` that this thread works for, if it does.
    """
    group = children()
    with group.start(functools.partial(_start, argv, hint, **options), argv[0]) as process:
        try:
            yield process
        except BaseException:
            stop_group(process)
            raise
        finally:
            group.discard(process)


def _start(argv: Sequence[str], hint: str, **options: Any) -> subprocess.Popen[Any]:
    with starting(argv[0], hint):
        return subprocess.Popen(list(argv), start_new_session=True, **options)


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
