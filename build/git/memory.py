"""Small values that are kept between runs in JSON files, each under a hash of all that it follows from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from build import json_file

_REMEMBERED = 64  # values in one file


def recalled(path: Path) -> dict[str, Any]:
    """What is kept in a file; nothing if it can't be read."""
    try:
        return json_file.read(path)
    except OSError:
        return {}


def remember(path: Path, key: str, value: object) -> None:
    """Keep a value beside the latest others; a folder that can't be written keeps nothing."""
    stored = recalled(path)
    stored.pop(key, None)
    try:
        json_file.write(path, {**dict(list(stored.items())[1 - _REMEMBERED :]), key: value})
    except OSError:
        return
