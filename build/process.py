"""Running programs: every subprocess of the toolkit starts here, except those of python-on-whales."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from build import console, interrupts, variables
from build.errors import MissingTool, ToolFailed
from build.parallel import children, stop_group

_CREDENTIALS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s\"<>]+@", re.IGNORECASE)
_STANDARD_ERROR = 2
_CHUNK = 1 << 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """A finished process: its exit code and its output (empty if it was not captured)."""

    returncode: int
    stdout: str
    stderr: str


def redact(text: str) -> str:
    """Return the text with user and password of every URL replaced by ***."""
    return _CREDENTIALS.sub(r"\g<scheme>***@", text)


@contextlib.contextmanager
def starting(program: str, hint: str = "") -> Iterator[None]:
    """Convert OSError at the start of a program into ToolFailed.

    The system can't execute a file for another architecture, a truncated one, or one whose interpreter is missing.
    """
    try:
        yield
    except OSError as error:
        if error.filename not in {program, None}:  # the working directory does not exist: a bug
            raise
        path = shutil.which(program)
        raise ToolFailed(f"{path} can't be run: {error.strerror}", hint=hint or f"fix or remove {path}") from None


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

    The program gets this process's environment without what variables.py neutralises, changed by `env`: None removes a
    variable. With `capture`, the output is part of the Outcome or the error; without it, the tool writes to the
    terminal. An interrupt stops the whole process group before it propagates.

    Raises MissingTool if argv[0] is not on PATH; ToolFailed if it can't be executed, exits with a code outside
    `ok_codes`, or takes longer than `timeout` seconds.
    """
    shown = _announce(argv, hint)
    with _child(
        argv,
        hint=hint,
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        output=subprocess.PIPE if capture else None,
        text=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise ToolFailed(f"timed out after {timeout:g} s: {shown}", hint=hint) from None
    if process.returncode not in ok_codes:
        output = redact("\n".join(part for part in (stdout, stderr) if part)) if capture else ""
        raise ToolFailed(
            f"exit code {process.returncode}: {shown}", hint=hint, output=output, returncode=process.returncode
        )
    return Outcome(returncode=process.returncode, stdout=stdout or "", stderr=stderr or "")


def raw_output(
    argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str | None] | None = None, stdin: bytes = b"",
    ok_codes: Sequence[int] = (0,), timeout: float | None = None, hint: str = "",
) -> bytes:  # fmt: skip
    """Run argv with `stdin` and return its stdout as it is, for names that are in no encoding. Raises as `run` does."""
    shown = _announce(argv, hint)
    with _child(
        argv, hint=hint, cwd=cwd, env=environment(env), stdin=subprocess.PIPE, output=subprocess.PIPE, text=False
    ) as process:
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise ToolFailed(f"timed out after {timeout:g} s: {shown}", hint=hint) from None
    if process.returncode not in ok_codes:
        said = redact(stderr.decode("utf-8", "replace"))
        raise ToolFailed(f"exit code {process.returncode}: {shown}", output=said, returncode=process.returncode)
    return bytes(stdout)


def piped(argv: Sequence[str], *, source: IO[bytes] | None = None, sink: IO[bytes] | None = None) -> None:
    """Run argv with a file as its stdin and one as its stdout, of whatever size. Raises as `run` does."""
    shown = _announce(argv)
    with _child(
        argv,
        cwd=None,
        env=environment(),
        stdin=source.fileno() if source else subprocess.DEVNULL,
        output=sink.fileno() if sink else subprocess.DEVNULL,
        errors=subprocess.PIPE,
        text=False,
    ) as child:
        _, errors = child.communicate()
    if child.returncode:
        output = redact(errors.decode("utf-8", "replace"))
        raise ToolFailed(f"exit code {child.returncode}: {shown}", output=output, returncode=child.returncode)


