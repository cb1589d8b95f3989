"""Reads the roles that the agents folder declares in `roles.toml`, and imports the functions that are their tools.

A role that can't be used is refused with its file and line; the others join the team all the same.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from groupchat_service import rules
from groupchat_service.roles import DEFAULT_TEAM, LEADER, TOOLS, WORKERS, Role
from groupchat_service.roster import Roster
from groupchat_service.team import HUMAN, USER

NAME = "roles.toml"
MOST = 13  # with the service's own three a team of 16, which is the most that a request may name
_LONGEST = {"description": 1_000, "system_message": 50_000, "model": 200}
_REQUIRED, _KEYS = ("description", "system_message"), ("description", "system_message", "tools", "model")
_TAKEN = (LEADER.name, *WORKERS, HUMAN, USER)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_TOOL = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<function>[A-Za-z_]\w*)", re.ASCII)


class _Refused(Exception):
    """What is wrong, and with which key of the role ("" for the role itself)."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


def load(folder: Path) -> Roster:
    """The roster of the service with the folder's roles; a folder without the file declares none."""
    path = folder / NAME
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Roster()
    except (OSError, UnicodeDecodeError) as error:
        return Roster(failed={NAME: f"{NAME}: {error}"})
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Roster(failed={NAME: f"{NAME}: {error}"})
    return _roster(folder, tables, _Lines(text))


def _roster(folder: Path, tables: Mapping[str, Any], lines: _Lines) -> Roster:
    declared: dict[str, Role] = {}
    failed: dict[str, str] = {}
    for key in set(tables) - {"roles", "team"}:
        failed[NAME] = f"{NAME}:{lines.of(key)}: unknown table {key!r}; expected [roles.NAME] or [team]"
    entries = tables.get("roles", {})
    if not isinstance(entries, Mapping):
        failed[NAME] = f"{NAME}:{lines.of('roles')}: roles: expected tables, [roles.NAME]"
        entries = {}
    for number, (name, table) in enumerate(entries.items(), start=1):
        try:
            if number > MOST:
                raise _Refused("", f"there are more than {MOST} roles")
            place = f"{NAME}:{lines.of('roles', name, 'tools')}"
            declared[name] = _role(folder, name, table, place)
        except _Refused as refused:
            key = f"roles.{name}" + (f".{refused.key}" if refused.key else "")
            failed[name] = f"{NAME}:{lines.of('roles', name, refused.key)}: {key}: {refused}"
    default, wrong = _default(tables.get("team", {}), declared, failed)
    if wrong:
        failed[NAME] = f"{NAME}:{lines.of('team', 'default')}: team.default: {wrong}"
    return Roster(declared=declared, failed=failed, default=default)


