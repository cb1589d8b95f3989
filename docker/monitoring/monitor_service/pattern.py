"""Globs over paths relative to the workspace, and the names that are never looked at."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable


def compile_globs(globs: Iterable[str]) -> re.Pattern[str]:
    """One expression that matches a path when any of the globs does (no glob: nothing)."""
    return re.compile("|".join(f"(?:{_translate(glob)})" for glob in globs) or r"(?!)", re.DOTALL)


def _translate(glob: str) -> str:
    """`*` and `?` stay inside a folder, `**` crosses folders, a glob without `/` matches a name at any depth."""
    if "/" not in glob and glob != "**":
        glob = f"**/{glob}"
    parts = glob.strip("/").split("/")
    expression = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            expression += ".*" if last else "(?:.*/)?"
        else:
            expression += _translate_name(part) + ("" if last else "/")
    return expression + r"\Z"


def _translate_name(name: str) -> str:
    expression, rest = "", name
    while rest:
        char, rest = rest[0], rest[1:]
        closing = rest.find("]", 2 if rest.startswith("!") else 1) if char == "[" else -1
        if char == "*":
            expression += "[^/]*"
        elif char == "?":
            expression += "[^/]"
        elif closing > 0:
            members = rest[:closing].replace("\\", "\\\\").replace("[", "\\[")
            expression += f"[^/{members[1:]}]" if members.startswith("!") else f"[{members}]"
            rest = rest[closing + 1 :]
        else:
            expression += re.escape(char)
    return expression


class Ignore:
    """Names (globs) of folders and files that don't exist for this service, wherever they stand in a path."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(sorted({name.strip() for name in names if name.strip()}))
        self._expression = re.compile("|".join(fnmatch.translate(name) for name in self.names) or r"(?!)")

    def name(self, name: str) -> bool:
        """Whether one file or folder name is ignored."""
        return self._expression.match(name) is not None

    def path(self, path: str) -> bool:
        """Whether any part of the path is ignored."""
        return any(self._expression.match(part) for part in path.split("/"))
