"""The differences between a commit and what is sent of one repository, each with its reason and the way out."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from build.git import user_view
from build.git.blobs import may_be_pointer, odd_mode, pointer_in
from build.git.contexts import Area
from build.git.memory import recalled, remember
from build.git.tracked import Tracked, Why, first, name_of

_OUT = ".dockerignore"
_EMPTY = Why(reason="an empty folder, which no commit can have", fix=f"rmdir it, or exclude it in {_OUT}")
_GIT = Why(reason="git's own files", fix="remove it from [filter] allow in versions.toml")
_SPECIAL = Why(reason="neither a file nor a link, which no commit can have", fix=f"remove it, or exclude it in {_OUT}")
_POINTER = Why(reason="a Git LFS pointer instead of the file", fix="git lfs pull")


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One path that a build sends and the commit does not have so, or the other way round."""

    path: str
    reason: str
    fix: str

    def __str__(self) -> str:
        return f"{self.path} ({self.reason})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """A context as it was compared; `key` is its tree and its rules in one hash, "" if it differs from the commit.

    `blobs` maps each path (relative to `folder`) that is as the commit has it to mode and blob.
    """

    folder: Path
    dockerfile: str
    key: str = ""
    records: Callable[[], Sequence[bytes]] = tuple
    prefix: str = ""
    differing: frozenset[str] = frozenset()

    def blobs(self) -> dict[str, tuple[str, str]]:
        """Mode and blob of each path, relative to the folder, that the work tree has as the commit has it."""
        found = {}
        for record in self.records():
            head, _, name = record.partition(b"\t")
            path = name.decode("utf-8", "surrogateescape").removeprefix(self.prefix)
            if path not in self.differing:
                mode, blob, _ = head.decode().split(" ")
                found[path] = (mode, blob)
        return found


class Comparison:
    """The areas of one repository, compared with its entries."""

    def __init__(self, tracked: Tracked, areas: Sequence[Area], home: Path, root: Path) -> None:
        self.tracked, self.areas, self.home, self.root = tracked, areas, home, root
        self.sent: dict[tuple[str, str], Sent] = {}
        self._view: user_view.View | None = None

    @property
    def view(self) -> user_view.View:
        """What git itself says of the differing paths, by the settings and flags of whoever made the checkout."""
        if self._view is None:
            self._view = user_view.read(self.tracked.repository.top, list(self.tracked.changes))
        return self._view

    def uncommitted(self) -> list[str]:
        """The changed files that no area sends, by git's own view."""
        unsent = [path for path in self.tracked.changes if not any(self._sends(area, path) for area in self.areas)]
        return [shown(self.tracked.repository.top / path, self.root) for path in unsent if path in self.view.changed]

    def differences(self) -> list[Difference]:
        """Every difference of what the areas send; also fills `sent`."""
        found: dict[str, Why] = {}
        for area in self.areas:
            own = {
                path: self._explained(path, why)
                for path, why in self.tracked.changes.items()
                if self._sends(area, path) and area.sends_content(path.removeprefix(area.prefix))
            }
            found |= own | self._of_names(area, own)
        top = self.tracked.repository.top
        return [
            Difference(path=shown(top / path, self.root) + "/" * path.endswith("/"), reason=why.reason, fix=why.fix)
            for path, why in sorted(found.items())
        ]

    def _of_names(self, area: Area, known: Mapping[str, Why]) -> dict[str, Why]:
        """What is sent and not in the commit, or reversed, modes that no commit can have, and pointers.

        Where no name is new and no file was touched since nothing was found, it is not sought again.
        """
        memory, state = self.home / "clean.json", "" if known else self._state(area)
        clean = recalled(memory).get(state) if state else None
        own: dict[str, Why] = {}
        if clean is None:
            names = self._entries(area)[1]
            own |= self._extra(area, names, known)
            own |= self._absent(area, names, known)
            own |= {} if area.single else self._modes(area, known)
            pointers = [] if area.single else self._pointers(area, known)
            if state and not own:
                remember(memory, state, pointers)
        else:
            pointers = clean
        own |= {f"{area.prefix}{leaf}": _POINTER for leaf in pointers if area.sends(leaf)}
        if not area.single:
            self.sent[str(area.context.folder), area.context.dockerfile] = Sent(
                folder=area.root,
                dockerfile=area.context.dockerfile,
                key="" if known or own else state,
                prefix=area.prefix,
                records=(lambda: self._entries(area)[0]) if self.tracked.repository.hashes == "sha1" else tuple,
                differing=frozenset(path.removeprefix(area.prefix) for path in (*known, *own)),
            )
        return own

    def _state(self, area: Area) -> str:
        """One hash of all names of the area, here and in the commit, of when they were touched, and of the rules."""
        settings = [area.prefix, area.single, area.context.dockerfile, area.rules.text, sorted(area.kept)]
        settings += [area.filter.identity, area.virtualenvs]
        digest = hashlib.sha256(json.dumps([*settings, self.tracked.digest, self.tracked.stamp]).encode())
        for folder in area.folders:
            mode = odd_mode(area.root / folder.path)
            names = [folder.path, mode, *folder.leaves, "", *folder.folders, "", *folder.others]
            digest.update("\0".join(names).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def _sends(self, area: Area, path: str) -> bool:
        if area.single:
            return path == area.path or path.startswith(f"{area.path}/")
        return path.startswith(area.prefix) and area.sends(path.removeprefix(area.prefix))

    def _explained(self, path: str, why: Why) -> Why:
        """The reason, and that git's own status is silent about it."""
        if "submodule" in why.reason or path in self.view.changed:
            return why
        if why.reason == "deleted":
            return Why(
                reason="not checked out",
                fix="git sparse-checkout disable, or git update-index --no-skip-worktree and git restore",
            )
        flags = "git update-index --no-assume-unchanged --no-skip-worktree, and git config --list --show-origin"
        return Why(
            reason=f"{why.reason}; git status does not show it: a flag of the index, or a setting",
            fix=f"{why.fix}; {flags}",
        )

    def _entries(self, area: Area) -> tuple[list[bytes], set[str]]:
        """The records of an area, and their paths relative to it."""
        records, prefix = self.tracked.records, area.prefix
        if area.single:
            start = first(records, prefix)
            records = [record for record in records[start : start + 1] if name_of(record) == prefix]
        elif prefix:
            records = records[first(records, prefix) : first(records, f"{area.path}0")]  # "0" comes after "/"
        text = b"\0".join((*records, b"")).decode("utf-8", "surrogateescape")
        return records, set(re.findall(rf"\t{re.escape(prefix)}([^\0]*)\0", text))

    def _absent(self, area: Area, names: set[str], known: Mapping[str, Why]) -> dict[str, Why]:
        """Entries that git finds, and a walk does not: names that only a file system takes for the same."""
        if area.single:
            return {}
        absent = names.difference(*(folder.leaves for folder in area.folders))
        walked = {""} | {name for folder in area.folders for name in folder.folders}
        missing = (f"{area.prefix}{name}" for name in absent if posixpath.dirname(name) in walked and area.sends(name))
        return {
            path: Why(reason="not here under this name", fix="git restore") for path in missing if path not in known
        }

    def _extra(self, area: Area, names: set[str], known: Mapping[str, Why]) -> dict[str, Why]:
        """What is sent and not in the commit; a folder that has nothing of the commit stands for all that is in it."""
        if area.single:
            return {} if names else {area.path: Why(reason="not in the commit", fix="commit it")}
        leaves = set().union(*(folder.leaves for folder in area.folders)) - names
        sent = {leaf for leaf in leaves if area.sends(leaf) and area.sends_content(leaf)}
        filled: set[str] = {""}  # the folders of the commit, also where it is all excluded
        for place in {posixpath.dirname(name) for name in names}:
            if place not in filled:
                filled.update(_and_above(place))
        hollow = (folder.path for folder in area.folders if area.only_left_out(folder))
        settled = filled.union(*map(_and_above, hollow))
        empty = {f"{folder.path}/" for folder in area.folders if not folder.excluded and folder.path not in settled}
        groups: dict[str, list[str]] = {}
        for leaf in (*sorted(sent), *sorted(empty)):
            groups.setdefault(_outermost(leaf, filled), []).append(leaf)
        others = {leaf for folder in area.folders for leaf in folder.others}
        ignored = user_view.ignored(
            self.tracked.repository.top, [f"{area.prefix}{group[0]}" for group in groups.values()]
        )
        below = tuple(f"{path}/" for path, why in known.items() if "submodule" in why.reason)
        found = {}
        for path, group in groups.items():
            full = f"{area.prefix}{path}"
            if not full.startswith(below) and full.rstrip("/") not in known:
                found[full] = _extra_why(path, group, others, is_ignored=f"{area.prefix}{group[0]}" in ignored)
        return found

    def _modes(self, area: Area, known: Mapping[str, Why]) -> dict[str, Why]:
        """Files and folders with a mode that no checkout gives: unreadable for others, or with a special bit."""
        found = {}
        fix = f"chmod -R u=rwX,go=rX,a-st '{shown(area.root, self.root)}', and umask 022 before the next git clone"
        for folder in area.folders:
            sent = [leaf for leaf in folder.leaves if leaf not in folder.others and area.sends(leaf)]
            for path in (*([folder.path] if sent and folder.path else []), *sent):
                mode = odd_mode(area.root / path)
                if mode and f"{area.prefix}{path}" not in known:
                    found[f"{area.prefix}{path}"] = Why(reason=f"mode {mode}, which no checkout has", fix=fix)
        return found

    def _pointers(self, area: Area, known: Mapping[str, Why]) -> list[str]:
        """The files of an area that are Git LFS pointers; what differs from the commit is looked at by itself."""
        return [
            leaf
            for folder in area.folders
            for leaf in folder.leaves
            if leaf not in folder.others and f"{area.prefix}{leaf}" not in known and _is_pointer(area.root / leaf)
        ]


def _is_pointer(path: Path) -> bool:
    try:
        return not path.is_symlink() and may_be_pointer(path.stat().st_size) and pointer_in(path) is not None
    except OSError:
        return False


def _and_above(path: str) -> Iterator[str]:
    while path:
        yield path
        path = posixpath.dirname(path)


def _outermost(path: str, filled: set[str]) -> str:
    """The outermost folder of a path that is not one of `filled`, with a slash; the path itself if there is none."""
    found = path
    folder = posixpath.dirname(path)
    while folder and folder not in filled:
        found, folder = f"{folder}/", posixpath.dirname(folder)
    return found


def _extra_why(path: str, group: Sequence[str], others: set[str], *, is_ignored: bool) -> Why:
    if ".git" in path.rstrip("/").split("/"):
        return _GIT
    if all(leaf.endswith("/") for leaf in group):
        return _EMPTY
    if group[0] in others:
        return _SPECIAL
    files = sum(not leaf.endswith("/") for leaf in group)
    count = f", {files} files" if files > 1 else ""
    if is_ignored:
        return Why(
            reason=f"ignored by git and still sent{count}", fix=f"exclude it in {_OUT}, or commit it: git add --force"
        )
    return Why(reason=f"not in the commit{count}", fix=f"commit it, or exclude it in {_OUT}")


def shown(path: Path, root: Path) -> str:
    """A path as people read it: relative to the manifest's folder below it, and what can't be printed is escaped."""
    base = next((base for base in (root, root.resolve()) if path.is_relative_to(base)), None)
    place = os.path.relpath(path, base) if base else str(path)
    text = place.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
