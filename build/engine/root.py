"""What needs root: whether this user may act as root, and files that only root may write."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from build.errors import MissingTool, ToolFailed
from build.process import run


def is_root() -> bool:
    """Whether this process is root's; never on Windows, which has none."""
    return sys.platform != "win32" and os.geteuid() == 0


def privilege(purpose: str) -> list[str]:
    """What to put before a command that needs root. Raises MissingTool when this user may not run one unasked."""
    if is_root():
        return []
    try:
        run(["sudo", "-n", "true"], timeout=30)
    except (MissingTool, ToolFailed):
        raise MissingTool(f"{purpose} needs root", hint="sudo ./inv engine --yes") from None
    return ["sudo", "-n"]


def write(path: Path, text: str, sudo: Sequence[str]) -> None:
    """Write a file that everyone may read, and the folders above it; `sudo` is what `privilege` returned."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        run([*sudo, "install", "-D", "-m", "644", file.name, str(path)])
