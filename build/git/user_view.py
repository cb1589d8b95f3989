"""What git says of paths in a checkout by the flags and settings of whoever made it: for words, never for a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from build.errors import ToolFailed
from build.git.blobs import bytes_of, text_of
from build.git.client import git_bytes

_MOST = 500  # paths on one command line


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """The tracked paths, relative to the top, that `git status` shows as changed."""

    changed: frozenset[str]


def read(top: Path, paths: Sequence[str]) -> View:
    """The view of `paths`, relative to the top of the repository. Raises ToolFailed."""
    asked = [f":(top,literal){path}" for path in paths] if len(paths) <= _MOST else []
    found = git_bytes(
        top,
        "status",
        "--porcelain=v2",
        "-z",
        "--untracked-files=no",
        "--no-renames",
        "--ignore-submodules=none",
        "--",
        *asked,
    )
    records = (record for record in found.split(b"\0") if record[:2] in {b"1 ", b"u "})
    return View(
        changed=frozenset(text_of(record.split(b" ", 8 if record[:1] == b"1" else 10)[-1]) for record in records)
    )


def ignored(top: Path, paths: Sequence[str]) -> frozenset[str]:
    """Those of the paths, relative to the top, that git ignores by any of its files and settings."""
    if not paths:
        return frozenset()
    asked = b"".join(bytes_of(path) + b"\0" for path in paths)
    found = git_bytes(top, "check-ignore", "-z", "--stdin", stdin=asked, ok_codes=(0, 1, 128))
    return frozenset(map(text_of, found.split(b"\0")))


def pinned(project: Path, top: Path) -> str:
    """The commit that HEAD of `project` names for a submodule at `top`; "" if it is none."""
    path = top.relative_to(project).as_posix()
    try:
        found = git_bytes(project, "--literal-pathspecs", "ls-tree", "-z", "--full-tree", "HEAD", "--", path)
    except ToolFailed:
        return ""
    return found.split()[2].decode() if found.startswith(b"160000 ") else ""
