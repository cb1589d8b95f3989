"""From hinted paths to changes: look at each path, walk every folder among them, compare with the snapshot."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from monitor_service.store import Change
from monitor_service.tree import Signature, Tree, parents

_MANY_FOLDERS = 64
_REVISIT_SECONDS = 0.75


def changes_between(known: Mapping[str, Signature], found: Mapping[str, Signature]) -> list[Change]:
    """What turns the snapshot `known` into `found`, in the order of the paths."""
    differing = [path for path, signature in found.items() if known.get(path) != signature]
    changes = [
        Change(path=path, kind="modified" if path in known else "added", signature=found[path]) for path in differing
    ]
    changes += [Change(path=path, kind="deleted", signature=None) for path in known.keys() - found.keys()]
    return sorted(changes, key=lambda change: change.path)


class Hints:
    """Turns hints into changes; remembers new folders to look at them a second time."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._revisit: dict[str, float] = {}

    def relative(self, hinted: Iterable[str]) -> set[str]:
        """The hints as paths relative to the root, without the root itself and what is ignored."""
        cut = len(str(self._tree.root)) + 1
        return {path for path in (full[cut:] for full in hinted) if path and not self._tree.ignore.path(path)}

    def pending(self, now: float) -> bool:
        """Whether a new folder is due for its second look."""
        return any(due <= now for due in self._revisit.values())

    def changes(self, paths: set[str], known: Mapping[str, Signature], now: float) -> list[Change]:
        """What differs from the snapshot at and below the hinted paths."""
        found: dict[str, Signature] = {}
        folders, gone = self._look(paths, found)
        # inotify watches a new folder some time after it tells of it: files made in between show only on a second look.
        again = {path for path, due in self._revisit.items() if due <= now}
        for path in again:
            del self._revisit[path]
        self._revisit |= dict.fromkeys(folders, now + _REVISIT_SECONDS)
        folders |= again
        scope = _topmost(folders | {path for path in gone if path not in known})
        hidden = self._walk(scope, found)
        below = _below(scope, known)
        compared = {path: known[path] for path in found.keys() | gone | folders | below if path in known}
        return [
            change
            for change in changes_between(compared, found)
            if change.signature is not None or not any(change.path.startswith(f"{folder}/") for folder in hidden)
        ]

    def _look(self, paths: set[str], found: dict[str, Signature]) -> tuple[set[str], set[str]]:
        """Fill in the files; return the folders and what is not there."""
        folders: set[str] = set()
        gone: set[str] = set()
        in_tree: dict[str, bool] = {}
        for path in paths:
            full = f"{self._tree.root}/{path}"
            folder = path.rpartition("/")[0]
            if folder not in in_tree:
                in_tree[folder] = self._is_in_tree(folder)
            if not in_tree[folder]:
                gone.add(path)
                continue
            try:
                status = os.lstat(full)
            except (FileNotFoundError, NotADirectoryError):
                gone.add(path)
                continue
            except OSError:
                continue
            signature = self._tree.signature(status)
            if signature is not None:
                found[path] = signature
            else:
                folders.add(path)
        return folders, gone

    def _is_in_tree(self, folder: str) -> bool:
        """Whether a folder is not reached through a symbolic link and is no part of a virtual environment."""
        full = f"{self._tree.root}/{folder}".rstrip("/")
        return os.path.realpath(full) == full and not (folder and self._tree.in_virtualenv(folder))

    def _walk(self, folders: Iterable[str], found: dict[str, Signature]) -> list[str]:
        hidden: list[str] = []
        for folder in folders:
            if not os.path.isdir(f"{self._tree.root}/{folder}"):  # noqa: PTH112 - a string all the way
                continue
            if self._tree.in_virtualenv(folder):
                continue
            walk = self._tree.walk(folder)
            found |= walk.files
            hidden += walk.unreadable
        return hidden


def _topmost(folders: set[str]) -> list[str]:
    """The folders without those that lie in another one of them."""
    kept: list[str] = []
    for folder in sorted(folders, key=lambda name: name + "/"):
        if not kept or not folder.startswith(kept[-1] + "/"):
            kept.append(folder)
    return kept


def _below(folders: list[str], known: Mapping[str, Signature]) -> set[str]:
    """The known files in these folders; one pass over the snapshot, whatever the number of folders."""
    if not folders:
        return set()
    if len(folders) <= _MANY_FOLDERS:
        prefixes = tuple(f"{folder}/" for folder in folders)
        return {path for path in known if path.startswith(prefixes)}
    wanted = set(folders)
    return {path for path in known if any(parent in wanted for parent in parents(path))}
