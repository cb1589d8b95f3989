"""History of a git checkout, read with dulwich: no git program, no hooks, no filters, no lock, nothing written."""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from dulwich.diff_tree import TreeChange, tree_changes
from dulwich.errors import NotGitRepository, NotTreeError
from dulwich.object_store import tree_lookup_path
from dulwich.objects import Blob, Commit
from dulwich.objectspec import parse_commit
from dulwich.patch import write_object_diff
from dulwich.repo import Repo
from mcp.server.mcpserver.exceptions import ToolError
from typing_extensions import TypedDict

from mcp_service import past, worktree
from mcp_service.closed import Closed
from mcp_service.jail import Jail

_SECONDS = 10.0
_LARGEST_DIFF = 100_000
_LARGEST_BLOB = 256 * 1024
_MOST_CHANGES = 500
_REVISION = re.compile(r"(.+?)((?:[~^]\d{0,4})*)")
_STEP = re.compile(r"([~^])(\d*)")
# Each of these may be a link or name another folder, and so lead out of the jail.
_INNER = ("HEAD", "objects", "refs", "index", "packed-refs", "config", "commondir", "logs", "info")


class CommitLine(TypedDict):
    """One commit in a list."""

    id: str
    author: str
    date: str
    subject: str


class Commits(TypedDict):
    """Commits, newest first; truncated when there are more."""

    commits: list[CommitLine]
    truncated: bool


class Shown(TypedDict):
    """One commit in full, without the files that are not handed out, which `withheld` counts."""

    id: str
    parents: list[str]
    author: str
    date: str
    message: str
    changes: list[str]
    diff: str
    withheld: int
    truncated: bool


class Status(TypedDict):
    """What differs from the last commit."""

    branch: str
    head: str
    staged: list[str]
    unstaged: list[str]
    untracked: list[str]
    clean: bool
    truncated: bool


class History:
    """The read-only verbs; each opens the checkout anew, so that a fetch or a commit outside is seen."""

    def __init__(self, jail: Jail, allow: Sequence[str] = ()) -> None:
        self.jail, self.allow = jail, tuple(allow)

    def log(self, path: str, revision: str, limit: int) -> Commits:
        """The newest commits that touch path."""
        deadline = time.monotonic() + _SECONDS
        with self._checkout(path) as (repo, inner):
            found: list[CommitLine] = []
            # Filtered here and not by the walker, which would look for the next match without ever coming back.
            for entry in repo.get_walker(include=[_commit(repo, revision).id]):
                if time.monotonic() > deadline:
                    return Commits(commits=found, truncated=True)
                if inner and not _changed_at(repo, entry.commit, inner):
                    continue
                if len(found) == limit:
                    return Commits(commits=found, truncated=True)
                found.append(_line(entry.commit))
            return Commits(commits=found, truncated=False)

    def show(self, revision: str, path: str) -> Shown:
        """One commit with its difference to its first parent, cut at a length."""
        with self._checkout(path) as (repo, inner):
            commit = _commit(repo, revision)
            parents = [parent.decode() for parent in commit.parents]
            before = parse_commit(repo, commit.parents[0]).tree if commit.parents else None
            # A tree that is the same on both sides is never entered, so this costs what changed, not what there is.
            touched = [c for c in tree_changes(repo.object_store, before, commit.tree) if _touches(c, inner)]
            closed = past.Past(self._closed(), repo, self._prefix(repo), (before, commit.tree))
            changes = [change for change in touched if not closed.by_path(change)]
            diff, whole, withheld = _diff(repo, changes, closed)
            line = _line(commit)
            return Shown(
                id=line["id"],
                parents=parents,
                author=line["author"],
                date=line["date"],
                message=past.text_of(commit.message),
                changes=[_named(change) for change in changes[:_MOST_CHANGES]],
                diff=diff,
                withheld=len(touched) - len(changes) + withheld,
                truncated=not whole or len(changes) > _MOST_CHANGES,
            )

    def status(self, path: str) -> Status:
        """The branch, and what is staged, changed or new."""
        with self._checkout(path) as (repo, _):
            found = worktree.compare(repo, seconds=_SECONDS, most=_MOST_CHANGES)
            shown = self._shown(repo, found)
            head = repo.refs.follow(b"HEAD")  # type: ignore[arg-type]
            branch = head[0][-1].decode().removeprefix("refs/heads/")
            return Status(
                branch="(detached)" if branch == "HEAD" else branch,
                head=head[1].decode() if head[1] else "",
                staged=shown.staged,
                unstaged=shown.unstaged,
                untracked=shown.untracked,
                clean=not (found.staged or found.unstaged or found.untracked or found.truncated),
                truncated=found.truncated,
            )

    def _closed(self) -> Closed:
        return Closed(self.jail.real_root(), self.allow)

    def _prefix(self, repo: Repo) -> str:
        name = self.jail.name(Path(os.path.realpath(repo.path)))
        return "" if name == "." else name

    def _shown(self, repo: Repo, found: worktree.Comparison) -> worktree.Comparison:
        closed, prefix = self._closed(), self._prefix(repo)

        def open_(lines: list[str], *, kinds: bool) -> list[str]:
            names = [(line, line.partition(" ")[2] if kinds else line) for line in lines]
            return [line for line, name in names if not closed.by_place(f"{prefix}/{name}" if prefix else name)]

        return worktree.Comparison(
            staged=open_(found.staged, kinds=True),
            unstaged=open_(found.unstaged, kinds=True),
            untracked=open_(found.untracked, kinds=False),
        )

    @contextmanager
    def _checkout(self, path: str) -> Iterator[tuple[Repo, bytes]]:
        """The checkout that holds path, and path inside it."""
        real = self.jail.resolve(path)
        if reason := self._closed().by_place(self.jail.name(real)):
            raise ToolError(f"{path!r} is not handed out: {reason}")
        top = next((folder for folder in (real, *real.parents) if self.jail.holds(folder) and _is_top(folder)), None)
        if top is None:
            raise ToolError(f"{path!r} is not in a git checkout")
        try:
            repo = Repo(top)
        except (NotGitRepository, OSError, ValueError) as error:
            raise ToolError("this git checkout can't be opened here: is it a worktree of another one?") from error
        with repo:
            self._refuse_outside(repo)
            inner = os.fsencode(real.relative_to(top).as_posix())
            try:
                yield repo, b"" if inner == b"." else inner
            except (KeyError, OSError) as error:
                raise ToolError(f"the git checkout is damaged or not complete here: {type(error).__name__}") from error

    def _refuse_outside(self, repo: Repo) -> None:
        folders = {Path(os.fspath(repo.controldir())), Path(os.fspath(repo.commondir()))}
        named = [folder / name for folder in folders for name in ("", *_INNER)]
        for folder in folders:
            alternates = folder / "objects" / "info" / "alternates"
            if alternates.is_file() and self.jail.holds(alternates):
                lines = alternates.read_text("utf-8", "replace").splitlines()
                named += [folder / "objects" / line for line in lines if line and not line.startswith("#")]
        if not all(self.jail.holds(path) for path in named):
            raise ToolError("this git checkout keeps its data outside the workspace")


