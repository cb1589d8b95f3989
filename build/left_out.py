"""What a build leaves out of every source and context, whatever .dockerignore says: the rules of `secret_files`.

`[filter] allow` in versions.toml has the exceptions, written as in .dockerignore and relative to the folder sent.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from build import secret_files
from build.dockerignore import Rules


@dataclass(frozen=True, order=True, slots=True)
class LeftOut:
    """A file or folder that is not sent, relative to its context, and the rule that says so."""

    path: str
    rule: str


@dataclass(frozen=True, slots=True)
class Filter:
    """The rules with their exceptions."""

    allow: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """What changes whenever the filter may judge a file in another way."""
        return json.dumps([secret_files.VERSION, self.allow])

    def allows(self, path: str) -> bool:
        """Whether an exception names a path, or a folder that it is in."""
        return bool(self.allow) and _rules("\n".join(self.allow)).ignored(path)

    def by_name(self, path: str) -> str:
        """Why the file at a path is left out for its own name; "" if it is not."""
        rule = secret_files.name_rule(path.rpartition("/")[2])
        return rule if rule and not self.allows(path) else ""

    def folder(self, root: Path | str, path: str) -> str:
        """Why a folder is left out: by its name, or as a virtual environment; "" if it is not."""
        rule = secret_files.folder_rule(path.rpartition("/")[2])
        if rule and not self.allows(path):
            return rule
        mark = os.path.lexists(f"{root}/{path}/{secret_files.VIRTUALENV_MARK}")
        return secret_files.VIRTUALENV if mark and not self.allows(path) else ""

    def by_path(self, path: str, virtualenvs: Collection[str] = ()) -> str:
        """Why a path is left out by its name or that of a folder on the way to it; "" if it is not."""
        for part, rule in secret_files.path_rules(path):
            if not self.allows(part):
                return rule
        return secret_files.VIRTUALENV if any(path.startswith(f"{place}/") for place in virtualenvs) else ""

    def by_content(self, root: Path, path: str) -> str:
        """Why a file is left out for what it contains; "" if it is not, or can't be read."""
        try:
            if (root / path).is_symlink() or not (root / path).is_file():
                return ""
            with (root / path).open("rb") as file:
                rule = secret_files.content_rule(file.read(secret_files.LARGEST_BYTES))
        except OSError:
            return ""
        return rule if rule and not self.allows(path) else ""


@functools.lru_cache(maxsize=8)
def _rules(text: str) -> Rules:
    return Rules(text, source="versions.toml: filter.allow")
