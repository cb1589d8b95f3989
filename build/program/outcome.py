"""How a task ends: its exit code, the message of what stopped it, and an output that is closed early."""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from invoke.exceptions import Exit

Body = Callable[..., None]


@contextlib.contextmanager
def endings() -> Iterator[None]:
    """Turn a BuildError, an interrupt and a closed output into Invoke's Exit; any other exception is a bug and stays."""
    from build import console, interrupts
    from build.errors import OUTPUT_CLOSED, BuildError

    try:
        yield
    except BuildError as error:
        console.error(str(error), hint=error.hint, output=error.output)
        raise Exit(code=error.exit_code) from None
    except KeyboardInterrupt as interrupt:
        by = f" by {interrupt}" if str(interrupt) else ""
        console.error(f"interrupted{by}", hint="run it again; finished work is reused")
        raise Exit(code=interrupts.exit_code(interrupt)) from None
    except BrokenPipeError:
        console.discard_output()
        raise Exit(code=OUTPUT_CLOSED) from None


def reported(body: Body) -> Body:
    """The body of a task, ending as `endings` says, with each value of a repeatable flag split at its commas.

    Invoke gets None as the default of every flag whose default is "", so that `--plan ""` differs from no flag at all:
    an empty value is refused, because it is nearly always a variable that was not set.
    """
    signature = inspect.signature(body)
    absent = {name: "" for name, parameter in signature.parameters.items() if parameter.default == ""}

    @functools.wraps(body)
    def wrapped(*arguments: Any, **flags: Any) -> None:
        from build import interrupts

        with endings():
            given = {name: _split(value) if isinstance(value, list) else value for name, value in flags.items()}
            _refuse_empty(given)
            with interrupts.as_interrupts():
                body(*arguments, **{name: absent.get(name) if value is None else value for name, value in given.items()})

    wrapped.__signature__ = signature.replace(parameters=[  # type: ignore[attr-defined]
        parameter.replace(default=None) if parameter.name in absent else parameter
        for parameter in signature.parameters.values()
    ])  # fmt: skip
    return wrapped


def _split(values: list[str]) -> list[str]:
    # Not within parentheses: a nox session may be called services(a='1', b='2').
    return [part.strip() for value in values for part in re.split(r",(?![^(]*\))", value)]


def _refuse_empty(given: dict[str, Any]) -> None:
    from build.errors import UsageError

    for name, value in given.items():
        if "" in (value if isinstance(value, list) else [value]):
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} has an empty value", hint="give it a value, or leave the flag out")