def _is_top(folder: Path) -> bool:
    return (folder / ".git").exists()


def _commit(repo: Repo, revision: str) -> Commit:
    """A branch, tag or (short) hash, with any number of `~2` and `^2` behind it."""
    found = _REVISION.fullmatch(revision)
    try:
        if found is None:
            raise ValueError(revision)
        commit = parse_commit(repo, found[1])
        for kind, number in _STEP.findall(found[2]):
            count = int(number or 1)
            for parent in [0] * count if kind == "~" else [count - 1][:count]:
                commit = parse_commit(repo, commit.parents[parent])
    except (KeyError, ValueError, IndexError, NotImplementedError) as error:
        raise ToolError(f"no commit {revision!r}") from error
    return commit


def _changed_at(repo: Repo, commit: Commit, path: bytes) -> bool:
    """Whether a commit has something else at path than each of its parents has."""
    here = _object_at(repo, commit, path)
    parents = [_object_at(repo, parse_commit(repo, parent), path) for parent in commit.parents] or [None]
    return here not in parents


def _object_at(repo: Repo, commit: Commit, path: bytes) -> bytes | None:
    try:
        return tree_lookup_path(repo.object_store.__getitem__, commit.tree, path)[1]
    except (KeyError, NotTreeError):
        return None


def _line(commit: Commit) -> CommitLine:
    zone = timezone(timedelta(seconds=commit.author_timezone)) if abs(commit.author_timezone) < 86_400 else UTC
    return CommitLine(
        id=commit.id.decode(),
        author=commit.author.decode("utf-8", "replace"),
        date=datetime.fromtimestamp(commit.author_time, zone).isoformat(),
        subject=past.text_of(commit.message).partition("\n")[0],
    )


def _touches(change: TreeChange, inner: bytes) -> bool:
    paths = [entry.path for entry in (change.old, change.new) if entry and entry.path]
    return not inner or any(path == inner or path.startswith(inner + b"/") for path in paths)


def _named(change: TreeChange) -> str:
    entry = change.new if change.new and change.new.path else change.old
    path = entry.path if entry and entry.path else b"?"
    return f"{change.type} {path.decode('utf-8', 'replace')}"


def _diff(repo: Repo, changes: list[TreeChange], closed: past.Past) -> tuple[str, bool, int]:
    """Text up to a length; the rest is named in `changes` only. And how many files were left out for what they hold."""
    deadline, out, whole, withheld = time.monotonic() + _SECONDS, io.BytesIO(), True, 0
    for change in changes:
        if out.tell() > _LARGEST_DIFF or time.monotonic() > deadline:
            whole = False
            break
        old, new = ((e.path, e.mode, e.sha) if e else (None, None, None) for e in (change.old, change.new))
        if any(_is_large(repo, sha) for _, _, sha in (old, new)):
            whole = False
            continue
        if closed.by_content(change):
            withheld += 1
            continue
        write_object_diff(out, repo.object_store, old, new)
    text = out.getvalue().decode("utf-8", "replace")
    return text[:_LARGEST_DIFF], whole and len(text) <= _LARGEST_DIFF, withheld


def _is_large(repo: Repo, sha: bytes | None) -> bool:
    found = repo.object_store[sha] if sha and sha in repo.object_store else None  # type: ignore[operator, index]
    return isinstance(found, Blob) and found.raw_length() > _LARGEST_BLOB
