"""Which environment variables code reads: in Python by its syntax tree, in JavaScript, PowerShell and shell by its text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.support.source import nodes

_NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")
_MAPPING = re.compile(r"(?:.*\.)?(?:environ|environment|env)")
# What Compose puts in: `${A_VARIABLE:-default}`; NAME is the placeholder of texts.
_FILLED_IN = re.compile(r"\$\{(?!NAME\b)([A-Z_]+)[:}]")
_READS = {"get", "pop", "setdefault", "getenv", "__getitem__"}
_TEXTS = {
    ".mjs": r"process\.env\.([A-Z_]+)|\b(UC_[A-Z_]+)(?= =|,| \})",
    ".psm1": r"Read-(?:Text|Number|Names) '([A-Z_]+)'|\$env:(UC_[A-Z_]+)",
    ".ps1": r"\$env:(UC_[A-Z_]+)",
    "": r"\$\{?((?:UC|DOCS|CI|MSYSTEM)(?:_[A-Z_]+)?)\b",
}


def variables(files: Iterable[Path]) -> set[str]:
    """Return the names that the files read from the environment."""
    return {name for path in files for name in _of(path)}


def _of(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from python(text)
    elif path.suffix in _TEXTS:
        for match in re.finditer(_TEXTS[path.suffix], text):
            yield next(filter(None, match.groups()))


def python(text: str) -> Iterator[str]:
    """Yield the names that Python code reads: by subscript, `in`, a method, or a function that is given the mapping.

    Where a module reads one whose name only running it would tell, each constant that looks like a name counts.
    """
    tree = ast.parse(text)
    every = list(nodes(tree))
    computed = False
    for node in every:
        names, is_computed = _read(node)
        computed = computed or is_computed
        yield from names
    constants = [node.value for node in every if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    yield from (name for value in constants for name in _FILLED_IN.findall(value))
    if computed:
        yield from (value for value in constants if "_" in value.strip("_") and _NAME.fullmatch(value))


def _read(node: ast.AST) -> tuple[list[str], bool]:
    """Return the names that a node reads, and whether it reads one that only running the code would tell."""
    key: ast.expr | None = None
    if isinstance(node, ast.Subscript) and _is_mapping(node.value) and isinstance(node.ctx, ast.Load):
        key = node.slice
    elif (
        isinstance(node, ast.Compare)
        and isinstance(node.ops[0], ast.In | ast.NotIn)
        and _is_mapping(node.comparators[0])
    ):
        key = node.left
    elif isinstance(node, ast.Call):
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in _READS and _is_mapping(function.value):
            key = node.args[0] if node.args else None
        elif isinstance(function, ast.Attribute) and function.attr == "items" and _is_mapping(function.value):
            return [], True
        elif len(node.args) > 1 and _is_mapping(node.args[0]):
            key = node.args[1] if isinstance(node.args[1], ast.Constant) else None
        elif any(
            isinstance(part, ast.Attribute) and part.attr == "get" and _is_mapping(part.value) for part in node.args
        ):
            return [], True
    if key is None:
        return [], False
    if isinstance(key, ast.Constant):
        return [key.value] if isinstance(key.value, str) and _NAME.fullmatch(key.value) else [], False
    return [], True


def _is_mapping(node: ast.AST) -> bool:
    return isinstance(node, ast.Name | ast.Attribute) and _MAPPING.fullmatch(ast.unparse(node)) is not None
