"""Locks on files: one process holds one at a time, and the system frees it when that process ends, however it ends.

Who holds a lock is written into its file, for those who wait.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_POLL_SECONDS = 0.2
# Windows locks bytes, and nobody else may read them: this one is behind every holder's note.
_LOCKED_BYTE = 1 << 20
_HELD: dict[Path, tuple[int, threading.RLock]] = {}
_GUARD = threading.Lock()


@dataclass(frozen=True, slots=True)
class Holder:
    """What a process holds a lock for, such as "the build of /srv/shop", its pid, and since when."""

    work: str
    pid: int
    since: str

    def __str__(self) -> str:
        """The holder in one phrase."""
        return f"{self.work} (pid {self.pid}, since {self.since})" if self.work else "another process"


def shared_folder() -> Path:
    """The folder for locks that all users of this machine share; on Windows, where there is none, the user's own."""
    return Path(tempfile.gettempdir()) if sys.platform == "win32" else Path("/tmp")


@contextlib.contextmanager
def exclusive(
    path: Path, work: str, waiting: Callable[[Holder, float], None], *, shared: bool = False
) -> Iterator[IO[bytes]]:
    """Hold the lock `path` for `work`; a thread of this process that has it may take it again.

    While another holds it, `waiting` is called several times a second with the holder and the seconds waited so far;
    what it raises ends the wait. `shared`: other users take the lock, too, and its file is removed at the end.
    Raises OSError when the file can't be opened. A disk that has no locks gives the lock to everyone.
    """
    with _in_process(path, waiting) as first:
        if not first:
            with path.open("rb") as file:
                yield file
            return
        with _locked(path, work, waiting, shared=shared) as file:
            yield file


@contextlib.contextmanager
def _in_process(path: Path, waiting: Callable[[Holder, float], None]) -> Iterator[bool]:
    """Whether this process has the lock for the first time; other threads of it wait here."""
    with _GUARD:
        depth, mutex = _HELD.get(path, (0, threading.RLock()))
        _HELD[path] = (depth, mutex)
    begin = time.monotonic()
    while not mutex.acquire(timeout=_POLL_SECONDS):
        waiting(_holder(path), time.monotonic() - begin)
    try:
        depth = _HELD[path][0]
        _HELD[path] = (depth + 1, mutex)
        yield depth == 0
    finally:
        _HELD[path] = (depth, mutex)
        mutex.release()


@contextlib.contextmanager
def _locked(path: Path, work: str, waiting: Callable[[Holder, float], None], *, shared: bool) -> Iterator[IO[bytes]]:
    begin = time.monotonic()
    while True:
        with _opened(path, shared=shared) as file:
            while not _try_lock(file):
                waiting(_holder(path), time.monotonic() - begin)
                time.sleep(_POLL_SECONDS)
            if not _is_at(path, file):  # the holder before removed it: a later one locks another file of this name
                continue
            _write(file, Holder(work, os.getpid(), time.strftime("%H:%M:%S")))
            try:
                yield file
            finally:
                _write(file, None)
                if shared:
                    with contextlib.suppress(OSError):  # another user's file, or Windows: it stays, empty
                        path.unlink()
            return


def _opened(path: Path, *, shared: bool) -> IO[bytes]:
    """The lock's file, opened for reading and writing; never through a link that another user may have put there."""
    if not shared:
        return path.open("a+b")
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    while True:
        # Linux refuses O_CREAT for another user's file in a folder like /tmp (sysctl fs.protected_regular).
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path, flags)
            break
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            if hasattr(os, "fchmod"):
                os.fchmod(descriptor, 0o666)  # whatever the umask: every user may wait for it
            break
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(descriptor, "r+b")


def _try_lock(file: IO[bytes]) -> bool:
    """Whether the lock is this process's now. A disk that has no locks gives it to everyone."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in {errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}
    return True


def _is_at(path: Path, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _write(file: IO[bytes], holder: Holder | None) -> None:
    with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
        os.ftruncate(file.fileno(), 0)
        if holder:
            file.seek(0)
            file.write(json.dumps([holder.work, holder.pid, holder.since]).encode())
            file.flush()


def _holder(path: Path) -> Holder:
    """Who wrote itself into the file; "another process" where it is not known. Control characters are left out."""
    try:
        work, pid, since = json.loads(path.read_bytes())
        printable = ["".join(filter(str.isprintable, str(text)))[:300] for text in (work, since)]
        return Holder(printable[0], int(pid), printable[1])
    except (OSError, ValueError, TypeError):
        return Holder("", 0, "")
