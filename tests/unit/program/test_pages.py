"""What the program prints about itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

import tasks
from build.program.program import Program
from tests.support.commands import CONTEXTS, refusal

NAMES = sorted(context.name or "" for context in CONTEXTS)


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    yield


def page(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What ./inv prints for these words."""
    with pytest.raises(SystemExit) as left:
        Program(tasks.ns, tasks.ROOT).run(["./inv", *words])
    assert left.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("words", [(), ("--list",), ("-l",)])
def test_u2_alone_it_lists_every_task_in_its_group_on_one_line(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """./inv prints each task once, under a heading, with what it does, in one line of at most 80 columns."""
    printed = page(capsys, *words)
    lines = printed.splitlines()

    assert sorted(line.split()[0] for line in lines if line.startswith("  ")) == NAMES
    assert max(map(len, lines)) <= 80
    assert all(len(line.split()) > 2 for line in lines if line.startswith("  "))
    headings = [line for line in lines[1:] if line and not line.startswith(" ") and not line.startswith("./inv")]
    assert headings == [
        "Start here",
        "Build and check",
        "Run",
        "Release",
        "Deploy",
        "This repository",
        "Registry and secrets",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_each_task_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The help of a task has every flag with its meaning, and examples that are valid, within 80 columns."""
    printed = page(capsys, name, "--help")
    (context,) = [context for context in CONTEXTS if context.name == name]

    for flag in context.flags:
        if flag.startswith("--") and not context.flags[flag].positional:
            assert re.search(rf"{flag}( [A-Z_]+)?  +\S", printed), flag
    examples = printed.partition("Examples\n")[2].splitlines()
    assert examples
    for example in examples:
        if match := re.match(r"(?:\w+=\S+ )?\./inv (.*)$", example.strip()):
            assert refusal(_words(match[1])) == "", example
    assert [line for line in printed.partition("Examples")[0].splitlines() if len(line) > 80] == []


def _words(line: str) -> list[str]:
    """The words of an example, without what a shell would do with their output."""
    return re.sub(r'"[^"]*"', "x", line.partition(" (")[0].partition(" > ")[0].rstrip(")")).split()


def test_u2_the_version_is_the_checkout_s(capsys: pytest.CaptureFixture[str]) -> None:
    """--version is that of what is checked out, by the project's name, and not Invoke's."""
    assert re.fullmatch(r"unity-claude \d+\.\d+\.\d+\S* \(Python \d+\.\d+\.\d+\)\n", page(capsys, "--version"))