def records(
    argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str | None] | None = None
) -> Iterator[list[str]]:
    """Yield the NUL-separated records that argv prints, in batches, while it still runs.

    Raises MissingTool if argv[0] is not on PATH; ToolFailed if it can't be executed, or after the last batch if its
    exit code is not 0.
    """
    shown = _announce(argv)
    with _child(
        argv,
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        output=subprocess.PIPE,
        text=False,
    ) as process:
        assert isinstance(process.stdout, io.BufferedReader)
        assert process.stderr is not None
        errors: list[bytes] = []
        reader = threading.Thread(
            target=lambda stream: errors.append(stream.read()), args=(process.stderr,), daemon=True
        )
        reader.start()
        pending = b""
        while chunk := process.stdout.read1(_CHUNK):
            whole, _, pending = (pending + chunk).rpartition(b"\0")
            if whole:
                yield whole.decode("utf-8", "replace").split("\0")
        if pending:
            yield pending.decode("utf-8", "replace").split("\0")
        reader.join()
    if process.returncode:
        output = redact(b"".join(errors).decode("utf-8", "replace"))
        raise ToolFailed(f"exit code {process.returncode}: {shown}", output=output, returncode=process.returncode)


def conversation(argv: Sequence[str], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a program that is written to and read from for as long as it has a stdin; it writes its errors to `errors`.

    It is in no group of processes that an interrupt ends: whoever converses with it ends it.

    Raises MissingTool if argv[0] is not on PATH; ToolFailed if it can't be executed.
    """
    _announce(argv)
    with starting(argv[0]):
        return subprocess.Popen(
            list(argv), env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            start_new_session=True,
        )  # fmt: skip


def lines(
    argv: Sequence[str], *, cwd: Path | None = None, ok_codes: Sequence[int] = (0,), errors: bool = True
) -> Iterator[str]:
    """Yield each line that argv writes, without its end, while it still runs.

    Those of its standard error are among them, unless not `errors`: then they go to this process's own.

    Raises MissingTool if argv[0] is not on PATH; ToolFailed if it can't be executed, or after the last line if its
    exit code is not one of `ok_codes`.
    """
    shown = _announce(argv)
    with _child(
        argv,
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        output=subprocess.PIPE,
        errors=subprocess.STDOUT if errors else _STANDARD_ERROR,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield line.rstrip("\n")
    if process.returncode not in ok_codes:
        raise ToolFailed(f"exit code {process.returncode}: {shown}", returncode=process.returncode)


def _announce(argv: Sequence[str], hint: str = "") -> str:
    """The command line as it may be shown, shown with UC_VERBOSE. Raises MissingTool if argv[0] is not on PATH."""
    shown = redact(shlex.join(argv))
    console.command([shown])
    _require(argv[0], os.environ.get("PATH", os.defpath), hint)
    return shown


@functools.cache  # of what is found; what raises is looked for again
def _require(program: str, path: str, hint: str) -> None:
    if shutil.which(program, path=path) is None:
        raise MissingTool(f"{program} is not installed or not on PATH", hint=hint or "./inv doctor")


def environment(changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """What every program is started with: this process's environment, neutralised, with `changes` (None removes)."""
    merged: dict[str, str | None] = {**variables.kept(os.environ), **(changes or {})}
    return {name: value for name, value in merged.items() if value is not None}


@contextlib.contextmanager
def _child(
    argv: Sequence[str],
    *,
    hint: str = "",
    cwd: Path | None,
    env: Mapping[str, str],
    stdin: int,
    output: int | None,
    errors: int | None = None,
    text: bool,
) -> Iterator[subprocess.Popen[Any]]:
    """Start a process that has exited when the context ends; any exception inside it stops the process group.

    So does an interrupt of the `together` that started this thread, if one did. Standard error goes to `errors`, or
    where `output` goes.
    """

    def start() -> subprocess.Popen[Any]:
        with starting(argv[0], hint):
            return subprocess.Popen(
                list(argv), cwd=cwd, env=env, stdin=stdin, stdout=output, stderr=errors or output,
                start_new_session=True,
                encoding="utf-8" if text else None, errors="replace" if text else None,
            )  # fmt: skip

    def stop(process: subprocess.Popen[Any]) -> None:
        try:
            stop_group(process)
        finally:
            group.discard(process)

    group = children()
    with interrupts.started(lambda: group.start(start, argv[0]), stop) as process:
        yield process
    group.discard(process)
