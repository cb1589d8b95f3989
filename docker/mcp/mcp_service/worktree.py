"""What differs between a checkout's last commit, its index and its files.

Own rules, because a checkout mounted from Windows or macOS would otherwise show every file as changed: line endings
and modes do not count, an LFS file is compared with the hash in its pointer. Files are hashed in pieces, so that a
large asset costs no memory, and no filter that the checkout configures is ever run.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
import time
from dataclasses import dataclass, field

from dulwich.index import ConflictedIndexEntry, Index, IndexEntry
from dulwich.objects import S_ISGITLINK, Blob
from dulwich.porcelain import get_tree_changes
from dulwich.repo import Repo

from mcp_service import ripgrep

_POINTER = re.compile(rb"\Aversion https://git-lfs[^\n]*\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\n")
_LARGEST_TEXT = 8 * 1024 * 1024
_PIECE = 1024 * 1024


@dataclass(slots=True)
class Comparison:
    """Lines of `kind path`, and whether some are missing."""

    staged: list[str] = field(default_factory=list)
    unstaged: list[str] = field(default_factory=list)
    untracked: list[str] = field(default_factory=list)
    truncated: bool = False


def compare(repo: Repo, *, seconds: float, most: int) -> Comparison:
    """Everything that differs, at most `most` of each, as far as it is found in the time."""
    deadline, found, index = time.monotonic() + seconds, Comparison(), repo.open_index()
    for kind, paths in get_tree_changes(repo, index).items():
        found.staged += [f"{kind} {os.fsdecode(path)}" for path in paths]
    for path, entry in index.iteritems():
        if time.monotonic() > deadline or len(found.unstaged) > most:
            found.truncated = True
            break
        if kind := difference(repo, path, entry):
            found.unstaged.append(f"{kind} {path.decode('utf-8', 'replace')}")
    found.untracked, whole = _untracked(repo, index, max(0.1, deadline - time.monotonic()))
    found.truncated |= not whole
    for lines in (found.staged, found.unstaged, found.untracked):
        found.truncated |= len(lines) > most
        del lines[most:]
        lines[:] = [line.encode("utf-8", "replace").decode() for line in lines]
    return found


def _untracked(repo: Repo, index: Index, seconds: float) -> tuple[list[str], bool]:
    """New files by path, or their folder where that holds nothing else; and whether the time was enough."""
    tracked = {path for path, _ in index.iteritems()}
    folders = {folder for path in tracked for folder in _parents(path)}
    # rg walks without following links and in linear time; dulwich's own walk does neither.
    command = [
        ripgrep.program(),
        "--files",
        "--null",
        *ripgrep.options(glob="", include_ignored=False),
    ]
    try:
        listed = subprocess.run(
            command, cwd=repo.path, env={}, capture_output=True, check=False, timeout=seconds
        ).stdout
    except subprocess.TimeoutExpired:
        return [], False
    new = [path for path in listed.split(b"\0") if path and path not in tracked]
    # A folder's name keeps its slash, as git shows it.
    named = {next((folder + b"/" for folder in _parents(path) if folder not in folders), path) for path in new}
    return sorted(name.decode("utf-8", "replace") for name in named), True


def _parents(path: bytes) -> list[bytes]:
    parts = path.split(b"/")[:-1]
    return [b"/".join(parts[:end]) for end in range(1, len(parts) + 1)]


def difference(repo: Repo, path: bytes, entry: IndexEntry | ConflictedIndexEntry) -> str:
    """How a file differs from its index entry: conflict, deleted or modified; empty when it does not."""
    if isinstance(entry, ConflictedIndexEntry):
        return "conflict"
    if entry.skip_worktree or S_ISGITLINK(entry.mode):
        return ""
    full = os.path.join(os.fsencode(repo.path), path)  # noqa: PTH118 - bytes, as git has them
    try:
        found = os.lstat(full)
        if stat.S_ISLNK(found.st_mode):
            return "" if Blob.from_string(os.readlink(full)).id == entry.sha else "modified"  # noqa: PTH115
        if not stat.S_ISREG(found.st_mode):
            return "modified"
        return "" if _same_stat(found, entry) or _same_content(repo, full, found.st_size, entry) else "modified"
    except (FileNotFoundError, NotADirectoryError):
        return "deleted"


def _same_stat(found: os.stat_result, entry: IndexEntry) -> bool:
    # Only size and time: device, inode and change time are other ones on the other side of a mount.
    if found.st_size & 0xFFFFFFFF != entry.size or not isinstance(entry.mtime, tuple):
        return False
    seconds, nanoseconds = divmod(found.st_mtime_ns, 1_000_000_000)
    return entry.mtime[0] == seconds and entry.mtime[1] in {0, nanoseconds}


def _same_content(repo: Repo, full: bytes, size: int, entry: IndexEntry) -> bool:
    if _hash(full, hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)) == entry.sha.decode():
        return True
    kept = repo.object_store[entry.sha].as_raw_string() if entry.size < _LARGEST_TEXT else b""
    if pointer := _POINTER.match(kept[:1024]):
        return _hash(full, hashlib.sha256()) == pointer[1].decode()
    if size > _LARGEST_TEXT or b"\r\n" in kept:
        return False
    with open(full, "rb") as file:  # noqa: PTH123 - bytes
        return file.read().replace(b"\r\n", b"\n") == kept


def _hash(full: bytes, digest: hashlib._Hash) -> str:
    with open(full, "rb") as file:  # noqa: PTH123 - bytes
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
