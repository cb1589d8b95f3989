"""The commits between two releases, as `git log` has them: what one has and the other lacks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from build.config.manifest import ReleaseSettings
from build.errors import BuildError, ToolFailed
from build.git import history
from build.git.client import git
from build.git.commits import Commit

_HASH = re.compile("[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, kw_only=True, slots=True)
class CommitBetween:
    """A commit by Conventional Commits 1.0; without that form, `type` is "" and `description` is its first line."""

    commit: str
    type: str
    scope: str
    breaking: bool
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Between:
    """The commits of one release that the other lacks, newest first, without merges.

    `came` are those of the newer, `went` those of the older. `unknown` says why they are not known, or not all of them.
    """

    came: tuple[CommitBetween, ...] = ()
    went: tuple[CommitBetween, ...] = ()
    unknown: str = ""


def read(root: Path, before: str, after: str, paths: Sequence[str], settings: ReleaseSettings) -> Between:
    """The commits between two commits, of those that change one of the `paths` (any, without paths).

    Where this clone can't say, the result says so: it lacks a commit, is shallow, or there is no repository.
    """
    try:
        if lacking := [commit for commit in dict.fromkeys((before, after)) if not _has(root, commit)]:
            fetch = f"git fetch --tags {settings.remote or 'origin'}"
            return Between(unknown=f"this clone lacks {' and '.join(each[:7] for each in lacking)}: {fetch}")
        sides = [_side(root, pair, paths, settings) for pair in ((before, after), (after, before))]
        shallow = git(root, "rev-parse", "--is-shallow-repository") == "true"
    except BuildError as error:
        return Between(unknown=str(error))
    unknown = "this is a shallow clone, which may lack some: git fetch --unshallow --tags" if shallow else ""
    return Between(came=sides[0], went=sides[1], unknown=unknown)


def _has(root: Path, commit: str) -> bool:
    if not _HASH.fullmatch(commit):  # a record is what somebody wrote: HEAD, or an option of git
        return False
    try:
        git(root, "cat-file", "-e", f"{commit}^{{commit}}")
    except ToolFailed:
        return False
    return True


def _side(
    root: Path, pair: tuple[str, str], paths: Sequence[str], settings: ReleaseSettings
) -> tuple[CommitBetween, ...]:
    """The commits that the second of a pair has and the first lacks."""
    revisions = [f"{pair[0]}..{pair[1]}"]
    commits = [history.commit_of(record, settings) for batch in history.log(root, revisions, paths) for record in batch]
    if paths and settings.merge_titles:
        commits = history.with_merges(commits, history.merges(root, revisions, paths, settings))
    return tuple(_between(commit) for commit in commits if not commit.merge)


def _between(commit: Commit) -> CommitBetween:
    return CommitBetween(
        commit=commit.commit, type=commit.type, scope=commit.scope, breaking=commit.breaking,
        description=commit.description,
    )  # fmt: skip
