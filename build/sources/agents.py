"""An agents folder as its files declare it: graphs, AutoGen roles, and requirements beside those of the service.

Nothing is imported: an entry point is looked for in the syntax tree of its file. Whether it loads shows in the build.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from build.sources import programs
from build.sources.examination import Declared, Findings, Problem

CHECK = "requirements_conflicts.py"  # in the folder of the service
# The first of these that is there names the graphs.
_FORMS: dict[str, Callable[[str], Any]] = {"agents.toml": tomllib.loads, "langgraph.json": json.loads}
_ROLE_KEYS = ("description", "system_message")


def examine(folder: Path, service: Path) -> Findings:
    """What an agents folder declares, and where its requirements contradict the lock in the folder of the service."""
    declared = [*_graphs(folder), *_roles(folder)]
    problems = list(_conflicts(folder, service))
    if not declared:
        problems.append(
            Problem(
                kind="nothing declared", text="no graph and no role",
                fix="name the graphs in agents.toml or langgraph.json, the roles in roles.toml",
            )
        )  # fmt: skip
    return Findings(declared=declared, problems=problems)


def _graphs(folder: Path) -> Iterator[Declared]:
    name, document = "", {}
    try:
        for name, read in _FORMS.items():
            if (folder / name).is_file():
                document = read((folder / name).read_text("utf-8"))
                if not isinstance(document, Mapping) or "graphs" in document:
                    break
    except (ValueError, OSError) as error:
        yield Declared(kind="file", name=name, state="failed", reason=str(error), fix=f"correct {name}")
        return
    table = document.get("graphs", {}) if isinstance(document, Mapping) else None
    if not isinstance(table, Mapping):
        reason = "graphs: expected a table of name = 'module:attribute'"
        yield Declared(kind="file", name=name, state="failed", reason=reason)
        return
    for graph, entry in table.items():
        point = entry.get("path", "") if isinstance(entry, Mapping) else str(entry)
        reason = _entry_problem(folder, str(point))
        yield Declared(kind="graph", name=str(graph), state="failed" if reason else "ready", reason=reason)


def _entry_problem(folder: Path, point: str) -> str:
    """Why an entry point can't be there; "" when its file defines the attribute, or may get it in another way."""
    module, separator, attribute = point.partition(":")
    if not (module and separator and attribute):
        return f"entry point {point!r}: expected 'module:attribute'"
    path = folder / module if module.endswith(".py") else _file_of(folder, module)
    if path is None or not path.is_file():
        return f"{point}: no file for {module} in {folder.name}/"
    try:
        tree = ast.parse(path.read_bytes(), filename=path.name)
    except (SyntaxError, ValueError) as error:
        return f"{point}: {type(error).__name__}: {error}"
    names = set(_names(tree.body))
    return "" if attribute in names or "*" in names else f"{point}: {path.name} defines no {attribute}"


def _file_of(folder: Path, module: str) -> Path | None:
    path = folder.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _names(body: list[ast.stmt]) -> Iterator[str]:
    """The names that statements at the top of a module bind; "*" if a star import or __getattr__ may bind any."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield "*" if statement.name == "__getattr__" else statement.name
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
        for part in ast.walk(statement):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                yield part.id
            elif isinstance(part, ast.ImportFrom) and any(alias.name == "*" for alias in part.names):
                yield "*"


def _roles(folder: Path) -> Iterator[Declared]:
    """The roles of roles.toml; the service has the whole of the rules (docker/autogen, role_file.py)."""
    path = folder / "roles.toml"
    if not path.is_file():
        return
    try:
        table: Any = tomllib.loads(path.read_text("utf-8")).get("roles", {})
    except (ValueError, OSError) as error:
        yield Declared(kind="file", name=path.name, state="failed", reason=str(error), fix=f"correct {path.name}")
        return
    for name, role in table.items() if isinstance(table, Mapping) else ():
        missing = [key for key in _ROLE_KEYS if not (isinstance(role, Mapping) and role.get(key))]
        reason = f"{', '.join(missing)} missing" if missing else ""
        yield Declared(kind="role", name=str(name), state="failed" if reason else "ready", reason=reason)


def _conflicts(folder: Path, service: Path) -> Iterator[Problem]:
    """A problem for each requirement that the service's lock contradicts, by the check that its build makes."""
    requirements, lock = folder / "requirements.txt", service / "requirements.txt"
    if not requirements.is_file():
        return
    check = programs.load(service / CHECK)
    owner = requirements.read_text("utf-8")
    for line, text in check.unread(owner):
        fix = "uv pip compile writes a file with everything in it"
        unread = f"requirements.txt, line {line}: {text}: only this one file is read"
        yield Problem(kind="requirements", text=unread, fix=fix, stops=True)
    refuses, direct = _refuses_conflicts(folder), _named(lock.with_suffix(".in"))
    for conflict in check.conflicts(owner, lock.read_text("utf-8")):
        name = canonicalize_name(conflict.package)
        wanted = " (needed by the service itself)" if name in direct else " (needed by packages of the service)"
        text = (
            f"requirements.txt, line {conflict.line}: {conflict.package}{conflict.specifier}, and the service has "
            f"{conflict.version}{wanted}"
        )
        if refuses:
            fix = "relax the line, or remove `conflicts` from agents.toml"
            yield Problem(kind="requirements", text=text, fix=fix, stops=True)
        else:
            yield Problem(kind="requirements", text=f"{text}: the service's is installed")


def _named(requirements: Path) -> set[str]:
    """The packages that a .in file names; who needs the others of a lock shows only where they are installed."""
    lines = requirements.read_text("utf-8").splitlines() if requirements.is_file() else []
    return {canonicalize_name(match[0]) for line in lines if (match := re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line))}


def _refuses_conflicts(folder: Path) -> bool:
    """Whether the folder says that its graphs are not to run on other versions than its own."""
    try:
        table: Any = tomllib.loads((folder / "agents.toml").read_text("utf-8")).get("requirements", {})
    except (OSError, ValueError):
        return False
    return isinstance(table, Mapping) and table.get("conflicts") == "refuse"
