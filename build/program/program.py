"""Invoke's program with this project's pages and refusals; what Invoke's own flags would do is not here.

`python build/program/start.py` is what ./inv starts. Stock `invoke` runs the same tasks, without bare names, completion
and the pages.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import invoke.program
from invoke.collection import Collection
from invoke.config import Config
from invoke.exceptions import Exit, ParseError
from invoke.parser import Argument, Parser, ParserContext, ParseResult

from build.errors import UsageError
from build.program import arguments, pages
from build.program.outcome import endings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from build.program.task import ProjectTask


_TABLE = "--completion-table"  # complete.py asks for it


class _Config(Config):
    """Invoke's defaults alone: no file and no variable of the caller's changes how a task runs."""

    def __init__(self) -> None:
        super().__init__(lazy=True)


class Program(invoke.program.Program):
    """Runs the tasks of one collection, which is that of the checkout `root`, from a command line."""

    def __init__(self, namespace: Collection, root: Path) -> None:
        super().__init__(namespace=namespace, binary="./inv")
        self.collection = namespace
        self._root = root

    def core_args(self) -> list[Argument]:
        """Return the flags that stand for themselves or beside a task."""
        return [
            Argument(names=("help", "h"), optional=True, help="print this page, or with a task what it takes"),
            Argument(names=("list", "l"), kind=bool, default=False, help="print the tasks"),
            Argument(names=("version", "V"), kind=bool, default=False, help="print the version of this checkout"),
        ]

    def run(self, argv: Sequence[str] | str | None = None, exit: bool = True) -> None:  # noqa: A002
        """Run what the words of argv, after the program's name, ask for; leave with its exit code unless not `exit`."""
        words = sys.argv if argv is None else argv.split() if isinstance(argv, str) else argv
        self.argv = list(words)
        code = 0
        try:
            with endings():
                self._run(self.argv[1:])
        except Exit as end:
            code = end.code
        if exit:
            sys.exit(code)

    def _run(self, words: Sequence[str]) -> None:
        if not words:
            pages.tasks(self._tasks)
            return
        if words[0] == _TABLE:
            from build.program import completion_table

            completion_table.write(Path(words[1]), self._root, self._tasks)
            return
        given = arguments.normalised(words, self.initial_context, self._contexts, self._bare, self._known)
        parser = Parser(initial=self.initial_context, contexts=self._contexts.values())
        try:
            core, *chosen = parser.parse_argv(given)
        except ParseError as error:  # arguments.py lets nothing through that Invoke refuses
            raise UsageError(str(error), hint="./inv --help") from None
        flags = core.args
        if topic := flags.help.value:
            self._help(topic)
        elif flags.version.value:
            pages.version(self._root)
        elif flags.list.value or not chosen:
            pages.tasks(self._tasks)
        else:
            self.executor_class(self.collection, _Config(), ParseResult([core])).execute(*chosen)

    def _help(self, topic: str | bool) -> None:
        if topic is True:
            pages.program(self._tasks, self.initial_context)
        elif str(topic) in self._contexts:
            pages.task(self._tasks[str(topic)], self._contexts[str(topic)])
        else:
            arguments.refuse_task(str(topic), self._contexts)

    @cached_property
    def _tasks(self) -> dict[str, ProjectTask]:
        return {name: self.collection[name] for name in self.collection.task_names}

    @cached_property
    def _contexts(self) -> dict[str, ParserContext]:
        return {context.name or "": context for context in self.collection.to_contexts()}

    @property
    def _bare(self) -> dict[str, str]:
        return {name: task.bare for name, task in self._tasks.items() if task.bare}

    def _known(self, task: str, argument: str) -> Iterable[str]:
        from build.program import completion_table

        return completion_table.known(self._root, self._tasks[task], argument)
