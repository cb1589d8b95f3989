"""What is not handed out of the tree: secrets by name and content, folders that are not sources, what git ignores."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Sequence
from pathlib import Path

from dulwich.ignore import IgnoreFilter, IgnoreFilterManager
from ucservice.secret_files import (
    LARGEST_BYTES,
    VIRTUALENV,
    VIRTUALENV_MARK,
    content_rule,
    path_rules,
)


class Closed:
    """One request's view of the tree: what it has read of the ignore files and of the folders stays the same.

    `allow` are globs over paths relative to the root, in which `*` matches `/` too; what they match is handed out
    whatever the rules say. Paths are relative and in POSIX form; their links have been followed before.
    """

    def __init__(self, root: str, allow: Sequence[str] = ()) -> None:
        self._root, self._allow = root, tuple(allow)
        exclude: list[IgnoreFilter] = []
        path = os.path.join(root, ".git", "info", "exclude")  # noqa: PTH118 - git's own, where the root is a checkout
        if Path(path).is_file() and not Path(path).is_symlink():
            exclude.append(IgnoreFilter.from_path(path))
        self._ignored = IgnoreFilterManager(root, exclude, ignorecase=False)
        self._environments: dict[str, bool] = {}
        self._contents: dict[str, str] = {}

    def by_path(self, name: str) -> str:
        """Why a file is not handed out, from its path alone; empty when it is."""
        return self.by_place(name) or ("" if self.allowed(name) else self._by_git(name))

    def by_place(self, name: str) -> str:
        """As by_path, for a file that git knows or should: what it ignores does not count."""
        return "" if self.allowed(name) else self.by_name(name) or self._by_folder(name)

    def by_name(self, name: str) -> str:
        """Why a path of any time, such as one in git's history, is not handed out; empty when it is."""
        return "" if self.allowed(name) else next((rule for _, rule in path_rules(name)), "")

    def by_content(self, name: str) -> str:
        """Why a file that may be read by its path is not, for what it holds; empty when it is."""
        if name not in self._contents:
            self._contents[name] = "" if self.allowed(name) else self._by_beginning(name)
        return self._contents[name]

    def of_text(self, name: str, text: str) -> str:
        """Why a piece of a file's text is not handed out: of a large file only the beginning has been looked at."""
        return "" if self.allowed(name) else content_rule(text.encode("utf-8", "replace"))

    def allowed(self, name: str) -> bool:
        """Whether the operator has opened this path."""
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self._allow)

    def _by_folder(self, name: str) -> str:
        folder = self._root
        for part in name.split("/")[:-1]:
            folder = f"{folder}/{part}"
            if folder not in self._environments:
                if not os.path.isdir(folder):  # noqa: PTH112 - a path of 2,000 parts is not taken apart 2,000 times
                    return ""
                self._environments[folder] = os.path.isfile(f"{folder}/{VIRTUALENV_MARK}")  # noqa: PTH113
            if self._environments[folder]:
                return VIRTUALENV
        return ""

    def _by_git(self, name: str) -> str:
        try:
            return "git ignores it" if self._ignored.is_ignored(name) else ""
        except OSError as error:
            return f"an ignore file can't be read: {error.strerror}"

    def _by_beginning(self, name: str) -> str:
        try:
            with Path(self._root, name).open("rb") as file:
                return content_rule(file.read(LARGEST_BYTES))
        except OSError as error:
            return f"it can't be looked at: {error.strerror}"
