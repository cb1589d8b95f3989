"""Tables: columns that give way in an order."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build import columns
from build.columns import Column, lines, shown_width

REFERENCE = "127.0.0.1:5000/unity-claude/powershell-modules:0.1.0-dev.589.gca787e9"
URL = "http://127.0.0.1:8080/a/rather/long/path/that/must/stay/whole"
WHY = "no source has the base, and a stand-in is not allowed here"
BUILD = (Column(""), Column("service"), Column("image", yields=3), Column("size"), Column("url", yields=2), Column("why", yields=1, prose=True))  # fmt: skip
ROWS = [("✓", "powershell-modules", REFERENCE, "60 MB", URL, ""), ("✗", "docs-server", "", "", "", WHY)]


@pytest.mark.parametrize("width", [80, 120, 200])
def test_u5_nothing_is_cut_and_every_line_fits(width: int) -> None:
    """At 80, 120 and 200 columns each line fits, and references, URLs and words are whole."""
    printed = list(lines(BUILD, ROWS, width))

    assert max(map(shown_width, printed)) <= width
    for whole in (REFERENCE, URL, "powershell-modules", *WHY.split()):
        assert any(whole in line for line in printed), whole


def test_u5_columns_give_way_in_their_order() -> None:
    """The column that yields most goes below its row first; what is narrower than the terminal stays as it is."""
    headings = {width: next(lines(BUILD, ROWS, width)).split() for width in (None, 300, 170, 100)}

    assert headings[None] == headings[300] == ["service", "image", "size", "url", "why"]
    assert headings[170] == ["service", "size", "url", "why"]
    assert headings[100] == ["service", "size", "why"]


def test_u5_an_address_below_its_row_moves_to_the_left_to_fit() -> None:
    """It stands below the second column, unless it would leave the terminal there."""
    rows = [("long-name", "x" * 60), ("short", "y" * 76)]

    assert list(lines((Column("name"), Column("address", yields=1)), rows, 78))[2:5:2] == [
        " " * 11 + "x" * 60, "  " + "y" * 76,
    ]  # fmt: skip


def test_u5_prose_alone_gives_way_where_that_is_enough() -> None:
    """A sentence is wrapped between words before anything leaves its row."""
    table = (Column("image", yields=2), Column("why", yields=1, prose=True))
    first, second, *rest = lines(table, [(REFERENCE, WHY)], len(REFERENCE) + 2 + 30)

    assert first.split() == ["image", "why"]
    assert second.startswith(f"{REFERENCE}  no source has the base,")
    assert " ".join([second.removeprefix(REFERENCE), *rest]).split() == WHY.split()


def test_colours_and_wide_characters_are_measured_as_they_are_shown() -> None:
    """An escape takes no column, a wide character two, a combining one none."""
    assert [shown_width(text) for text in ("\x1b[32m✓\x1b[0m", "日本", "e\u0301", "plain")] == [1, 4, 1, 5]


def test_elsewhere_each_row_is_one_line() -> None:
    """Without a width a row is a line, whose columns begin where the heading's do."""
    heading, *rows = lines(BUILD, ROWS, None)

    assert len(rows) == 2
    assert rows[0].index(REFERENCE) == heading.index("image")


@given(
    st.lists(st.lists(st.text(st.sampled_from("ab 日é"), max_size=30), min_size=4, max_size=4), max_size=5),
    st.integers(min_value=1, max_value=120),
)
def test_no_content_is_ever_lost(rows: list[list[str]], width: int) -> None:
    """Whatever the cells and the width: all letters of all cells are printed."""
    table = (Column("a"), Column("b", yields=1), Column("c", yields=2, prose=True), Column("d", yields=3))
    printed = re.sub(r"\s", "", "".join(list(columns.lines(table, rows, width))[1:]))

    assert sorted(printed) == sorted(re.sub(r"\s", "", "".join(cell for row in rows for cell in row)))
