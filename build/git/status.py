"""The state of the work tree: changed and untracked files, and which untracked ones enter a build context."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from build.config.manifest import Manifest
from build.dockerignore import ignored, parse_ignore
from build.git.client import git
from build.git.versions import inputs_of
from build.parallel import together

STATUS = ("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal")


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """HEAD's commit and branch (None: detached), changed and untracked paths; `strays` are untracked and built in."""

    commit: str
    branch: str | None
    changed: tuple[str, ...]
    untracked: tuple[str, ...]
    strays: tuple[str, ...]

    @property
    def dirty(self) -> bool:
        """Whether an image built now would differ from the commit."""
        return bool(self.changed or self.strays)


def read(manifest: Manifest) -> Status:
    """Return HEAD and the work tree as they are now, by two git processes. Raises ToolFailed."""
    root = manifest.root
    prefix, text = together([lambda: git(root, "rev-parse", "--show-prefix"), lambda: git(root, *STATUS)])
    return parse(text, prefix, root, inputs_of(manifest))


def parse(text: str, prefix: str, root: Path, inputs: Sequence[str]) -> Status:
    """Parse the output of `git status` (STATUS).

    `prefix` is the path from the repository's top to `root`, with a slash at its end; `inputs` are the folders that
    images are built from, relative to `root`.
    """
    commit, branch = "", None
    changed, untracked = [], []
    entries = iter(text.split("\0"))
    for entry in entries:
        if entry.startswith("# branch.oid "):
            commit = entry.removeprefix("# branch.oid ")
        elif entry.startswith("# branch.head "):
            name = entry.removeprefix("# branch.head ")
            branch = None if name == "(detached)" else name
        elif entry.startswith("? "):
            untracked.append(_relative(entry[2:], prefix))
        elif entry[:2] in {"1 ", "2 ", "u "}:
            fields = {"1": 8, "2": 9, "u": 10}[entry[0]]
            changed.append(_relative(entry.split(" ", fields)[fields], prefix))
            if entry[0] == "2":
                next(entries, "")  # the path before the rename
    strays = tuple(_strays(root, untracked, inputs)) if untracked else ()
    return Status(commit=commit, branch=branch, changed=tuple(changed), untracked=tuple(untracked), strays=strays)


def _relative(path: str, prefix: str) -> str:
    """Make a path that is relative to the repository's top relative to the manifest's folder."""
    if not prefix:
        return path
    return Path(os.path.relpath(path, prefix)).as_posix() + ("/" if path.endswith("/") else "")


def _strays(root: Path, untracked: Sequence[str], inputs: Sequence[str]) -> Iterator[str]:
    """Yield the untracked paths that are in a build context and not excluded by its .dockerignore."""
    for path in untracked:
        for folder in inputs:
            if path.endswith("/") and f"{folder}/".startswith(path):
                yield path
                break
            if folder == "." or path.startswith(f"{folder}/") or path == folder:
                inner = path if folder == "." else path.removeprefix(f"{folder}/")
                ignore = root / folder / ".dockerignore"
                rules = parse_ignore(ignore.read_text(encoding="utf-8")) if ignore.is_file() else []
                files = _files(root / path, inner) if path.endswith("/") and rules else [inner.rstrip("/")]
                if any(not ignored(file, rules) for file in files):
                    yield path
                    break


def _files(folder: Path, name: str) -> Iterator[str]:
    for top, _, files in os.walk(folder):
        yield from (name + (Path(top) / file).relative_to(folder).as_posix() for file in files)
