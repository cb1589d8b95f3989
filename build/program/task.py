"""The decorator of every task: Invoke's, with this project's flags, its refusals and its outcomes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from invoke.parser.argument import Argument
from invoke.tasks import Task
from invoke.tasks import task as invoke_task

from build.program import outcome

Body = Callable[..., None]
T = TypeVar("T", bound=Body)
# The only one-letter flags. Invoke would make one for every flag: `release -i` skipped smoke, `down -v` deleted data.
LETTERS = {"service": "s", "dry_run": "n", "follow": "f", "yes": "y"}


class ProjectTask(Task[Body]):
    """A task of tasks.py; `bare` is the argument that words without a flag go to, `values` names what a flag takes."""

    def __init__(self, body: Body, *, bare: str = "", values: Mapping[str, str] | None = None, **settings: Any) -> None:
        wrapped = outcome.reported(body, body.__name__.rstrip("_").replace("_", "."))
        needed = [name for name, parameter in _flags(wrapped).items() if parameter.default is parameter.empty]
        settings["positional"] = [name for name in needed if name not in settings["iterable"]]
        super().__init__(wrapped, auto_shortflags=False, **settings)
        self._help = dict(self.help)
        self.bare = bare
        self.values = dict(values or {})
        self.group = ""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:  # noqa: FBT001  (Invoke's)
        """Return the task's arguments, with the letters that this project gives to a few of them."""
        self.help = dict(self._help)  # Invoke takes out of it what it has used
        arguments = super().get_arguments(ignore_unknown_help)
        for argument in arguments:
            if argument.kind is list:
                argument.default = []  # Invoke leaves the signature's mark of a parameter without one
            if letter := LETTERS.get(argument.name or ""):
                argument.names = (*argument.names, letter)
        return arguments


def _flags(body: Body) -> dict[str, inspect.Parameter]:
    """The parameters of a task's body that a command line fills: all but the context."""
    return dict(list(inspect.signature(body).parameters.items())[1:])


def task(
    *,
    help: Mapping[str, str] | None = None,  # noqa: A002  (Invoke's name for it)
    name: str | None = None,
    bare: str = "",
    iterable: Iterable[str] = (),
    values: Mapping[str, str] | None = None,
) -> Callable[[T], ProjectTask]:
    """Make a function a task.

    `bare` is the argument that words without a flag go to, as in `./inv logs monitoring`. `values` says for an argument
    what it takes (a key of completion_table.VALUES), where its own name does not say so.
    """
    made: Callable[[T], ProjectTask] = invoke_task(
        klass=ProjectTask, name=name, help=dict(help or {}), iterable=list(iterable), bare=bare,
        values=values,
    )  # fmt: skip
    return made


def group(title: str, *tasks: ProjectTask) -> tuple[ProjectTask, ...]:
    """Put the tasks under a heading of the list of tasks; return them."""
    for each in tasks:
        each.group = title
    return tasks
