"""Terminal output; the only module that prints. Colour and progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from build import columns, encodings, github
from build.columns import Column

for _stream in (sys.stdout, sys.stderr):
    encodings.tolerate(_stream)

_GITHUB = github.is_running()
_GLYPH = {"ok": "✓", "warn": "!", "fail": "✗", "skip": "-"}
_writing = threading.Lock()
_passing = False  # whether a line stands on the terminal that the next one takes the place of
_COLOUR = {"ok": "32", "warn": "33", "fail": "31", "skip": "2"}


def is_terminal() -> bool:
    """Whether stderr is a terminal and NO_COLOR is unset."""
    return _coloured(sys.stderr)


def output_is_coloured() -> bool:
    """Whether what goes to stdout may have colours: it is a terminal that knows them, and NO_COLOR is unset."""
    return _coloured(sys.stdout)


def _coloured(stream: TextIO) -> bool:
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def width() -> int:
    """The columns of the terminal that stdout is, or COLUMNS; 80 elsewhere."""
    return shutil.get_terminal_size().columns


def _say(text: str) -> None:
    global _passing  # noqa: PLW0603
    with _writing:
        print(f"\r\x1b[K{text}" if _passing else text, file=sys.stderr, flush=True)
        _passing = False


def _worded(prefix: str, text: str, stream: TextIO | None = None) -> str:
    """Text for people behind a painted prefix; on a terminal it goes on in a new line between words, not inside one."""
    if not (stream or sys.stderr).isatty():
        return prefix + text
    taken = columns.shown_width(prefix)
    lines = [
        line
        for number, paragraph in enumerate(text.split("\n"))
        for line in textwrap.wrap(
            paragraph, width() - 1, initial_indent=" " * (0 if number else taken), subsequent_indent="    ",
            break_long_words=False, break_on_hyphens=False,
        ) or [""]
    ]  # fmt: skip
    return "\n".join([prefix + lines[0][taken:], *lines[1:]])


def _paint(kind: str, text: str, stream: TextIO | None = None) -> str:
    return f"\x1b[{_COLOUR[kind]}m{text}\x1b[0m" if _coloured(stream or sys.stderr) else text


def _sign(kind: str, stream: TextIO) -> str:
    try:
        _GLYPH[kind].encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return _paint(kind, kind, stream)
    return _paint(kind, _GLYPH[kind], stream)


def mark(kind: str) -> str:
    """Return the sign of ok, warn, fail or skip for a table, coloured if stdout is a terminal."""
    return _sign(kind, sys.stdout)


def note(text: str, *, kind: str = "") -> None:
    """Print a line of progress, with the sign of `kind` before it."""
    _say(_worded(f"  {_sign(kind, sys.stderr)} " if kind else "  ", text))


def timed(title: str, seconds: float) -> None:
    """Print a line for a part of a step that is done; on a terminal the title is cut to what fits in the line."""
    took = f"  {seconds:.1f}s"
    if sys.stderr.isatty() and len(title) > (room := width() - len(took) - 3):
        title = f"{title[: room - 3]}..."
    _say(f"  {title}{took}")


def ask(question: str, default: str = "") -> str:
    """Ask on stderr and return the line that was typed, for an empty one the default. Raises EOFError at the end."""
    print(f"  {question} [{default}] " if default else f"  {question} ", end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        _say("")
        raise EOFError
    return line.strip() or default


def passing(text: str) -> None:
    """A line that the next one takes the place of, on a terminal; none where nobody watches."""
    global _passing  # noqa: PLW0603  (what a terminal shows is the process's, too)
    if is_terminal():
        with _writing:
            shown = f"\r\x1b[K  {text[: width() - 4]}" if text else "\r\x1b[K"
            if text or _passing:
                print(shown, end="", file=sys.stderr, flush=True)
            _passing = bool(text)


def passthrough(line: str) -> None:
    """Print a line of a tool's own log unchanged."""
    _say(line)


def warn(text: str) -> None:
    """Print a warning: something to act on that does not stop the task; an annotation on GitHub.

    It is part of the task's JSON, too.
    """
    if _collected is not None:
        _collected.warnings.append(text)
    _say(github.command("warning", text) if _GITHUB else _worded(f"{_paint('warn', 'warning:')} ", text))


