"""What runs beside a volume, in a container of the image that writes to it: its data goes out, aside, and in again.

Nothing of the toolkit is there, so this file needs Python's own library alone: `python3 -c SOURCE DATA KEPT VERB …`.
DATA is where the volume is mounted, KEPT is where the one is that has the archives of its target. Whatever ends this
program: an archive has its name only once it is whole and on the disk, and `load` can be done again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import sqlite3
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

_MAGIC = b"SQLite format 3\0"
_BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a database
_OWN = ".uc-"
_INCOMING, _OUTGOING = f"{_OWN}incoming", f"{_OWN}outgoing"
_WORK = ".work-"
_CHUNK = 1 << 20
_BUSY_SECONDS = 60
_BORN_SECONDS = 60  # by then a folder has its lock


def pack(data: Path, kept: Path) -> None:
    """Write an archive of the data to stdout, while its writer may go on.

    A SQLite database is copied by the online backup, as of one moment; every other file as it is. Ends the program for
    a database that is damaged.
    """
    with _work(kept) as work:
        for path in _entries(data):
            _copy(path, work / path.relative_to(data))
        with os.fdopen(os.dup(1), "wb") as stdout:
            _archive(work, stdout)


def _copy(path: Path, copy: Path) -> None:
    """Copy an entry; one that is removed meanwhile was not there."""
    try:
        if path.is_symlink():
            copy.symlink_to(path.readlink())
        elif path.is_dir():
            copy.mkdir()
            shutil.copystat(path, copy)
        elif _is_database(path):
            _copy_database(path, copy)
        elif path.is_file() and not _is_beside_database(path):
            shutil.copy2(path, copy)
    except FileNotFoundError:
        return


def _is_database(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _is_beside_database(path: Path) -> bool:
    return any(
        path.name.endswith(ending) and _is_database(path.with_name(path.name.removesuffix(ending)))
        for ending in _BESIDE
    )


def _copy_database(path: Path, copy: Path) -> None:
    try:
        with contextlib.closing(_opened(path)) as source, contextlib.closing(_opened(copy, mode="rwc")) as target:
            source.backup(target)  # at once: in parts it would begin again with each write
            (verdict,) = target.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        verdict = str(error)
    if verdict != "ok":
        raise SystemExit(f"{path.name}: SQLite says: {verdict}")
    shutil.copystat(path, copy)


def _opened(path: Path, mode: str = "rw") -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(os.fsencode(path))}?mode={mode}", uri=True, timeout=_BUSY_SECONDS)


def keep(data: Path, kept: Path, name: str) -> None:
    """Keep an archive of the data under a name, byte by byte; nobody may write meanwhile."""
    with _becoming(kept / name) as file:
        _archive(data, file)


def receive(_data: Path, kept: Path, name: str, sha256: str) -> None:
    """Keep what comes on stdin under a name. Ends the program if it is not all that was sent."""
    digest = hashlib.sha256()
    with _becoming(kept / name) as file, os.fdopen(os.dup(0), "rb") as stdin:
        while chunk := stdin.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
        if digest.hexdigest() != sha256:
            raise SystemExit(f"{name}: received {digest.hexdigest()}, expected {sha256}")


def copy_kept(_data: Path, kept: Path, name: str, of: str = "") -> None:
    """Keep an archive under another name, too; without one, an archive of nothing."""
    if of:
        forget(_data, kept, name)
        (kept / name).hardlink_to(kept / of)
        _sync(kept)
    else:
        with _becoming(kept / name) as file:
            tarfile.open(fileobj=file, mode="w").close()


def load(data: Path, kept: Path, name: str) -> None:
    """Replace the data by that of an archive, which is then removed. Nobody may use the data meanwhile."""
    incoming, outgoing = data / _INCOMING, data / _OUTGOING
    for leftover in (incoming, outgoing):
        shutil.rmtree(leftover, ignore_errors=True)
        leftover.mkdir()
    with tarfile.open(kept / name) as archive:
        archive.extractall(incoming, filter="tar")
    _sync_tree(incoming)
    for path in _top(data):
        path.rename(outgoing / path.name)
    for path in _top(incoming):
        path.rename(data / path.name)
    _sync(data)
    for leftover in (incoming, outgoing):
        shutil.rmtree(leftover)
    forget(data, kept, name)


def names(_data: Path, kept: Path) -> None:
    """Print the names of what is kept, one a line."""
    listed = sorted(path.name for path in kept.iterdir() if not path.name.startswith("."))
    os.write(1, "".join(f"{name}\n" for name in listed).encode())


def forget(_data: Path, kept: Path, *forgotten: str) -> None:
    """Remove what is kept under these names, and what was left half written."""
    for path in kept.iterdir():
        if path.name in forgotten or path.name.endswith(".part"):
            path.unlink()
    _sync(kept)


VERBS: dict[str, Callable[..., None]] = {
    "pack": pack, "keep": keep, "receive": receive, "copy": copy_kept, "load": load, "names": names, "forget": forget,
}  # fmt: skip


def _top(folder: Path) -> list[Path]:
    """What is in the root of a volume, without what is ours or the file system's."""
    return [path for path in sorted(folder.iterdir()) if not path.name.startswith(_OWN) and path.name != "lost+found"]


def _entries(folder: Path) -> Iterator[Path]:
    """Everything in a volume, each folder before what is in it."""
    pending = _top(folder)[::-1]
    while pending:
        path = pending.pop()
        yield path
        if path.is_dir() and not path.is_symlink():
            with contextlib.suppress(FileNotFoundError):
                pending += sorted(path.iterdir(), reverse=True)


def _archive(folder: Path, file: BinaryIO) -> None:
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path in _entries(folder):
            archive.add(path, str(path.relative_to(folder)), recursive=False)


@contextlib.contextmanager
def _becoming(path: Path) -> Iterator[BinaryIO]:
    """A file that has its name only once it is whole and on the disk."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    _sync(path.parent)


@contextlib.contextmanager
def _work(kept: Path) -> Iterator[Path]:
    """A folder for copies; those of programs that were killed are removed."""
    mine = kept / f"{_WORK}{socket.gethostname()}-{os.getpid()}"
    mine.mkdir()
    with _locked(mine):
        for other in kept.glob(f"{_WORK}*"):
            with contextlib.suppress(OSError):
                if time.time() - other.stat().st_mtime > _BORN_SECONDS:
                    with _locked(other):
                        shutil.rmtree(other)
        try:
            yield mine
        finally:
            shutil.rmtree(mine)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a lock that the system gives back when a program ends. Raises BlockingIOError while another one has it."""
    if sys.platform == "win32":  # it runs in Linux containers alone, and is imported elsewhere, too
        raise NotImplementedError
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _sync_tree(folder: Path) -> None:
    for path in [folder, *_entries(folder)]:
        if not path.is_symlink():
            _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    VERBS[sys.argv[3]](Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[4:])
