"""The watched tree as it is now: path -> Signature. Symbolic links are entries, never followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ucservice.secret_files import VIRTUALENV_MARK

from monitor_service.pattern import Ignore

_INODE_MASK = (1 << 63) - 1  # SQLite's integers are signed


class Signature(NamedTuple):
    """What stat says of a file. A program can set a file's mtime back, but not its ctime."""

    size: int
    mtime_ns: int
    ino: int
    ctime_ns: int

    def differs_in_ctime_alone(self, other: Signature) -> bool:
        """Whether only the change time moved: a chmod, a new hard link, or an edit whose mtime was set back."""
        return self[:3] == other[:3] and self.ctime_ns != other.ctime_ns


class Interrupted(Exception):
    """The walk was told to stop half-way; what it has seen is worth nothing."""


@dataclass(slots=True)
class Walk:
    """What one walk saw."""

    files: dict[str, Signature] = field(default_factory=dict)
    directories: int = 0
    unreadable: list[str] = field(default_factory=list)
    virtualenvs: set[str] = field(default_factory=set)

    def hides(self, path: str) -> bool:
        """Whether path may still be there, in a folder that could not be read."""
        return any(path.startswith(f"{folder}/") for folder in self.unreadable)


@dataclass(frozen=True, slots=True)
class Tree:
    """One root, seen without the ignored names and without virtual environments, whatever their names.

    `virtualenvs` are those of the last walk. One that loses its mark stays one until its folder is gone: it is being
    removed. The root itself is none.
    """

    root: Path
    ignore: Ignore
    compare_inodes: bool = True
    compare_ctimes: bool = True
    virtualenvs: set[str] = field(default_factory=set)

    def identity(self) -> tuple[int, int]:
        """Device and inode of the root: another pair means that the folder was replaced under the watch."""
        found = self.root.stat()
        return found.st_dev, found.st_ino

    def signature(self, found: os.stat_result) -> Signature | None:
        """What is compared of a file or link; None for everything else (folders, sockets, devices)."""
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)):
            return None
        return Signature(
            found.st_size,
            found.st_mtime_ns,
            found.st_ino & _INODE_MASK if self.compare_inodes else 0,
            found.st_ctime_ns if self.compare_ctimes else 0,
        )

    def walk(self, under: str = "", *, stopped: Callable[[], bool] = lambda: False) -> Walk:
        """Every file below `under` (the whole tree by default); OSError when the root itself can't be read."""
        walk = Walk()
        waiting = [(os.path.join(self.root, under) if under else str(self.root), under)]  # noqa: PTH118 - hot path
        while waiting:
            if stopped():
                raise Interrupted
            real, shown = waiting.pop()
            try:
                waiting += self._read_folder(real, shown, walk)
                walk.directories += 1
            except (FileNotFoundError, NotADirectoryError):
                if not shown:
                    raise
            except OSError:
                if not shown:
                    raise
                walk.unreadable.append(shown)
        self.virtualenvs.difference_update([old for old in self.virtualenvs if _is_under(old, under)])
        self.virtualenvs.update(walk.virtualenvs)
        return walk

    def in_virtualenv(self, path: str) -> bool:
        """Whether a path lies in a virtual environment, or is a folder that is one."""
        return any(self._is_virtualenv(folder) for folder in (path, *parents(path)))

    def _is_virtualenv(self, folder: str) -> bool:
        return folder in self.virtualenvs or os.path.isfile(f"{self.root}/{folder}/{VIRTUALENV_MARK}")  # noqa: PTH113

    def _read_folder(self, real: str, shown: str, walk: Walk) -> list[tuple[str, str]]:
        folders: list[tuple[str, str]] = []
        prefix = f"{shown}/" if shown else ""
        with os.scandir(real) as scanned:
            entries = list(scanned)
        if shown and (shown in self.virtualenvs or any(entry.name == VIRTUALENV_MARK for entry in entries)):
            walk.virtualenvs.add(shown)
            return []
        for entry in entries:
            if self.ignore.name(entry.name):
                continue
            path = prefix + printable(entry.name)
            if entry.is_dir(follow_symlinks=False):
                folders.append((entry.path, path))
                continue
            try:
                signature = self.signature(entry.stat(follow_symlinks=False))
            except FileNotFoundError:
                continue
            if signature is not None:
                walk.files[path] = signature
        return folders


def parents(path: str) -> Iterator[str]:
    """The folders that a path lies in, outermost first."""
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)


def _is_under(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(f"{folder}/")


def printable(name: str) -> str:
    """The name as valid text: bytes that are no UTF-8 are written as \\xNN."""
    if name.isascii():
        return name
    return os.fsencode(name).decode("utf-8", "backslashreplace")
