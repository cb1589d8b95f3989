"""What needs root: whether this user may act as root, and files that only root may write."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from build.errors import MissingTool, ToolFailed
from build.process import run


def privilege(purpose: str) -> list[str]:
    """What to put before a command that needs root. Raises MissingTool when this user may not run one unasked."""
    if os.geteuid() == 0:
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
