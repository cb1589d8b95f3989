"""Streams of any encoding."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.project import REPOSITORY

PROGRAM = """
from build import console
console.note("→ … » ✓ ü 日", kind="ok")
console.table(("", "→"), [(console.mark("fail"), "…")])
console.text("×")
"""


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "latin-1", "utf-8"])
def test_u15_whatever_the_encoding_there_is_text_and_no_traceback(encoding: str) -> None:
    """A character that the stream lacks is its nearest one, and a ? where there is none."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=REPOSITORY, capture_output=True, check=True,
        env=os.environ | {"PYTHONIOENCODING": encoding, "NO_COLOR": "1"},
    )  # fmt: skip
    note, cells = done.stderr.decode(encoding), done.stdout.decode(encoding)

    if encoding == "utf-8":
        assert (note, cells) == ("  ✓ → … » ✓ ü 日\n", "   →\n✗  …\n×\n")
    if encoding == "ascii":
        assert (note, cells) == ("  ok -> ... >> ok ? ?\n", "      ->\nfail  ...\nx\n")
    assert note.strip() and cells.strip()
