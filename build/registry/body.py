"""What is sent as the body of a request: bytes, a file, or a part of one, the latter two piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PIECE = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file: memory stays flat however large it is."""

    path: Path
    offset: int
    size: int

    def pieces(self) -> Iterator[bytes]:
        """Yield its bytes in order. Raises OSError, and EOFError for a file that ends too early."""
        left = self.size
        with self.path.open("rb") as file:
            file.seek(self.offset)
            while left:
                piece = file.read(min(PIECE, left))
                if not piece:
                    raise EOFError(f"{self.path} ends too early")
                left -= len(piece)
                yield piece

    def read(self) -> bytes:
        """Return all of it."""
        return b"".join(self.pieces())


Body = bytes | Path | Part


def size_of(body: Body) -> int:
    """Return the number of bytes of a body."""
    if isinstance(body, Path):
        return body.stat().st_size
    return body.size if isinstance(body, Part) else len(body)


def pieces_of(body: Body) -> bytes | Iterator[bytes]:
    """Return a body in the form in which it is sent."""
    if isinstance(body, Path):
        return Part(body, 0, body.stat().st_size).pieces()
    return body.pieces() if isinstance(body, Part) else body
