"""Small files under .uc/, most of them JSON, written atomically: an interrupt leaves the previous version intact."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from build.parallel import alive


def read(path: Path) -> dict[str, Any]:
    """Return the JSON object in the file; an empty one if the file is missing or malformed."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def write(path: Path, data: dict[str, Any]) -> None:
    """Replace the file by `data`, atomically, by a rename."""
    replace(path, json.dumps(data, indent=2) + "\n")


def replace(path: Path, content: str | bytes) -> None:
    """Replace the file by `content` atomically, by a rename; what killed writers left beside it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for unfinished in path.parent.glob(f".{path.name}.*"):
        owner = unfinished.name.rpartition(".")[2]
        if owner.isdigit() and not alive(int(owner)):
            unfinished.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    temporary.replace(path)
