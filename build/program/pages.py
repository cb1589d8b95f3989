"""The list of tasks, the help of one, and the version: what the program prints about itself."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.parser.argument import Argument
from invoke.parser.context import ParserContext

from build import console

if TYPE_CHECKING:
    from build.program.task import ProjectTask

_USAGE = "Usage: ./inv TASK [NAME ...] [flags]"
_EXAMPLES = "Examples:"


def tasks(known: Mapping[str, ProjectTask]) -> None:
    """Print the tasks under their headings, each with the first line of its docstring."""
    console.text("\n".join([_USAGE, "", *_grouped(known), "./inv TASK --help explains a task and its flags."]))


def program(known: Mapping[str, ProjectTask], core: ParserContext) -> None:
    """Print the list of tasks and the flags that stand for themselves."""
    console.text("\n".join([_USAGE, "", *_grouped(known), "Flags", *_columns(map(_flag, core.args.values()))]))


def task(shown: ProjectTask, context: ParserContext) -> None:
    """Print what a task does, its flags and its examples."""
    summary, _, rest = inspect.cleandoc(shown.__doc__ or "").partition("\n")
    text, _, examples = rest.partition(_EXAMPLES)
    lines = [f"Usage: ./inv {_usage(shown, context)}", "", *_wrapped(summary)]
    for paragraph in filter(None, (part.strip() for part in text.split("\n\n"))):
        lines += ["", *_wrapped(" ".join(paragraph.split()))]
    if flags := [argument for argument in context.args.values() if not argument.positional]:
        lines += ["", "Flags", *_columns(map(_flag, flags))]
    if examples.strip():
        lines += ["", "Examples", *(f"  {example.strip()}" for example in re.split(r"\s+\|\s+", examples))]
    console.text("\n".join(lines))


def version(root: Path) -> None:
    """Print the name of the project and the version of what is checked out."""
    import os
    import platform

    from build.config.load import load
    from build.git import history, versions

    manifest = load(root, os.environ)
    read = history.read(manifest, origin=False)
    current = sorted({versions.snapshot(read, line, manifest.project.version) for line in read.lines.values()})
    console.text(f"{manifest.project.name} {', '.join(current)} (Python {platform.python_version()})")


def _grouped(known: Mapping[str, ProjectTask]) -> Iterator[str]:
    width = max(map(len, known))
    for title in dict.fromkeys(shown.group for shown in known.values()):
        yield title
        yield from _columns(((name, _summary(shown)) for name, shown in known.items() if shown.group == title), width)
        yield ""


def _summary(shown: ProjectTask) -> str:
    return inspect.cleandoc(shown.__doc__ or "").partition("\n")[0].removesuffix(".")


def _columns(pairs: Iterable[tuple[str, str]], width: int = 0) -> list[str]:
    """Lines of a name and its explanation, which continues under itself."""
    rows = list(pairs)
    width = width or max((len(name) for name, _ in rows), default=0)
    lines = []
    for name, text in rows:
        first, *more = textwrap.wrap(text, max(console.width() - width - 4, 24)) or [""]
        lines += [f"  {name.ljust(width)}  {first}".rstrip(), *(f"{' ' * (width + 4)}{line}" for line in more)]
    return lines


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, console.width())


def _usage(shown: ProjectTask, context: ParserContext) -> str:
    words = [context.name or ""]
    words += [str(argument.name).upper() for argument in context.positional_args]
    words += [f"[{shown.bare.upper()} ...]"] if shown.bare else []
    words += ["[flags]"] if len(context.args) > len(context.positional_args) else []
    return " ".join(words)


def _flag(argument: Argument) -> tuple[str, str]:
    long, *letters = _names(argument)
    value = f" {(argument.name or '').upper()}" if argument.takes_value else ""
    letter = f"{letters[0]}, " if letters else "    "
    default = f" (default: {argument.default})" if argument.takes_value and argument.default else ""
    return f"{letter}{long}{value}", f"{argument.help or ''}{default}"


def _names(argument: Argument) -> Sequence[str]:
    return [f"--{name}" if len(name) > 1 else f"-{name}" for name in argument.names]
