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


WORDED = """
from build import console
console.warn("words " * 12 + "https://an.example/that-is/longer-than/what-is-left-of-the-line")
console.note("x" * 100)
console.timed("[a 1/2] " + "RUN " * 40, 1.25)
console.error("first\\nsecond", hint="a command --that --is --copied --from --the --terminal --and --stays --whole --in --one")
"""


def test_u5_messages_break_between_words(tmp_path: Path) -> None:
    """On a terminal of 80 columns a message goes on in the next line, with addresses whole; commands to copy stay whole;
    in a file each is one line."""
    ours, theirs = os.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "GITHUB_ACTIONS"}
    environment |= {"TERM": "xterm", "COLUMNS": "80", "NO_COLOR": "1"}
    argv = [sys.executable, "-c", WORDED]
    try:
        subprocess.run(argv, cwd=REPOSITORY, env=environment, stderr=theirs, check=True)
        shown = os.read(ours, 1 << 16).decode().splitlines()
    finally:
        os.close(ours)
        os.close(theirs)
    filed = subprocess.run(argv, cwd=REPOSITORY, env=environment, stderr=subprocess.PIPE, text=True, check=True).stderr

    words = [line for line in shown if line.strip() not in {"x" * 100} and not line.startswith("  try:")]
    assert max(map(len, words)) <= 80, words
    assert any(line.endswith(" https://an.example/that-is/longer-than/what-is-left-of-the-line") for line in shown)
    assert [line for line in shown if line.endswith(("first", "second"))] == ["error: first", "second"]
    assert any(line.endswith("--whole --in --one") and "try: a command" in line for line in shown)
    assert len(filed.splitlines()) == 6


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
