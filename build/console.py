"""What a person sees: the only module that prints. Colour and live progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

_GITHUB = os.environ.get("GITHUB_ACTIONS") == "true"
_GLYPH = {"ok": "✓", "warn": "!", "fail": "✗", "skip": "-"}
_COLOUR = {"ok": "32", "warn": "33", "fail": "31", "skip": "2"}


def is_terminal() -> bool:
    """Whether a person watches: stderr is a terminal and NO_COLOR is unset."""
    return _coloured(sys.stderr)


def _coloured(stream: TextIO) -> bool:
    return stream.isatty() and "NO_COLOR" not in os.environ


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _paint(kind: str, text: str, stream: TextIO | None = None) -> str:
    return f"\x1b[{_COLOUR[kind]}m{text}\x1b[0m" if _coloured(stream or sys.stderr) else text


def _sign(kind: str, stream: TextIO) -> str:
    try:
        _GLYPH[kind].encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return _paint(kind, kind, stream)
    return _paint(kind, _GLYPH[kind], stream)


def mark(kind: str) -> str:
    """The sign of ok, warn, fail or skip for a table, coloured when stdout is a terminal."""
    return _sign(kind, sys.stdout)


def note(text: str, *, kind: str = "") -> None:
    """A line of progress, with the sign of `kind` before it."""
    _say(f"  {_sign(kind, sys.stderr)} {text}" if kind else f"  {text}")


def passthrough(line: str) -> None:
    """A line of a tool's own log, as it came."""
    _say(line)


def warn(text: str) -> None:
    """A line that a person should act on, though the task goes on."""
    _say(f"{_paint('warn', 'warning:')} {text}")


def error(text: str, *, hint: str = "", output: str = "") -> None:
    """A failure: the tool's hidden output first, then what failed, then the command that mends it."""
    if output.strip():
        _say("\n".join(f"  | {line}" for line in output.rstrip().splitlines()))
    _say(f"{_paint('fail', 'error:')} {text}")
    if hint:
        _say(f"  {_paint('ok', 'try:')} {hint}")


def command(argv: Sequence[str]) -> None:
    """Echo a command that is about to run, when UC_VERBOSE is set."""
    if os.environ.get("UC_VERBOSE"):
        _say(_paint("skip", "+ " + " ".join(argv)))


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """A titled, timed step; folded in CI logs that can fold; a spinner on a terminal."""
    started = time.monotonic()
    if _GITHUB:
        _say(f"::group::{title}")
    else:
        _say(_paint("skip", "» ") + title)
    kind = "fail"
    try:
        yield
        kind = "ok"
    except KeyboardInterrupt:
        kind = "warn"
        raise
    finally:
        if _GITHUB:
            _say("::endgroup::")
        _say(f"{_sign(kind, sys.stderr)} {title} ({time.monotonic() - started:.1f} s)")


@contextlib.contextmanager
def waiting(text: str) -> Iterator[None]:
    """A live spinner while something silent takes its time; one plain line where nobody watches."""
    if not is_terminal():
        note(text)
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> None:
    """A table on stdout: boxed and coloured on a terminal, aligned plain columns in a pipe."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        drawn = Table(title=title or None, title_justify="left")
        for column in columns:
            drawn.add_column(column, overflow="fold")
        for row in rows:
            # Cells may carry colours of ours, and brackets that are no markup.
            drawn.add_row(*(Text.from_ansi(str(cell)) for cell in row))
        Console().print(drawn)
        return
    if title:
        print(title)
    widths = [max(len(str(row[i])) for row in (columns, *rows)) for i in range(len(columns))]
    for row in (columns, *rows):
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    sys.stdout.flush()


def discard_output() -> None:
    """Send what is still to come on stdout nowhere: its reader (`| head`) has seen enough, and is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def result(data: Any) -> None:
    """Print the machine-readable result of a task, one JSON document, on stdout; dataclasses become objects."""
    print(json.dumps(data, indent=2, default=_plain), flush=True)


def _plain(value: object) -> object:
    """A dataclass as a JSON object, anything else that JSON has no type for as its text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)


def text(content: str) -> None:
    """Plain text that is a task's result, on stdout."""
    print(content, flush=True)
