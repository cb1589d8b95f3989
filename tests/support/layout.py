"""Reads a library's layout from its sources: imports, modules that print, missing docstrings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache, cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.support.source import nodes, parsed

LONGEST = 300
_MAP_LINE = re.compile(r"^    (?P<name>[a-z_]+)/? {2,}\S", re.MULTILINE)
_REASON = re.compile(r"longer than 300\s+lines because")


class Library:
    """A package of packages at `root`, whose `__init__.py` lists its packages in import order."""

    def __init__(self, root: Path) -> None:
        self.root, self.name = root, root.name

    @cached_property
    def modules(self) -> dict[str, Path]:
        """Every module at any depth, by dotted name within the library; a package by its own name."""
        found = {}
        for path in sorted(self.root.rglob("*.py")):
            parts = path.relative_to(self.root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        return found

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        """The syntax tree of every module."""
        return {module: parsed(path) for module, path in self.modules.items()}

    @cached_property
    def order(self) -> list[str]:
        """The packages as the map in the library's docstring lists them."""
        return _MAP_LINE.findall(ast.get_docstring(self.trees[""], clean=False) or "")

    @cached_property
    def packages(self) -> set[str]:
        """The existing packages: folders that contain modules."""
        return {path.parent.name for path in self.root.glob("*/*.py")}

    @cached_property
    def imports(self) -> dict[str, set[str]]:
        """The library modules that each module imports, anywhere in its code, for types or at run time."""
        return {module: {*self._inner(tree)} - {"", module} for module, tree in self.trees.items()}

    def _inner(self, tree: ast.Module) -> Iterator[str]:
        for name in imported(tree):
            inner = name.removeprefix(f"{self.name}.") if name.startswith(f"{self.name}.") else ""
            while inner and inner not in self.modules:  # the last part may be a name inside the module
                inner = inner.rpartition(".")[0]
            yield inner


@cache
def imported(tree: ast.Module) -> tuple[str, ...]:
    """The dotted names that a module imports, at any depth of its code."""
    names = []
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(names)


def unmapped(library: Library) -> list[str]:
    """Differences between map and folders: a package without a line, a line without a package."""
    order, packages = library.order, library.packages
    unlisted = [f"{name} is not in the map" for name in sorted(packages - set(order))]
    return unlisted + [f"{name} is in the map and is not there" for name in order if name not in packages]


def opposing(library: Library) -> list[str]:
    """Imports against the map's order: packages may import only those above them, top-level modules none."""
    rank = {name: position for position, name in enumerate(library.order, start=1)}
    top = {module: module.partition(".")[0] for module in library.modules}

    def place(module: str) -> int:
        return rank.get(top[module], 0) if top[module] in library.packages else 0

    return [
        f"{module} imports {imported}"
        for module in library.modules
        for imported in sorted(library.imports[module])
        if place(imported) > place(module)
    ]


def circles(library: Library) -> list[str]:
    """The modules that import each other, directly or indirectly, as one chain; empty if there are none."""
    try:
        TopologicalSorter(library.imports).prepare()
    except CycleError as error:
        return [" → ".join(error.args[1])]
    return []


def importing(library: Library, *programs: str) -> list[str]:
    """The modules that import one of these distributions."""
    return [
        module
        for module in library.modules
        if any(name.partition(".")[0] in programs for name in imported(library.trees[module]))
    ]


def printing(library: Library) -> list[str]:
    """The modules that write to a standard stream themselves, with print or the stream's own write."""
    return [
        module
        for module in library.modules
        if any(isinstance(node, ast.Call) and _prints(node.func) for node in nodes(library.trees[module]))
    ]


def _prints(function: ast.expr) -> bool:
    last = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    name = ast.unparse(function) if last in {"print", "write", "writelines"} else ""
    return name == "print" or re.fullmatch(r"sys\.(__)?std(out|err)(__)?\.(buffer\.)?write(lines)?", name) is not None


def overlong(library: Library) -> list[str]:
    """The modules over LONGEST lines whose docstring gives no reason."""
    return [
        module
        for module, path in library.modules.items()
        if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST
        and not _REASON.search(ast.get_docstring(library.trees[module]) or "")
    ]


def undocumented(library: Library) -> list[str]:
    """Public modules, functions, classes and methods without a docstring, as module.Class.name."""
    return [name for module in library.modules for name in _bare(library.trees[module], module or library.name)]


def _bare(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> Iterator[str]:
    if not ast.get_docstring(node):
        yield name
    if isinstance(node, ast.Module | ast.ClassDef):
        for inner in node.body:
            if isinstance(inner, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and inner.name[0] != "_":
                yield from _bare(inner, f"{name}.{inner.name}")
