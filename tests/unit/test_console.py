"""Colour goes where a person sees it, and nowhere else; results for programs are one JSON document."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from build import console
from tests.support.project import REPOSITORY

PROGRAM = """
from build import console
console.note("a note", kind="ok")
console.table(("", "check"), [(console.mark("fail"), "a row")])
"""


@pytest.mark.parametrize(("on_terminal", "red_or_green"), [("stdout", b"\x1b[31m"), ("stderr", b"\x1b[32m")])
def test_a_stream_is_coloured_by_what_it_is(on_terminal: str, red_or_green: bytes) -> None:
    """With one stream on a terminal and the other in a file, the terminal gets its signs in colour, the file none."""
    ours, theirs = os.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "GITHUB_ACTIONS"}}
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=REPOSITORY,
            env=environment | {"TERM": "xterm"},
            stdout=theirs if on_terminal == "stdout" else subprocess.PIPE,
            stderr=theirs if on_terminal == "stderr" else subprocess.PIPE,
            check=True,
        )
        shown = os.read(ours, 1 << 16)
    finally:
        os.close(ours)
        os.close(theirs)

    assert red_or_green in shown
    assert b"\x1b[" not in (done.stderr if on_terminal == "stdout" else done.stdout)


@dataclass(frozen=True)
class _Part:
    path: Path


@dataclass(frozen=True)
class _Whole:
    name: str
    parts: tuple[_Part, ...]


def test_a_result_may_hold_dataclasses(capsys: pytest.CaptureFixture[str]) -> None:
    """At any depth they are objects, tuples are lists, and what JSON has no type for is text."""
    console.result({"all": [_Whole("a", (_Part(Path("/b")),))]})

    assert json.loads(capsys.readouterr().out) == {"all": [{"name": "a", "parts": [{"path": "/b"}]}]}
