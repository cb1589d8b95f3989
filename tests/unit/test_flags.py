"""What every flag of every task has in common."""

from __future__ import annotations

import pytest
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.parser import Parser

import tasks
from tests.support.commands import CONTEXTS, INITIAL

TAKE_A_VALUE = sorted(
    (context.name or "", flag, argument.kind is list)
    for context in CONTEXTS
    for flag, argument in context.flags.items()
    if flag.startswith("--") and argument.takes_value
)


def test_there_are_flags_that_take_a_value() -> None:
    """The table below is read from the tasks: it has the flags that it is about."""
    assert {("release", "--plan", False), ("build", "--service", True), ("yank", "--reason", False)} <= {*TAKE_A_VALUE}


@pytest.mark.parametrize(("task", "flag", "repeated"), TAKE_A_VALUE)
def test_c5_an_empty_value_is_not_an_absent_flag(
    task: str, flag: str, repeated: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every task refuses an empty value of every flag before it does anything, by name; left out, the flag has a default."""
    (context,) = Parser(initial=INITIAL, contexts=CONTEXTS).parse_argv([task, *_needed(task, flag), flag, ""])[1:]
    given = context.as_kwargs
    assert given[_key(flag)] == ([""] if repeated else "")

    with pytest.raises(Exit) as caught:
        tasks.ns[task].body(Context(), **given)

    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith(f"error: {flag} has an empty value")


def _needed(task: str, flag: str) -> list[str]:
    """The other words that a task does not run without."""
    words = {
        "yank": {"--version": "1.4.0"},
        "verify": {"--version": "1.4.0"},
        "sbom": {"--version": "1.4.0"},
        "bundle.verify": {"--file": "b.tar"},
        "bundle.load": {"--file": "b.tar"},
        "diff": {"--old": "1.3.2", "--new": "1.4.0"},
        "restore": {"--file": "b.tar.gz"},
        "secrets.rotate": {"--name": "mcp_token"},
    }
    return [part for pair in words.get(task, {}).items() if pair[0] != flag for part in pair]


def _key(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")
