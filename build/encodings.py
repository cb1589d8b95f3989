"""What is printed on a stream whose encoding lacks a character: the nearest that it has, and never a traceback."""

from __future__ import annotations

import codecs
import io
from typing import TextIO

_NEAREST = {
    "→": "->", "…": "...", "»": ">>", "·": "-", "×": "x", "–": "-", "—": "-", "“": '"', "”": '"', "’": "'", "≥": ">=",
    "≤": "<=", "✓": "ok", "✗": "fail",
}  # fmt: skip
_HANDLER = "uc-nearest"


def _nearest(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_NEAREST.get(letter, "?") for letter in error.object[error.start : error.end]), error.end


codecs.register_error(_HANDLER, _nearest)


def tolerate(stream: TextIO) -> None:
    """Let the stream print any text; one that is no file of bytes (a test's) is left as it is."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=_HANDLER)
