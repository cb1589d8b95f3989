"""Files as git keeps them: their modes, the ids of their bytes, their names, and what a Git LFS pointer stands for."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from pathlib import Path

FILE, PROGRAM, LINK, SUBMODULE = "100644", "100755", "120000", "160000"
_POINTER_BYTES = 1024  # a pointer is shorter (git-lfs docs/spec.md)
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-.*\n)*oid sha256:([0-9a-f]{64})\nsize (\d+)\n"
)


def text_of(name: bytes) -> str:
    """A path as git prints it, as the file system's functions take it."""
    return name.decode("utf-8", "surrogateescape")


def bytes_of(path: str) -> bytes:
    """The reverse of `text_of`."""
    return path.encode("utf-8", "surrogateescape")


def blob_id(path: Path, hashes: str = "sha1") -> str:
    """The id that git gives to the raw bytes of a file, or to the target of a link.

    Raises OSError, also for what is neither.
    """
    if not path.is_symlink() and not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "neither a file nor a link", str(path))
    if path.is_symlink():
        target = os.fsencode(os.readlink(path))  # noqa: PTH115  (Path.readlink changes some)
        return hashlib.new(hashes, b"blob %d\0" % len(target) + target, usedforsecurity=False).hexdigest()
    with path.open("rb") as file:
        digest = hashlib.new(hashes, b"blob %d\0" % os.fstat(file.fileno()).st_size, usedforsecurity=False)
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def pointer_in(path: Path) -> tuple[str, int] | None:
    """The SHA-256 and the size in bytes that a Git LFS pointer names; None for any other file. Raises OSError."""
    with path.open("rb") as file:
        match = _POINTER.fullmatch(file.read(_POINTER_BYTES))
    return (match[1].decode(), int(match[2])) if match else None


def odd_mode(path: Path) -> str:
    """The mode of a file or folder, as 0600, that no checkout under a usual umask gives; "" for any other.

    Git keeps the exec bit alone. But a build sends every bit, so what others can't read here, they can't read in the
    image; and a special bit would be in it. On Windows, a build sets the modes itself.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:
        return ""
    if os.name == "nt" or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return ""
    wanted = 0o555 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o444
    permissions = stat.S_IMODE(mode)
    return "" if permissions & wanted == wanted and permissions == permissions & 0o777 else f"{permissions:04o}"


def may_be_pointer(size: int) -> bool:
    """Whether a file of so many bytes can be a Git LFS pointer."""
    return 100 < size < _POINTER_BYTES
