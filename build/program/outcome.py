"""How a task ends: its exit code, the message of what stopped it, and an output that is closed early."""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit

from build import console, interrupts
from build.console import Collected
from build.errors import OUTPUT_CLOSED, BuildError, DiskFailed, UsageError, of_disk

Body = Callable[..., None]


@contextlib.contextmanager
def endings(name: str, *, json: bool = False, has_result: bool = True) -> Iterator[None]:
    """Turn a BuildError, an interrupt and a closed output into Invoke's Exit; any other exception is a bug and stays.

    With `json`, the task's result comes at the end, in one document with its outcome (docs/pages/json.md). What has no
    result prints one for a failure only.
    """
    code, failure = 0, None
    try:
        with _of_disk(), console.collecting() if json else contextlib.nullcontext() as collected:
            try:
                with _of_disk():
                    yield
            except BuildError as error:
                code, failure = _report(error), error
            except KeyboardInterrupt as interrupt:
                by = f" by {interrupt}" if str(interrupt) else ""
                failure = Interrupted(f"interrupted{by}", hint="run it again; finished work is reused")
                console.error(str(failure), hint=failure.hint)
                code = interrupts.exit_code(interrupt)
            if collected is not None and (has_result or failure):
                console.document(_envelope(name, code, failure, collected))
            console.flush()
    except BrokenPipeError:
        console.discard_output()
        code = OUTPUT_CLOSED
    except DiskFailed as error:  # stdout is a file on a full disk
        console.discard_output()
        code = code or _report(error)
    if code:
        raise Exit(code=code)


@contextlib.contextmanager
def _of_disk() -> Iterator[None]:
    """A refusal of the system to write is no bug: it becomes a DiskFailed."""
    try:
        yield
    except OSError as error:
        if failure := of_disk(error):
            raise failure from None
        raise


def _report(error: BuildError) -> int:
    console.error(str(error), hint=error.hint, output=error.output)
    return error.exit_code


class Interrupted(BuildError):
    """A signal ended the task."""


def _envelope(name: str, code: int, failure: BuildError | None, collected: Collected) -> dict[str, Any]:
    error = failure and {
        "kind": kind(type(failure)), "message": str(failure), "hint": failure.hint, "output": failure.output,
    }  # fmt: skip
    return {
        "task": name, "ok": not code, "exit_code": code, "result": collected.result, "error": error,
        "warnings": collected.warnings,
    }  # fmt: skip


def kind(failure: type[BuildError]) -> str:
    """The name of a kind of failure in JSON: PortTaken is port-taken, and BuildError itself is failed."""
    name = failure.__name__.removesuffix("Error")
    return "failed" if name == "Build" else re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def reported(body: Body, name: str) -> Body:
    """The body of the task `name`, ending as `endings` says, with each value of a repeatable flag split at its commas.

    Invoke gets None as the default of every flag whose default is "", so that `--plan ""` differs from no flag at all:
    an empty value is refused, because it is nearly always a variable that was not set.
    """
    signature = inspect.signature(body)
    absent = {name for name, parameter in signature.parameters.items() if parameter.default == ""}

    @functools.wraps(body)
    def wrapped(*arguments: Any, **flags: Any) -> None:
        with endings(name, json=flags.get("json") is True):
            given = {name: _split(value) if isinstance(value, list) else value for name, value in flags.items()}
            _refuse_empty(given)
            given |= {flag: "" for flag in absent if given.get(flag) is None}
            _refuse_dry(arguments)
            with interrupts.as_interrupts():
                body(*arguments, **given)

    wrapped.__signature__ = signature.replace(parameters=[  # type: ignore[attr-defined]
        parameter.replace(default=None) if parameter.name in absent else parameter
        for parameter in signature.parameters.values()
    ])  # fmt: skip
    return wrapped


def _refuse_dry(arguments: Sequence[Any]) -> None:
    """Stock `invoke --dry` keeps Invoke from starting programs; these tasks start theirs without it."""
    if arguments and isinstance(arguments[0], Context) and arguments[0].config.run.dry:
        raise UsageError("invoke's --dry does not keep these tasks from acting", hint="--dry-run after the task")


def _split(values: list[str]) -> list[str]:
    # Not within parentheses: a nox session may be called services(a='1', b='2').
    return [part.strip() for value in values for part in re.split(r",(?![^(]*\))", value)]


def _refuse_empty(given: dict[str, Any]) -> None:
    for name, value in given.items():
        if "" in (value if isinstance(value, list) else [value]):
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} has an empty value", hint="give it a value, or leave the flag out")
