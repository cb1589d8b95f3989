"""Valid commands: whether ./inv accepts a command line, and the sessions of the noxfile."""

from __future__ import annotations

import ast

import tasks
from build.errors import UsageError
from build.program import arguments
from build.program.program import Program
from tests.support.project import REPOSITORY

INITIAL = Program(tasks.ns, tasks.ROOT).initial_context
CONTEXTS = tasks.ns.to_contexts()
BARE = {context.name or "": tasks.ns[context.name].bare for context in CONTEXTS if tasks.ns[context.name].bare}


def refusal(words: list[str]) -> str:
    """Return why ./inv refuses these arguments, or an empty string."""
    try:
        normalised(words)
    except UsageError as error:
        return str(error)
    return ""


def normalised(words: list[str]) -> list[str]:
    """Return the arguments of ./inv as Invoke gets them. Raises UsageError."""
    contexts = {context.name or "": context for context in CONTEXTS}
    return arguments.normalised(words, INITIAL, contexts, BARE, lambda _task, _argument: ())


def sessions() -> set[str]:
    """Return the names of all nox sessions."""
    tree = ast.parse((REPOSITORY / "noxfile.py").read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {one.name for one in functions if any("nox.session" in ast.unparse(mark) for mark in one.decorator_list)}
