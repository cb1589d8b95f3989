"""What stat can't tell: whether a file whose change time moved has another content, by a digest of small files."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from ucservice.secret_files import name_rule

from monitor_service.tree import Signature, Tree

_DIGEST_BYTES = 16


class Contents:
    """Digests of files up to `limit` bytes. With a limit of 0 nothing is read and change times don't count."""

    def __init__(self, tree: Tree, limit: int) -> None:
        self.tree, self._limit = tree, limit

    def digest(self, path: str, signature: Signature) -> bytes | None:
        """The digest of the content that `signature` belongs to.

        None for a file that is larger than the limit, that is a secret by its name, that can't be read, or that is no
        longer what the signature says.
        """
        if not self._limit or signature.size > self._limit or name_rule(path.rpartition("/")[2]):
            return None
        full = f"{self.tree.root}/{path}"
        try:
            is_link = stat.S_ISLNK(os.lstat(full).st_mode)
            content = os.fsencode(Path(full).readlink()) if is_link else _read(full, signature.size)
            unchanged = self.tree.signature(os.lstat(full)) == signature
        except OSError:
            return None
        return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest() if unchanged else None


def _read(full: str, size: int) -> bytes:
    # A FIFO that took the file's place would block the reader forever without O_NONBLOCK.
    descriptor = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        parts, left = [], size + 1
        while left > 0 and (part := os.read(descriptor, left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)