def _default(table: Any, declared: Mapping[str, Role], failed: Mapping[str, str]) -> tuple[tuple[str, ...], str]:
    """Who is in a team that a request does not name: `[team] default`, else the service's own and every role."""
    everybody = (*DEFAULT_TEAM, *declared)
    if not isinstance(table, Mapping) or set(table) - {"default"}:
        return everybody, "expected the key `default`, a list of agents"
    if "default" not in table:
        return everybody, ""
    names = table["default"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return everybody, "expected a list of agents"
    known = (*DEFAULT_TEAM, *declared, HUMAN)
    if unknown := [name for name in names if name not in known and name not in failed]:
        return everybody, f"unknown agents: {', '.join(map(ascii, unknown))}; known are {', '.join(known)}"
    chosen = tuple(dict.fromkeys(name for name in names if name in known))
    if not set(chosen) - {HUMAN}:
        return everybody, "a team needs at least one worker"
    return chosen, ""


def _role(folder: Path, name: str, table: Any, place: str) -> Role:
    if not _IDENTIFIER.fullmatch(name):
        raise _Refused("", "a name has letters, digits and _ only, and begins with no digit")
    if name in _TAKEN:
        raise _Refused("", "the service has an agent of this name; choose another")
    if not isinstance(table, Mapping):
        raise _Refused("", "expected a table with description and system_message")
    for key in table:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            raise _Refused(
                key, f"unknown key; perhaps {near[0]}" if near else f"unknown key; known: {', '.join(_KEYS)}"
            )
    for key in _REQUIRED:
        if key not in table:
            raise _Refused("", f"{key} is missing")
    for key, longest in _LONGEST.items():
        value = table.get(key, "-")
        if not isinstance(value, str) or not value.strip() or len(value) > longest:
            raise _Refused(key, f"expected a text of 1 to {longest} characters")
    tools = _tools(folder, table.get("tools", []))
    try:
        rule = rules.without_a_model(tools)
    except Exception as error:  # a signature that Python itself can't read, such as an annotation of no meaning
        raise _Refused("tools", f"{type(error).__name__}: {error}") from error
    return Role(
        name=name,
        description=" ".join(table["description"].split()),
        prompt=table["system_message"].strip(),
        rule=rule,
        tools=tools,
        model=table.get("model", "").strip(),
        place=place,
    )


def _tools(folder: Path, named: Any) -> tuple[Callable[..., Any], ...]:
    if not isinstance(named, list) or not all(isinstance(entry, str) for entry in named):
        raise _Refused("tools", "expected a list of 'module:function', or of the service's own tools")
    tools: dict[str, Callable[..., Any]] = {}
    for entry in named:
        tool = TOOLS.get(entry) or _function(folder, entry)
        if tool.__name__ in tools:
            raise _Refused("tools", f"two tools are called {tool.__name__!r}")
        tools[tool.__name__] = tool
    return tuple(tools.values())


def _function(folder: Path, entry: str) -> Callable[..., Any]:
    match = _TOOL.fullmatch(entry)
    if match is None:
        own = ", ".join(TOOLS)
        raise _Refused("tools", f"{entry!r}: expected 'module:function', or one of the service's own: {own}")
    top = match["module"].partition(".")[0]
    if not ((folder / f"{top}.py").is_file() or (folder / top).is_dir()):
        raise _Refused("tools", f"{entry}: there is no {top}.py and no folder {top} beside {NAME}")
    # Last on the path: a file of the owner's must not take the place of a module that the service needs.
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    importlib.invalidate_caches()
    try:
        spec = importlib.util.find_spec(top)
        places = [spec.origin, *(spec.submodule_search_locations or ())] if spec else []
        if not any(place and Path(place).is_relative_to(folder) for place in places):
            raise _Refused("tools", f"{entry}: {top} is the name of an installed package; rename the module")
        function = getattr(importlib.import_module(match["module"]), match["function"])
    except _Refused:
        raise
    except AttributeError as error:
        raise _Refused("tools", f"{entry}: {error}") from error
    except (Exception, SystemExit) as error:  # foreign code may raise anything; the other roles go on
        raise _Refused("tools", f"{entry}: {type(error).__name__}: {error}") from error
    if not callable(function) or isinstance(function, type) or not hasattr(function, "__name__"):
        raise _Refused("tools", f"{entry}: expected a function")
    return function  # type: ignore[no-any-return]


class _Lines:
    """Where tables and keys stand in a file that tomllib, which keeps no lines, has read."""

    def __init__(self, text: str) -> None:
        self._lines = list(_outside_of_texts(text))

    def of(self, table: str, name: str = "", key: str = "") -> int:
        """The line of a key, else of its table, else 1."""
        header, inside, place = _plain(f"{table}.{name}" if name else table), False, 0
        for number, line in self._lines:
            if title := re.fullmatch(r"\[+\s*(.+?)\s*\]+\s*(?:#.*)?", line):
                inside = _plain(title[1]) == header
                below = not name and _plain(title[1]).startswith(f"{header}.")
                place = place or (number if inside or below else 0)
            elif (inside or not place) and re.match(rf"[\"']?{re.escape(key or name or table)}[\"']?\s*=", line):
                if inside:
                    return number
                place = number
        return place or 1


def _plain(title: str) -> str:
    return re.sub(r"[\"'\s]", "", title)


def _outside_of_texts(text: str) -> Iterator[tuple[int, str]]:
    """Each line with its number, without those inside a text of several lines."""
    fence = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not fence:
            yield number, line.strip()
        for mark in ('"""', "'''"):
            if mark in (fence or mark) and line.count(mark) % 2:
                fence = "" if fence else mark
                break
