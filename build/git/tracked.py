"""What a commit has below some paths, submodules included, and how the work tree differs from it."""

from __future__ import annotations

import bisect
import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from build.errors import ToolFailed
from build.git.blobs import FILE, LINK, PROGRAM, SUBMODULE, blob_id, bytes_of, pointer_in, text_of
from build.git.own_index import Change, OwnIndex, Repository, repository

_FILES = {FILE, PROGRAM}
_HERE = {"100644": "a file", "100755": "a program", "120000": "a link", "160000": "a submodule"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Why:
    """Why a build would not send what the commit has: the reason, and the way out of it."""

    reason: str
    fix: str


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """The entries of a commit, and those that the work tree does not have as they are (path → why).

    `digest` is a hash of all entries, and `stamp` another one after any of their files was touched. Paths are relative
    to the top of the repository, those in submodules too.
    """

    repository: Repository
    digest: str
    stamp: tuple[int, ...]
    changes: Mapping[str, Why]
    read: Callable[[], list[bytes]]

    @functools.cached_property
    def records(self) -> list[bytes]:
        """The entries as `git ls-files --stage -z` prints and sorts them: MODE BLOB 0, a tab, the path."""
        return self.read()


def read_tracked(home: Path, of: Repository, paths: Iterable[str]) -> Tracked:
    """Compare the work tree with the commit below `paths`, relative to its top. Raises ToolFailed.

    `home` is the folder of our own git directories.
    """
    index, paths = OwnIndex(home, of), tuple(paths)
    changes = index.changes(paths)
    differs = _other_content(index, of, changes)
    found = {path: _why(of.top / path, change, differs=path in differs) for path, change in changes.items()}
    summary = index.summary(paths)
    result = Tracked(
        repository=of,
        digest=summary.digest,
        stamp=summary.stamp,
        changes={path: why for path, why in found.items() if why},
        read=lambda: index.listing(paths),
    )
    return _with_submodules(home, result, summary.links) if summary.links else result


def _other_content(index: OwnIndex, of: Repository, changes: Mapping[str, Change]) -> set[str]:
    """The files that are other bytes than the commit has.

    What a checkout of the commit writes without any settings is accepted, and the file that a Git LFS pointer names.
    """
    files = {path: change for path, change in changes.items() if {change.mode, change.found} <= _FILES}
    blobs = {}
    for path in files:
        try:
            blobs[path] = blob_id(of.top / path, of.hashes)
        except OSError:
            blobs[path] = ""
    other = [path for path, blob in blobs.items() if blob != files[path].blob]
    accepted = {}
    if other:
        with index.checked_out(other) as made:
            for path in other:
                if blobs[path] and _is_as_good(of.top / path, blobs[path], made / path, of.hashes):
                    accepted[path] = (files[path].mode, blobs[path])
    if accepted:
        index.accept(accepted)
    return set(other) - accepted.keys()


def _is_as_good(path: Path, blob: str, made: Path, hashes: str) -> bool:
    try:
        if blob_id(made, hashes) == blob:
            return True
        pointer = pointer_in(made)
        if not pointer or path.stat().st_size != pointer[1]:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == pointer[0]
    except OSError:
        return False


def _why(path: Path, change: Change, *, differs: bool) -> Why | None:
    if change.mode == SUBMODULE:
        return None  # compared by itself
    if change.kind == "D" and not os.path.lexists(path):
        return Why(reason="deleted", fix="git restore, or commit it")
    if change.kind in {"D", "T"} or not (path.is_file() or path.is_symlink()):
        here = _HERE[LINK] if path.is_symlink() else "a file" if path.is_file() else "something else"
        here = "a folder" if path.is_dir() and not path.is_symlink() else here
        return Why(reason=f"{here} here, {_HERE[change.mode]} in the commit", fix="git restore, or commit it")
    if differs or change.mode == LINK:
        return Why(reason="changed", fix="git commit, or git restore")
    if change.mode != change.found:
        state = (
            "executable here, not in the commit" if change.found == PROGRAM else "executable in the commit, not here"
        )
        return Why(reason=state, fix="chmod, or git update-index --chmod and commit")
    return None


# Submodules ---------------------------------------------------------------------------------------------------------


def _with_submodules(home: Path, outer: Tracked, links: Iterable[str]) -> Tracked:
    """The same with the entries of every submodule instead of the submodule."""
    changes, digest, stamp = dict(outer.changes), outer.digest, outer.stamp
    inner: dict[bytes, Tracked] = {}
    for link in links:
        head, _, path = link.partition("\t")
        try:
            found = _submodule(home, outer.repository.top / path, head.split()[1])
        except _Unusable as error:
            changes[path] = error.why
            continue
        inner[bytes_of(path)] = found
        digest += found.digest
        stamp += found.stamp
        changes |= {f"{path}/{changed}": _inside(why) for changed, why in found.changes.items()}

    def read() -> list[bytes]:
        records = []
        for record in outer.records:
            name = record.partition(b"\t")[2]
            records += [_below(each, name) for each in inner[name].records] if name in inner else [record]
        return sorted(records, key=lambda record: record.partition(b"\t")[2])

    return Tracked(repository=outer.repository, digest=digest, stamp=stamp, changes=changes, read=read)


class _Unusable(Exception):
    """A submodule whose files can't be compared."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.why = Why(reason=reason, fix=fix)


def _submodule(home: Path, top: Path, commit: str) -> Tracked:
    update = "git submodule update --init --recursive"
    if not os.path.lexists(top / ".git"):
        raise _Unusable("a submodule that is not checked out", update)
    try:
        found = repository(top)
        if found.top.resolve() != top.resolve():
            raise _Unusable("a submodule that is not checked out", update)
        if found.commit != commit:
            moved = f"a submodule at {found.commit[:7]}, and the commit has it at {commit[:7]}"
            raise _Unusable(moved, f"{update}, or commit it")
        return read_tracked(home, found, ())
    except ToolFailed as error:
        said = error.output.strip().splitlines()[-1:] or [str(error)]
        raise _Unusable(f"a submodule that git can't read: {said[0]}", update) from None


def _below(record: bytes, name: bytes) -> bytes:
    head, _, inner = record.partition(b"\t")
    return head + b"\t" + name + b"/" + inner


def _inside(why: Why) -> Why:
    return why if "submodule" in why.reason else replace(why, reason=f"{why.reason} (in a submodule)")


def name_of(record: bytes) -> str:
    """The path of a record."""
    return text_of(record.partition(b"\t")[2])


def first(records: list[bytes], prefix: str) -> int:
    """The position of the first record whose path is not before `prefix`."""
    return bisect.bisect_left(records, bytes_of(prefix), key=lambda record: record.partition(b"\t")[2])
