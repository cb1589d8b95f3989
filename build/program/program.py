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
from invoke.parser import Parser
from invoke.parser.argument import Argument
from invoke.parser.context import ParserContext
from invoke.parser.parser import ParseResult

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

    def load_shell_env(self) -> None:
        """Take nothing from INVOKE_ variables."""


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

    def run(self, argv: Sequence[str] | str | None = None, exit: bool = True) -> None:  # noqa: A002, FBT001, FBT002  (Invoke's)
        """Run what the words of argv, after the program's name, ask for; leave with its exit code unless not `exit`."""
        words = sys.argv if argv is None else argv.split() if isinstance(argv, str) else argv
        self.argv = list(words)
        code = 0
        try:
            with endings(" ".join(self.argv[1:2]), json="--json" in self.argv, has_result=False):
                core, chosen = self._parsed(self.argv[1:])
            if chosen:  # each of them ends by itself
                self.executor_class(self.collection, _Config(), core).execute(*chosen)
        except Exit as end:
            code = end.code
        if exit:
            sys.exit(code)

    def _parsed(self, words: Sequence[str]) -> tuple[ParseResult, list[ParserContext]]:
        """The program's own flags and the tasks to run; none if a page was asked for, which is printed."""
        if words[:1] == [_TABLE]:
            from build.program import completion_table

            completion_table.write(Path(words[1]), self._root, self._tasks)
            return ParseResult(), []
        given = arguments.normalised(words, self.initial_context, self._contexts, self._bare, self._known)
        if any(word in {"--help", "-h"} for word in given):
            self._help(given)
            return ParseResult(), []
        parser = Parser(initial=self.initial_context, contexts=self._contexts.values())
        try:
            core, *chosen = parser.parse_argv(given)
        except ParseError as error:  # arguments.py lets nothing through that Invoke refuses
            raise UsageError(str(error), hint="./inv --help") from None
        if core.args.version.value:
            pages.version(self._root)
        elif core.args.list.value or not chosen:
            pages.tasks(self._tasks)
        else:
            return ParseResult([core]), chosen
        return ParseResult(), []

    def _help(self, words: Sequence[str]) -> None:
        """Print the help of the first task among the words, else the program's own."""
        topic = next((word for word in words if not word.startswith("-")), "")
        if not topic:
            pages.program(self._tasks, self.initial_context)
        elif topic in self._contexts:
            pages.task(self._tasks[topic], self._contexts[topic])
        else:
            arguments.refuse_task(topic, self._contexts)

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