def error(text: str, *, hint: str = "", output: str = "") -> None:
    """Print a failure: the tool's hidden output, what failed, and what fixes it; an annotation on GitHub."""
    if output.strip():
        _say("\n".join(f"  | {line}" for line in output.rstrip().splitlines()))
    if _GITHUB:
        _say(github.command("error", f"{text}\ntry: {hint}" if hint else text))
        return
    _say(_worded(f"{_paint('fail', 'error:')} ", text))
    if hint:
        _say(f"  {_paint('ok', 'try:')} {hint}")


def summary(markdown: str) -> None:
    """Add to the summary of the job on GitHub; one that can't be written is a warning, and the task goes on."""
    try:
        github.summarise(markdown)
    except OSError as error:
        warn(f"the summary of the job can't be written: {error.strerror}: {error.filename}")


def command(argv: Sequence[str]) -> None:
    """Print a command that is about to run, if UC_VERBOSE is set."""
    if os.environ.get("UC_VERBOSE"):
        _say(_paint("skip", "+ " + " ".join(argv)))


@dataclasses.dataclass
class StepMark:
    """The mark that a step ends with, unless it raises: a step may find problems that don't stop what follows."""

    kind: str = "ok"


@contextlib.contextmanager
def step(title: str) -> Iterator[StepMark]:
    """Print the title of a step, and how it ended after how long; its lines are a folded group in GitHub's logs."""
    started = time.monotonic()
    if _GITHUB:
        _say(github.command("group", title))
    else:
        _say(_paint("skip", "» ") + title)
    mark = StepMark()
    try:
        yield mark
    except KeyboardInterrupt:
        mark.kind = "warn"
        raise
    except BaseException:
        mark.kind = "fail"
        raise
    finally:
        if _GITHUB:
            _say("::endgroup::")
        _say(f"{_sign(mark.kind, sys.stderr)} {title} ({time.monotonic() - started:.1f} s)")


def table(headings: Sequence[str | Column], rows: Sequence[Sequence[str]], *, title: str = "") -> None:
    """Print aligned columns on stdout; on a terminal within its width, elsewhere a line for each row."""
    if title:
        print(title)
    headed = [column if isinstance(column, Column) else Column(column) for column in headings]
    cells = [[str(cell) for cell in row] for row in rows]
    for line in columns.lines(headed, cells, width() if sys.stdout.isatty() else None):
        print(line)
    sys.stdout.flush()


def flush() -> None:
    """Write what stdout still holds. Raises OSError when it can't be written."""
    sys.stdout.flush()


def discard_output() -> None:
    """Discard all further stdout: its reader has closed the pipe (`| head`)."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


@dataclasses.dataclass
class Collected:
    """What a task that was called with --json has for its one JSON document: its result, and its warnings."""

    result: Any = None
    warnings: list[str] = dataclasses.field(default_factory=list)


_collected: Collected | None = None


@contextlib.contextmanager
def collecting() -> Iterator[Collected]:
    """Within it `result` keeps its data instead of printing it, and `warn` its text as well."""
    global _collected  # noqa: PLW0603  (as the streams that it stands for)
    before, _collected = _collected, Collected()
    try:
        yield _collected
    finally:
        _collected = before


def collects() -> bool:
    """Whether the task was called with --json."""
    return _collected is not None


def result(data: Any) -> None:
    """Print the machine-readable result of a task, or keep it for the document that the task ends with."""
    if _collected is not None:
        _collected.result = data
    else:
        document(data)


def outcome(text: str, data: Any, *, planned: bool = False) -> None:
    """Report what was done, or with `planned` what would be: a line for people, or `data` for programs."""
    if _collected is not None:
        result(data)
    elif planned:
        print(f"would {text}", flush=True)
    else:
        note(text)


def document(data: Any) -> None:
    """Print one JSON document on stdout; dataclasses become objects."""
    print(json.dumps(data, indent=2, default=plain), flush=True)


def plain(value: object) -> object:
    """A dataclass as a JSON object, anything else that JSON has no type for as its text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)


def text(content: str) -> None:
    """Print plain text that is a task's result, on stdout."""
    print(content, flush=True)


def sentence(content: str, *, indent: str = "") -> None:
    """Print text for people that is a task's result, on stdout; on a terminal it breaks between words."""
    print(_worded(indent, content, sys.stdout), flush=True)
