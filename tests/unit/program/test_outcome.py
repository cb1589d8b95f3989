"""How a task ends: exit codes, messages, the JSON document."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from build import console, errors, interrupts
from build.program import outcome


def ended(body: Callable[[], None], capsys: pytest.CaptureFixture[str], *, json_: bool) -> tuple[int, Any, str]:
    """The exit code of a task with this body, the document that it printed, and what it wrote on stderr."""

    def task(_c: Context, *, json: bool = False) -> None:
        body()

    code = 0
    try:
        outcome.reported(task, "sample")(Context(), json=json_)
    except Exit as end:
        code = end.code
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else None, err


def fail(error: BaseException) -> Callable[[], None]:
    """A body that prints a result and then raises."""

    def body() -> None:
        console.result({"so far": 1})
        raise error

    return body


def test_u16_a_result_and_its_failure_are_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """A task that prints its result and then fails has both in its document; people still read the failure on stderr."""
    error = errors.PortTaken("port 80 is taken", hint="stop it", output="a line")
    code, document, err = ended(fail(error), capsys, json_=True)

    assert code == 12
    assert document == {
        "task": "sample", "ok": False, "exit_code": 12, "result": {"so far": 1}, "warnings": [],
        "error": {"kind": "port-taken", "message": "port 80 is taken", "hint": "stop it", "output": "a line"},
    }  # fmt: skip
    assert "error: port 80 is taken" in err


def test_u16_without_a_failure_there_is_a_result_and_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The document of a task that went well has its result and its warnings."""

    def body() -> None:
        console.warn("look at this")
        console.result([1, 2])

    code, document, err = ended(body, capsys, json_=True)

    assert (code, err.strip()) == (0, "warning: look at this")
    assert document == {
        "task": "sample",
        "ok": True,
        "exit_code": 0,
        "result": [1, 2],
        "error": None,
        "warnings": ["look at this"],
    }


@pytest.mark.parametrize(
    ("raised", "code", "kind"),
    [(KeyboardInterrupt(), 130, "interrupted"), (interrupts.Ended(signal.SIGTERM), 143, "interrupted"),
     (errors.BuildError("x"), 1, "failed"), (errors.UsageError("x"), 1, "usage")],
)  # fmt: skip
def test_u16_whatever_ends_a_task_has_a_kind(
    raised: BaseException, code: int, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Interrupts are a kind of failure, too, and the exit code in the document is that of the process."""
    ended_with, document, _ = ended(fail(raised), capsys, json_=True)

    assert (ended_with, document["exit_code"], document["error"]["kind"]) == (code, code, kind)


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.ENOSPC, "df -h '/x/y'"), (errno.EROFS, "ls -ld '/x/y'"), (errno.EACCES, "ls -ld '/x/y'")],
)
def test_u6_a_file_that_cannot_be_written_is_no_bug(number: int, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A full or read-only disk and missing rights end the task with the path, a command that shows why, and code 17."""
    code, document, err = ended(fail(OSError(number, os.strerror(number), "/x/y")), capsys, json_=True)

    assert (code, document["error"]["kind"], document["result"]) == (20, "disk-failed", {"so far": 1})
    assert document["error"]["message"] == f"{os.strerror(number).lower()}: /x/y"
    assert hint in err


def test_a_bug_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """What is no BuildError propagates, with --json and without; no document says that all is well."""
    for json_ in (True, False):
        with pytest.raises(ZeroDivisionError):
            ended(fail(ZeroDivisionError()), capsys, json_=json_)
        assert '"ok"' not in capsys.readouterr().out


def test_kinds_are_distinct() -> None:
    """Each kind of failure has its own name."""
    every = [
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.BuildError)
    ]

    assert len({outcome.kind(each) for each in every}) == len(every)


@pytest.mark.parametrize(
    ("given", "values"),
    [
        (["a,b"], ["a", "b"]),
        (["a", "b, c"], ["a", "b", "c"]),
        (["services(service='a', x='b'),unit"], ["services(service='a', x='b')", "unit"]),
    ],
)
def test_u3_values_of_a_repeatable_flag_are_split_at_commas(given: list[str], values: list[str]) -> None:
    """--service a,b is --service a --service b; commas within the parentheses of a session stay."""
    seen: list[str] = []

    def task(_c: Context, *, service: list[str]) -> None:
        seen.extend(service)

    outcome.reported(task, "sample")(Context(), service=given)

    assert seen == values


@pytest.mark.parametrize("given", [["a,"], [","], [""], ["a,,b"]])
def test_c5_an_empty_part_of_a_list_is_refused(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A list with nothing between two commas is nearly always a variable that was not set."""

    def task(_c: Context, *, service: list[str]) -> None:
        raise AssertionError(service)

    with pytest.raises(Exit):
        outcome.reported(task, "sample")(Context(), service=given)

    assert "--service has an empty value" in capsys.readouterr().err
