"""Secrets as files under /run/secrets, read again whenever the file changes, so that rotation needs no restart."""

from __future__ import annotations

import codecs
import hmac
import os
from pathlib import Path

_Signature = tuple[int, int, int]


def _usable(line: bytes) -> bool:
    return bool(line) and all(0x20 <= byte < 0x7F for byte in line)


class Secret:
    """One secret file: /run/secrets/<name>, or the path in the environment variable <NAME>_FILE.

    Several lines are several valid values: the overlap window of a rotation. Clients send the first line.
    A value goes into a header: a line that is not printable ASCII is no value. A byte order mark is passed over.
    """

    def __init__(self, name: str) -> None:
        self.path = Path(os.environ.get(f"{name.upper()}_FILE", f"/run/secrets/{name}"))
        self._signature: _Signature | None = None
        self._values: tuple[bytes, ...] = ()

    def values(self) -> tuple[bytes, ...]:
        """Every usable line, stripped; empty when the file is missing or unreadable (the caller's offline mode).

        A file that is empty for a moment while it is overwritten in place keeps its last values.
        """
        try:
            stat = self.path.stat()
            signature = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if signature != self._signature:
                content = self.path.read_bytes().removeprefix(codecs.BOM_UTF8)
                if content.strip() or not self._values:
                    self._values = tuple(line for line in map(bytes.strip, content.splitlines()) if _usable(line))
                self._signature = signature
        except (FileNotFoundError, PermissionError):
            self._signature, self._values = None, ()
        return self._values

    def current(self) -> str | None:
        """The value a client sends, or None when there is none."""
        values = self.values()
        return values[0].decode() if values else None

    def matches(self, candidate: str | bytes) -> bool:
        """Whether candidate equals one of the values; every value is compared, in constant time."""
        given = candidate.encode() if isinstance(candidate, str) else candidate
        matched = False
        for value in self.values():
            matched |= hmac.compare_digest(value, given)
        return matched
