"""What git says about the commit that is built."""

from __future__ import annotations

from pathlib import Path

from build.errors import RepositoryError, ToolFailed
from build.process import run
from build.version import GitState

# A caller's GIT_DIR or translated messages must not decide what we read.
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "GIT_OPTIONAL_LOCKS": "0"}


def git(root: Path, *arguments: str) -> str:
    """The stripped stdout of one git command in `root`."""
    return run(["git", *arguments], cwd=root, env=_ENVIRONMENT, timeout=120).stdout.strip()


def inspect(root: Path) -> GitState:
    """The state of the repository at `root`.

    Raises RepositoryError when `root` is not inside a work tree or has no commit yet.
    """
    try:
        commit, committed = git(root, "log", "-1", "--format=%H %ct").split()
    except ToolFailed as error:
        if "not a git repository" in error.output:
            raise RepositoryError(f"{root} is not a git repository", hint="git init && git commit") from None
        if "does not have any commits" in error.output:
            message = "the repository has no commit yet, and images are named after one"
            raise RepositoryError(message, hint="git add . && git commit -m 'Start'") from None
        raise
    tag, distance = _nearest_tag(root)
    try:
        remote = git(root, "remote", "get-url", "origin")
    except ToolFailed:
        remote = ""
    return GitState(
        commit=commit,
        committed=int(committed),
        tag=tag,
        distance=distance,
        dirty=bool(git(root, "status", "--porcelain", "--untracked-files=normal")),
        remote=remote,
    )


def _nearest_tag(root: Path) -> tuple[str | None, int]:
    try:
        described = git(root, "describe", "--tags", "--long", "--match", "v[0-9]*", "HEAD")
    except ToolFailed:
        return None, int(git(root, "rev-list", "--count", "HEAD"))
    tag, distance, _ = described.rsplit("-", 2)
    return tag, int(distance)
