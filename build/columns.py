"""Lays rows out in aligned columns: within a width, columns give way in an order, and nothing is cut inside a word."""

from __future__ import annotations

import re
import sys
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_GAP = 2
_NARROWEST_PROSE = 20


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading, and how it gives way where the rows are wider than they may be.

    The column with the highest `yields` gives way first: `prose` is wrapped between words, anything else stands on a
    line of its own below its row. A column that yields 0 stays.
    """

    name: str
    yields: int = 0
    prose: bool = False


def shown_width(text: str) -> int:
    """The columns of a terminal that a text takes: its colours none, a wide character two."""
    plain = _ESCAPE.sub("", text)
    if plain.isascii():
        return len(plain)
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in plain
    )


def lines(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None) -> Iterator[str]:
    """Yield the heading and the rows, no line wider than `width` unless a single word is; None for any width."""
    table = _Table(columns, rows)
    if width is not None:
        table.fit(width)
    yield from table.lines()


class _Table:
    def __init__(self, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
        self._columns = columns
        self._rows = rows
        self._widths = [
            max(shown_width(cell) for cell in (column.name, *(row[index] for row in rows)))
            for index, column in enumerate(columns)
        ]
        self._below: set[int] = set()
        self._width = sys.maxsize

    def fit(self, width: int) -> None:
        """Make the columns give way: first prose alone, if that is enough, then each in its turn."""
        self._width = width
        yielding = [index for index, column in enumerate(self._columns) if column.yields]
        in_turn = sorted(yielding, key=lambda index: -self._columns[index].yields)
        if any(self._wrap(index, width) for index in in_turn):
            return
        for index in in_turn:
            if self._total > width and not self._wrap(index, width):
                self._below.add(index)

    def _wrap(self, index: int, width: int) -> bool:
        """Whether the table fits, after a column of prose was made narrower if that is enough."""
        narrower = self._widths[index] - (self._total - width)
        if narrower >= self._widths[index]:
            return True
        if not self._columns[index].prose or narrower < max(self._longest_word(index), _NARROWEST_PROSE):
            return False
        self._widths[index] = narrower
        return True

    def lines(self) -> Iterator[str]:
        names = [column.name for column in self._columns]
        yield from self._aligned([[name] for name in names])
        for row in self._rows:
            yield from self._aligned([_wrapped(cell, self._widths[index]) for index, cell in enumerate(row)])
            indent = self._widths[0] + _GAP
            for index in (index for index in sorted(self._below) if row[index]):
                prose = self._columns[index].prose
                room = self._width - indent
                for line in _wrapped(row[index], room) if prose else [row[index]]:
                    outdent = max(shown_width(line) - room, 0)  # an address stays within the width if it can
                    yield f"{' ' * max(indent - outdent, _GAP)}{line}".rstrip()

    @property
    def _beside(self) -> list[int]:
        return [index for index in range(len(self._columns)) if index not in self._below]

    @property
    def _total(self) -> int:
        return sum(self._widths[index] + _GAP for index in self._beside) - _GAP

    def _longest_word(self, index: int) -> int:
        words = " ".join([self._columns[index].name, *(row[index] for row in self._rows)]).split()
        return max(map(shown_width, words), default=0)

    def _aligned(self, cells: Sequence[Sequence[str]]) -> Iterator[str]:
        beside = self._beside
        for number in range(max(len(cells[index]) for index in beside)):
            parts = []
            for index in beside:
                part = cells[index][number] if number < len(cells[index]) else ""
                parts.append(part + " " * (self._widths[index] - shown_width(part)))
            yield (" " * _GAP).join(parts).rstrip()


def _wrapped(cell: str, width: int) -> list[str]:
    if shown_width(cell) <= width:
        return [cell]
    return textwrap.wrap(cell, max(width, _NARROWEST_PROSE), break_long_words=False, break_on_hyphens=False)
