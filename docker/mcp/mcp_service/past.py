"""What is not handed out of git's history: a file that was removed is still there, and so is the secret in it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from dulwich.diff_tree import TreeChange
from dulwich.errors import NotTreeError
from dulwich.object_store import tree_lookup_path
from dulwich.objects import Blob
from dulwich.repo import Repo
from ucservice.secret_files import LARGEST_BYTES, VIRTUALENV_MARK, content_rule

from mcp_service.closed import Closed

_MARK = VIRTUALENV_MARK.encode()


class Past:
    """The changes between two trees. `prefix` is the checkout's own path in the workspace, empty for the workspace."""

    def __init__(self, closed: Closed, repo: Repo, prefix: str, trees: tuple[bytes | None, ...]) -> None:
        self._closed, self._repo, self._prefix = closed, repo, prefix
        self._trees = [tree for tree in trees if tree]
        self._environments: dict[bytes, bool] = {}

    def by_path(self, change: TreeChange) -> bool:
        """Whether one of a change's two paths is closed."""
        return any(self._is_closed(path) for path, _ in _sides(change))

    def by_content(self, change: TreeChange) -> bool:
        """Whether what a file held before or after a change is closed."""
        return any(not self._closed.allowed(self._name(path)) and self._has_secret(sha) for path, sha in _sides(change))

    def _is_closed(self, path: bytes) -> bool:
        name = self._name(path)
        return not self._closed.allowed(name) and bool(self._closed.by_name(name) or self._in_environment(path))

    def _name(self, path: bytes) -> str:
        name = os.fsdecode(path)
        return f"{self._prefix}/{name}" if self._prefix else name

    def _in_environment(self, path: bytes) -> bool:
        parts = path.split(b"/")[:-1]
        return any(self._is_environment(b"/".join(parts[:count])) for count in range(1, len(parts) + 1))

    def _is_environment(self, folder: bytes) -> bool:
        if folder not in self._environments:
            self._environments[folder] = any(self._holds(tree, folder + b"/" + _MARK) for tree in self._trees)
        return self._environments[folder]

    def _holds(self, tree: bytes, path: bytes) -> bool:
        try:
            tree_lookup_path(self._repo.object_store.__getitem__, tree, path)  # type: ignore[arg-type]
        except (KeyError, NotTreeError):
            return False
        return True

    def _has_secret(self, sha: bytes) -> bool:
        try:
            found = self._repo.object_store[sha]  # type: ignore[index]
        except KeyError:
            return False
        return isinstance(found, Blob) and bool(content_rule(found.as_raw_string()[:LARGEST_BYTES]))


def text_of(message: bytes) -> str:
    """A commit's message, or why it is not handed out."""
    rule = content_rule(message)
    return f"[not handed out: {rule}]" if rule else message.decode("utf-8", "replace").strip()


def _sides(change: TreeChange) -> Iterator[tuple[bytes, bytes]]:
    for entry in (change.old, change.new):
        if entry and entry.path and entry.sha:
            yield entry.path, entry.sha
