"""The git runner: every git command of the toolkit starts here, in an environment that no setting of a user changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from build.errors import ToolFailed
from build.process import records, run

# A hook's GIT_DIR, translated messages and prompts must not change what is read.
_ENVIRONMENT: dict[str, str | None] = {
    "LC_ALL": "C.UTF-8",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    **dict.fromkeys(("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"), None),
    **dict.fromkeys(("GIT_NAMESPACE", "GIT_PREFIX"), None),
}


def git(root: Path, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
    """Run one git command in `root` and return its stdout, stripped. Raises ToolFailed."""
    return run(["git", *arguments], cwd=root, env=_ENVIRONMENT, stdin=stdin, timeout=timeout).stdout.strip()


def git_records(root: Path, *arguments: str) -> Iterator[list[str]]:
    """Run one git command that was given -z; yield its records in batches while it still runs. Raises ToolFailed."""
    return records(["git", *arguments], cwd=root, env=_ENVIRONMENT)


def remote_url(root: Path, name: str) -> str:
    """Return the URL of a remote, "" if there is none of that name."""
    try:
        return git(root, "remote", "get-url", name)
    except ToolFailed:
        return ""
