"""Some lines of a text file, in bounded memory and time, whatever the file holds."""

from __future__ import annotations

import codecs
import io
import itertools
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from mcp.server.mcpserver.exceptions import ToolError

LONGEST_LINE = 2_000
LONGEST_TEXT = 200_000
_SECONDS = 10.0
_PIECE = 65_536
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Consecutive lines; `more` says that the file goes on after them."""

    first: int
    lines: list[str]
    more: bool


def excerpt(file: BinaryIO, start: int, count: int) -> Excerpt:
    """`count` lines from line `start`, which is 1 for the first and -1 for the last. The file stays the caller's."""
    text = io.TextIOWrapper(file, encoding=_encoding(file), errors="replace", newline=None)
    try:
        return _tail(_lines(text), -start, count) if start < 0 else _head(_lines(text), max(start, 1), count)
    finally:
        text.detach()


def _head(lines: Iterator[str], start: int, count: int) -> Excerpt:
    found, size = list[str](), 0
    for line in itertools.islice(lines, start - 1, None):
        if len(found) == count or size + len(line) > LONGEST_TEXT:
            return Excerpt(start, found, more=True)
        found.append(line)
        size += len(line) + 1
    return Excerpt(start, found, more=False)


def _tail(lines: Iterator[str], back: int, count: int) -> Excerpt:
    last: deque[tuple[int, str]] = deque(enumerate(lines, start=1), maxlen=min(back, 20_000))
    found, size = list[str](), 0
    for _, line in itertools.islice(last, count):
        if size + len(line) > LONGEST_TEXT:
            break
        found.append(line)
        size += len(line) + 1
    return Excerpt(last[0][0] if last else 1, found, more=len(found) < len(last))


def _encoding(file: BinaryIO) -> str:
    head = file.read(8192)
    file.seek(0)
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    if b"\0" in head:
        raise ToolError("this is a binary file")
    return "utf-8"


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    deadline = time.monotonic() + _SECONDS
    line = ""
    # Lines are read in pieces and kept up to a length: a file of one endless line costs no more memory than any other.
    while piece := text.readline(_PIECE):
        if time.monotonic() > deadline:
            raise ToolError(f"the file is too long to get there in {_SECONDS:g} s; use search to find the place")
        if len(line) <= LONGEST_LINE:
            line += piece
        if piece.endswith("\n"):
            yield _cut(line)
            line = ""
    if line:
        yield _cut(line)


def _cut(line: str) -> str:
    line = line.removesuffix("\n")
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"
