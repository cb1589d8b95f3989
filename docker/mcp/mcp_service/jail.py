"""Paths that a client names, kept inside one folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from mcp.server.mcpserver.exceptions import ToolError

from mcp_service.offers import NotThere


class Jail:
    """Every path is resolved through all its links first; what ends outside the root is refused, there or not.

    `.git` is closed too: its config may hold credentials, and the git tools read history.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def check(self) -> str:
        """Why the folder can't be read; empty when it can."""
        try:
            with os.scandir(self.root):
                return ""
        except OSError as error:
            return f"{self.root} can't be read: {error.strerror}"

    def real_root(self) -> str:
        """The root itself may be a link: that was the operator's choice."""
        return os.path.realpath(self.root)

    def holds(self, path: str | os.PathLike[str]) -> bool:
        """Whether path, with every link followed, lies in the folder."""
        root, real = self.real_root(), os.path.realpath(path)
        return real == root or real.startswith(root.rstrip("/") + "/")

    def resolve(self, path: str) -> Path:
        """The real path of what the client names, or a refusal."""
        if "\0" in path:
            raise ToolError("a path can't hold a NUL character")
        joined = os.path.join(self.real_root(), path)  # noqa: PTH118 - Path would not keep an absolute path's meaning
        if not self.holds(joined):
            raise ToolError(f"{path!r} is outside the workspace")
        real = Path(os.path.realpath(joined))
        if any(part.casefold() == ".git" for part in real.relative_to(self.real_root()).parts):
            raise ToolError(f"{path!r} is in .git; use git_log, git_show and git_status")
        return real

    def existing(self, path: str) -> Path:
        """As resolve, and something must be there."""
        real = self.resolve(path)
        if not real.exists():
            raise NotThere(f"{path!r} does not exist in the workspace")
        return real

    def name(self, real: Path) -> str:
        """The path as clients see it, relative to the root."""
        return real.relative_to(self.real_root()).as_posix()

    def open(self, path: str) -> BinaryIO:
        """A regular file, open for reading. A pipe or a device is refused without being waited for."""
        real = self.existing(path)
        try:
            descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise ToolError(f"{path!r} can't be read: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise ToolError(f"{path!r} is not a file")
        return os.fdopen(descriptor, "rb")
