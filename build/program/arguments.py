"""Reads the words of a command line before Invoke does: bare names get their flag, what is unknown is refused.

Invoke answers an unknown word with "No idea what 'x' is!", and gives the value of a flag that lacks one to the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NoReturn

from invoke.parser.argument import Argument
from invoke.parser.context import ParserContext

from build.errors import UsageError
from build.typed import suggest

Known = Callable[[str, str], Iterable[str]]  # (task, argument) → the values it may have; none: not known here


def normalised(
    words: Sequence[str], core: ParserContext, tasks: Mapping[str, ParserContext], bare: Mapping[str, str], known: Known
) -> list[str]:
    """Return the words as Invoke's parser understands them: each flag and each value is a word of its own.

    `bare` has for a task the argument that words without a flag go to. Raises UsageError for an unknown task or flag, a
    flag without its value or with one that it does not take, and a missing argument.
    """
    return _Reader(words, core, tasks, bare, known).read()


def refuse_task(name: str, tasks: Iterable[str]) -> NoReturn:
    """Raise UsageError for the name of a task that there is not."""
    raise UsageError(f"unknown task '{name}'{suggest(name, tasks)}", hint="./inv lists the tasks")


class _Reader:
    def __init__(
        self, words: Sequence[str], core: ParserContext, tasks: Mapping[str, ParserContext], bare: Mapping[str, str],
        known: Known,
    ) -> None:  # fmt: skip
        self._waiting = deque(words)
        self._core = core
        self._tasks = tasks
        self._bare = bare
        self._known = known
        self._context = core
        self._needed: deque[Argument] = deque()
        self._read: list[str] = []

    def read(self) -> list[str]:
        while self._waiting:
            word = self._waiting.popleft()
            if word == "--":
                raise UsageError("no task takes words after --", hint=self._help)
            if word.startswith("--"):
                self._long(word)
            elif word.startswith("-") and len(word) > 1:
                self._short(word)
            else:
                self._plain(word)
        self._leave()
        return self._read

    @property
    def _help(self) -> str:
        return f"./inv {self._context.name} --help" if self._context.name else "./inv --help"

    def _leave(self) -> None:
        asks_for_help = any(word in {"--help", "-h"} for word in self._read)
        if self._needed and not asks_for_help:
            needed = [str(argument.name) for argument in self._context.positional_args]
            words = f"a {needed[0]}" if len(needed) == 1 else " and ".join(name.upper() for name in needed)
            raise UsageError(f"{self._context.name} needs {words}", hint=self._help)

    def _plain(self, word: str) -> None:
        if self._needed:
            self._needed.popleft()
            self._read.append(word)
        elif word in self._tasks and word not in self._values():
            self._leave()
            self._context = self._tasks[word]
            self._needed = deque(self._context.positional_args)
            self._read.append(word)
        elif argument := self._bare.get(self._context.name or ""):
            known = self._values()
            if known and word not in known and not suggest(word, known) and suggest(word, self._tasks):
                raise UsageError(
                    f"'{word}' is neither a task nor a {argument}{suggest(word, self._tasks)}", hint=self._help
                )
            self._read += [f"--{argument}", word]
        elif self._context.name:
            raise UsageError(
                f"{self._context.name} takes no '{word}', and no task has this name{suggest(word, self._tasks)}",
                hint=self._help,
            )
        else:
            refuse_task(word, self._tasks)

    def _values(self) -> list[str]:
        """What the words without a flag may be here, as far as that is known: the sessions of `test`, the services."""
        argument = self._bare.get(self._context.name or "")
        return list(self._known(self._context.name or "", argument)) if argument else []

    def _long(self, word: str) -> None:
        flag, equals, value = word.partition("=")
        argument = self._argument(flag)
        if not self._takes_value(argument, flag):
            if equals:
                raise UsageError(f"{flag} takes no value", hint=self._help)
            self._read.append(flag)
        else:
            self._give(argument)
            self._read += [flag, value if equals else self._value(flag)] if not argument.optional else self._maybe(word)

    def _give(self, argument: Argument) -> None:
        """A needed argument may be given by its flag, too."""
        if argument in self._needed:
            self._needed.remove(argument)

    def _maybe(self, word: str) -> list[str]:
        """A flag that may stand alone: with the next word when that is no flag."""
        flag, equals, value = word.partition("=")
        if equals:
            return [flag, value]
        following = self._waiting[0] if self._waiting else "-"
        return [flag] if following.startswith("-") else [flag, self._waiting.popleft()]

    def _short(self, word: str) -> None:
        letters = word[1:]
        while letters:
            flag, letters = f"-{letters[0]}", letters[1:]
            argument = self._argument(flag, word)
            self._read.append(flag)
            if self._takes_value(argument, flag) and not argument.optional:
                self._read.append(letters.removeprefix("=") or self._value(flag))
                return

    def _value(self, flag: str) -> str:
        if not self._waiting or self._find(self._waiting[0]):
            raise UsageError(f"{flag} needs a value", hint=self._help)
        return self._waiting.popleft()

    def _find(self, flag: str) -> Argument | None:
        """The argument of a flag: one of the task, or of the program, whose `--help` may follow a task."""
        for context in (self._context, self._core):
            name = context.inverse_flags.get(flag, flag)
            if name in context.flags:
                argument: Argument = context.flags[name]
                return argument
        return None

    def _argument(self, flag: str, word: str = "") -> Argument:
        argument = self._find(flag)
        if argument is None:
            context = self._context
            owner = f"{context.name} has" if context.name else "there is"
            within = f" (in {word})" if word not in {"", flag} else ""
            known = (*context.flags, *context.inverse_flags, *self._core.flags)
            like = suggest(flag, [name for name in known if name.startswith("--")])
            raise UsageError(f"{owner} no flag {flag}{within}{like}", hint=self._help)
        return argument

    def _takes_value(self, argument: Argument, flag: str) -> bool:
        return bool(argument.takes_value) and flag not in self._context.inverse_flags
