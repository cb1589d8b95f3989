"""What a work tree holds, compared with a commit byte by byte, in a git directory of our own.

Git's own comparison is the fast one: it has a stat cache, threads, and knows when a time stamp proves nothing. But it
believes the index's flags and the settings of whoever made the checkout. So it is asked with an index that has no
flags, in a git directory whose settings no user's file, variable or attribute reaches, over the repository's objects.
An entry of that index is the blob that the work tree has to hold: the commit's, or what `accept` has proven as good.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from build import json_file
from build.errors import ToolFailed
from build.git import own_directory
from build.git.blobs import bytes_of, text_of
from build.git.client import git_bytes
from build.git.memory import recalled
from build.parallel import alive

Result = TypeVar("Result")
_HASH_BYTES = {"sha1": 20, "sha256": 32}
_KEPT = 2  # indexes of other commits, to go back to
_STATUS = (
    "status", "--porcelain=v2", "-z", "--untracked-files=no", "--ignore-submodules=all", "--no-renames",
    "--no-ahead-behind",
)  # fmt: skip
_ENTRY = re.compile(rb"1 .([MTD]) \S+ \S+ (\S+) (\S+) \S+ (\S+) ", re.DOTALL)
_numbers = itertools.count()


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """A work tree: its top folder, the commit to compare it with, its store of objects and their hash function."""

    top: Path
    commit: str
    objects: Path
    hashes: str = "sha1"


def repository(folder: Path) -> Repository:
    """The repository of a folder, at its HEAD. Raises ToolFailed for a folder in none, or without a commit."""
    said = text_of(
        git_bytes(folder, "rev-parse", "--show-object-format", "HEAD", "--git-path", "objects", "--show-toplevel")
    )
    hashes, commit, objects, top = said.rstrip("\n").split("\n", 3)
    return Repository(top=Path(top), commit=commit, objects=(folder / objects).resolve(), hashes=hashes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """How an entry of the commit differs: M (content or mode), T (kind) or D (not there).

    `mode` is the commit's, `found` that of the work tree, `blob` the commit's.
    """

    kind: str
    mode: str
    found: str
    blob: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """A hash of a listing, the records of its submodules, and a stamp that is new whenever any file was touched."""

    digest: str
    links: tuple[str, ...]
    stamp: tuple[int, ...]


class OwnIndex:
    """The comparison of one repository's work tree with one commit; its files are in a folder of `home`."""

    def __init__(self, home: Path, repository: Repository) -> None:
        self.repository = repository
        key = hashlib.sha256(os.fsencode(repository.top)).hexdigest()[:16]
        self.folder = own_directory.writable(home / key)
        self._repair = threading.Lock()

    def listing(self, paths: Iterable[str]) -> list[bytes]:
        """The entries of the commit below `paths` (relative to the top), as `git ls-files --stage -z` has them.

        What `accept` has taken has the blob that is accepted. Raises ToolFailed.
        """
        found = self._with_index(lambda index: self._git(index, "ls-files", "--stage", "-z", "--", *paths))
        return found.split(b"\0")[:-1]

    def summary(self, paths: Sequence[str]) -> Summary:
        """The hash of the listing and the submodules in it; both are kept as long as the index stays what it is.

        Raises ToolFailed.
        """
        memory = self.folder / "listing.json"
        stamp, stored = self._with_index(_state), recalled(memory)
        if stored.get("state") != [*stamp, *paths]:
            records = self.listing(paths)
            links = [text_of(record) for record in records if record.startswith(b"160000 ")]
            digest = hashlib.sha256(b"\0".join(records)).hexdigest()
            stamp = self._with_index(_state)
            stored = {"state": [*stamp, *paths], "digest": digest, "links": links}
            with contextlib.suppress(OSError):
                json_file.write(memory, stored)
        return Summary(digest=stored["digest"], links=tuple(stored["links"]), stamp=tuple(stamp))

    def changes(self, paths: Iterable[str]) -> dict[str, Change]:
        """The entries of the commit below `paths` that the work tree does not have as they are. Raises ToolFailed."""
        started, paths = int(time.time()), tuple(paths)

        def compare(index: Path) -> dict[str, Change]:
            before = index.stat().st_ino
            found = self._git(index, *_STATUS, "--", *paths, locks=True)
            changes = dict(map(_change, found.split(b"\0")[:-1])) if found else {}
            if index.stat().st_ino != before:
                self._forget_recent(index, started, paths)
            return {path: change for path, change in changes.items() if change is not None}

        return self._with_index(compare)

    def accept(self, blobs: Mapping[str, tuple[str, str]]) -> None:
        """From now on, let these paths hold these blobs: path → (mode of the commit, blob). Raises ToolFailed."""
        lines = b"".join(
            b"%s %s\t%s\0" % (mode.encode(), blob.encode(), bytes_of(path)) for path, (mode, blob) in blobs.items()
        )
        self._with_index(lambda index: self._git(index, "update-index", "-z", "--index-info", stdin=lines, locks=True))

    @contextlib.contextmanager
    def checked_out(self, paths: Sequence[str]) -> Iterator[Path]:
        """A temporary folder with `paths` as a checkout of the commit writes them where nobody has any settings.

        Line endings, keywords and encodings are those of the commit's own .gitattributes; filters are not run. A path
        whose blob is not in this clone is missing. Raises ToolFailed.
        """
        with tempfile.TemporaryDirectory(prefix="uc-checkout-") as name:
            made, index, plain = Path(name) / "files", Path(name) / "index", Path(name) / "git"
            made.mkdir()
            own_directory.make(plain, self.repository.commit, self.repository.hashes, conversions=True)
            environment = own_directory.environment(plain, made, self.repository.objects, index, locks=True)
            git_bytes(made, "read-tree", self.repository.commit, env=environment)
            git_bytes(
                made, "checkout-index", "--quiet", "--force", "-z", "--stdin", env=environment, ok_codes=(0, 1, 128),
                stdin=b"".join(bytes_of(path) + b"\0" for path in paths),
            )  # fmt: skip
            yield made

    # The git directory ----------------------------------------------------------------------------------------------

    def _with_index(self, use: Callable[[Path], Result]) -> Result:
        """Let `use` work on a link to the index of the commit, and keep what it made of it.

        No run waits for another, and none sees what another has half written: git replaces the link, and then the link
        replaces the index. A git directory that git can't read is made again, once.
        """
        try:
            return self._on_link(use)
        except (ToolFailed, OSError):
            with self._repair:
                shutil.rmtree(self.folder, ignore_errors=True)
                return self._on_link(use)

    def _on_link(self, use: Callable[[Path], Result]) -> Result:
        own_directory.make(self.folder, self.repository.commit, self.repository.hashes)
        shared = self.folder / f"index-{self.repository.commit}"
        own = shared.with_name(f"{shared.name}.{os.getpid()}.{next(_numbers)}")
        try:
            if not _linked(shared, own) or not self._is_intact(own):
                own.unlink(missing_ok=True)
                self._read_commit(own)
                own.replace(shared)
                _linked(shared, own)
            before = own.stat().st_ino
            result = use(own)
            if own.stat().st_ino != before:
                own.replace(shared)
            return result
        finally:
            own.unlink(missing_ok=True)
            own.with_name(f"{own.name}.lock").unlink(missing_ok=True)

    def _is_intact(self, index: Path) -> bool:
        """Whether an index ends in the hash of what is before it (git's gitformat-index); git itself does not look.

        One that was looked at is not read again until it is written again.
        """
        memory, state = self.folder / "intact.json", _state(index)
        if recalled(memory).get("state") != state:
            content, size = index.read_bytes(), _HASH_BYTES[self.repository.hashes]
            digest = hashlib.new(self.repository.hashes, content[:-size], usedforsecurity=False).digest()
            if len(content) <= size or digest != content[-size:]:
                return False
            json_file.write(memory, {"state": state})
        return True

    def _read_commit(self, own: Path) -> None:
        """Make the index of the commit, from the latest of another one, whose stat cache it takes over."""
        others = [path for path in self.folder.glob("index-*") if "." not in path.name]
        others = sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)
        if others and _linked(others[0], own) and self._is_intact(own):
            self._git(own, "read-tree", "-i", "-m", self.repository.commit, locks=True)
        else:
            own.unlink(missing_ok=True)
            self._git(own, "read-tree", self.repository.commit, locks=True)
        for stale in (*others[_KEPT:], *self._left()):
            stale.unlink(missing_ok=True)

    def _left(self) -> Iterator[Path]:
        """Yield the links of runs that were killed."""
        for path in self.folder.glob("index-*.*"):
            owner = path.name.split(".")[1]
            if not (owner.isdigit() and alive(int(owner))):
                yield path

    def _git(
        self, index: Path, *arguments: str, stdin: bytes = b"", locks: bool = False, ok_codes: Sequence[int] = (0,)
    ) -> bytes:
        environment = own_directory.environment(
            self.folder, self.repository.top, self.repository.objects, index, locks=locks
        )
        return git_bytes(self.repository.top, *arguments, env=environment, stdin=stdin, ok_codes=ok_codes)

    def _forget_recent(self, index: Path, since: int, paths: Iterable[str]) -> None:
        """Drop what the index says of files that changed in the second it was written in, or later.

        Git compares whole seconds: a file could change again in that second, keep its size and get its old time of
        modification back, and still look the same.
        """
        recent = []
        for record in self._git(index, "ls-files", "--stage", "-z", "--", *paths).split(b"\0")[:-1]:
            head, _, name = record.partition(b"\t")
            with contextlib.suppress(OSError):
                if int(os.lstat(b"%s/%s" % (os.fsencode(self.repository.top), name)).st_ctime) >= since:
                    recent.append(b"%s\t%s\0" % (head.rpartition(b" ")[0], name))
        if recent:
            self._git(index, "update-index", "-z", "--index-info", stdin=b"".join(recent), locks=True)


def _change(record: bytes) -> tuple[str, Change | None]:
    """One record of `git status` (porcelain v2); None when only the index differs from the commit."""
    match = _ENTRY.match(record)
    if not match:
        return "", None
    kind, mode, found, blob = (group.decode() for group in match.groups())
    return text_of(record[match.end() :]), Change(kind=kind, mode=mode, found=found, blob=blob)


def _state(index: Path) -> list[int]:
    """What tells one index from another without reading it."""
    stat = index.stat()
    return [stat.st_ino, stat.st_size, stat.st_mtime_ns]


def _linked(shared: Path, own: Path) -> bool:
    """Make `own` another name of `shared`, or a copy with its time, which git needs; False if `shared` is missing."""
    own.unlink(missing_ok=True)
    try:
        os.link(shared, own)
    except FileNotFoundError:
        return False
    except OSError:  # a file system without links
        shutil.copy2(shared, own)
    return True
