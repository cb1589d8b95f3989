"""Valid commands: whether Invoke accepts a command line, and the sessions of the noxfile."""

from __future__ import annotations

import ast

from invoke.exceptions import ParseError
from invoke.parser import Parser
from invoke.program import Program

import tasks
from tests.support.project import REPOSITORY

INITIAL = Program().initial_context
CONTEXTS = tasks.ns.to_contexts()


def refusal(words: list[str]) -> str:
    """Return why Invoke refuses these arguments of ./inv, or an empty string."""
    named = [one for one in CONTEXTS if one.name in words]  # a parser copies the contexts it is given
    try:
        Parser(initial=INITIAL, contexts=named).parse_argv(words)
    except ParseError as error:
        return str(error)
    return ""


def sessions() -> set[str]:
    """Return the names of all nox sessions."""
    tree = ast.parse((REPOSITORY / "noxfile.py").read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {one.name for one in functions if any("nox.session" in ast.unparse(mark) for mark in one.decorator_list)}
