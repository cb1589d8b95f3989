"""What git says about the commit that is built: as few processes as possible, and those at once.

How the last version is found: the names of the tags (opening 12,000 annotated tags takes longer than everything else
here; rev-parse lists them in half the time of for-each-ref), the highest of them, and one log that shows by its left
side whether HEAD really has that tag behind it. Only when it has not, git is asked which tags HEAD reaches. A log
limited to paths can't show that, so there the question is put beside the logs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from build.config.manifest import Manifest, ReleaseSettings
from build.errors import RepositoryError, ToolFailed
from build.git import status
from build.git.client import git, git_records, remote_url
from build.git.commits import Commit, parse
from build.git.tags import Key, Versions, of_key, precedence, tags_of
from build.git.versions import History, Line, LineHistory, inputs_of, lines
from build.parallel import together

_LOG = (
    "--literal-pathspecs", "-c", "log.showSignature=false",
    "log", "-z", "--encoding=UTF-8", "--format=%m%H %ct %P%n%B",
)  # fmt: skip
_USER = re.compile(r"(?<=^http://)[^/@]+@|(?<=^https://)[^/@]+@")
_FETCH = "git fetch --unshallow --tags"


def log(root: Path, revisions: Sequence[str], paths: Sequence[str] = ()) -> Iterator[list[str]]:
    """Batches of records for `commit_of`, newest commit first; the first character is < on the left of A...B, else >.

    Raises ToolFailed.
    """
    return git_records(root, *_LOG, *revisions, "--", *paths)


def read(manifest: Manifest) -> History:
    """Where the project of the manifest stands. Raises as `history` does."""
    return history(manifest.root, lines(manifest), settings=manifest.release, inputs=inputs_of(manifest))


def history(
    root: Path, lines: Sequence[Line], *, settings: ReleaseSettings, inputs: Sequence[str] = ()
) -> History:  # fmt: skip
    """What git says about HEAD and about each line; `inputs` are the paths that enter images (for `strays`).

    Raises RepositoryError when `root` is not inside a work tree, has no commit yet, or a version tag's history is
    broken; ToolFailed when git fails otherwise. A shallow clone is told, not refused: see `require_history`.
    """
    told: dict[str, LineHistory] = {}
    text, remote, place = "", "", ("", "", "")

    def read_lines() -> None:
        nonlocal place
        globs = [f"--glob={pattern(line)}" for line in lines]
        found = git(root, "rev-parse", "HEAD", "--is-shallow-repository", "--show-prefix", "--symbolic", *globs)
        commit, shallow, prefix, refs = (*found.split("\n", 3), "", "")[:4]
        place = commit, shallow, prefix
        told.update(_lines(root, lines, refs))

    def read_status() -> None:
        nonlocal text
        text = git(root, *status.STATUS)

    def read_remote() -> None:
        nonlocal remote
        remote = remote_url(root, settings.remote or "origin")

    try:
        together([read_lines, read_status, read_remote])
    except ToolFailed as error:
        raise _explained(root, error) from None
    commit, shallow, prefix = place
    known = (one.committed for told_line in told.values() for one in told_line.commits[:1] if one.commit == commit)
    committed = next(known, 0) or int(git(root, "rev-list", "--max-count=1", "--timestamp", "HEAD").split()[0])
    tree = status.parse(text, prefix, root, inputs)
    return History(
        commit=commit, committed=committed, branch=tree.branch, shallow=shallow == "true",
        dirty=tree.dirty, changed=tree.changed, untracked=tree.untracked, strays=tree.strays,
        remote=_USER.sub("", remote), lines=told,
    )  # fmt: skip


def reached(root: Path, *revisions: str) -> bool:
    """Whether HEAD has all of these behind it, or is them; not when one is no commit that this clone has."""
    try:
        return not git(root, "rev-list", "--max-count=1", *revisions, "^HEAD")
    except ToolFailed:
        return False


def require_history(root: Path, history: History, settings: ReleaseSettings) -> None:
    """Refuse a clone whose history or tags are missing: what comes next could only be guessed.

    Only when a line has no tag at all, the remote is asked whether it has some; one that can't be reached is not.
    Raises RepositoryError with the command that fetches what is missing.
    """
    require_full(history)
    bare = [one.line for one in history.lines.values() if not one.taken]
    remote = settings.remote
    if not bare or not remote or not remote_url(root, remote):
        return
    try:
        there = git(root, "ls-remote", "--tags", "--refs", remote, *(pattern(one) for one in bare), timeout=20)
    except ToolFailed:
        return
    refs = re.sub(r"^\S+\t", "", there, flags=re.MULTILINE)
    for line in bare:
        if found := tags_of(line.prefix, refs):
            message = f"this clone has no version tag of {line.name}, and {remote} has {len(found)}"
            raise RepositoryError(message, hint=f"git fetch --tags {remote}")


def require_full(history: History) -> None:
    """Refuse a shallow clone: tags and commits are missing from it. Raises RepositoryError."""
    if history.shallow:
        message = "this is a shallow clone: its versions can't be told, because tags and commits are missing"
        raise RepositoryError(message, hint=f"{_FETCH} (in CI: fetch the full history)")


def _explained(root: Path, error: ToolFailed) -> Exception:
    if "not a git repository" in error.output:
        return RepositoryError(f"{root} is not a git repository", hint="git init && git commit")
    if "does not have any commits" in error.output or "ambiguous argument 'HEAD'" in error.output:
        message = "the repository has no commit yet, and images are named after one"
        return RepositoryError(message, hint="git add . && git commit -m 'Start'")
    if "dubious ownership" in error.output:
        return RepositoryError(
            f"git does not trust {root}: it belongs to another user",
            hint=f"git config --global --add safe.directory {root}",
        )
    return error


# Where each line stands ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Tagged:
    """A line with all its tags, and the one that is taken for its last."""

    line: Line
    tags: list[tuple[Key, str]]
    last: tuple[Key, str] | None

    def among(self, names: set[str]) -> _Tagged:
        """The same with the highest of those tags that are in `names`."""
        return _Tagged(line=self.line, tags=self.tags, last=_highest(one for one in self.tags if one[1] in names))


def _lines(root: Path, lines: Sequence[Line], refs: str) -> dict[str, LineHistory]:
    tagged = [
        _Tagged(line=line, tags=(tags := tags_of(line.prefix, refs)), last=_highest(tags)) for line in lines
    ]  # fmt: skip
    logs = [_Log(root, one) for one in tagged]
    reached, *_ = together([lambda: _all_reached(root, tagged), *(log.read for log in logs)])
    if not reached or any(log.strayed for log in logs):
        names = git(root, "for-each-ref", "--merged=HEAD", "--format=%(refname:lstrip=2)", *map(pattern, lines))
        known = set(names.splitlines())
        again = [
            _Log(root, now) if (now := one.among(known)).last != one.last else log
            for one, log in zip(tagged, logs, strict=True)
        ]
        together([log.read for log in again if log not in logs])
        logs = again
    return {log.tagged.line.name: log.told() for log in logs}


def pattern(line: Line) -> str:
    """The refs that may be tags of the line, as git's own commands match them."""
    return "refs/tags/" + re.sub(r"([*?\[\\])", r"\\\1", line.prefix) + "[0-9]*"


def _highest(tags: Iterable[tuple[Key, str]]) -> tuple[Key, str] | None:
    return max(tags, key=lambda one: precedence(one[0]), default=None)


def _all_reached(root: Path, tagged: Sequence[_Tagged]) -> bool:
    """Whether HEAD reaches the last tag of every line that counts by paths."""
    names = [f"refs/tags/{one.last[1]}" for one in tagged if one.last and one.line.paths]
    return not names or reached(root, *names)


class _Log:
    """The commits of one line since its last tag; `strayed` tells that HEAD does not have that tag behind it."""

    def __init__(self, root: Path, tagged: _Tagged) -> None:
        self.root = root
        self.tagged = tagged
        self.commits: list[Commit] = []
        self.strayed = False

    def read(self) -> bool:
        """Ask git, and take the commits apart while it still looks for more."""
        line, last = self.tagged.line, self.tagged.last
        since = ["--left-right", f"refs/tags/{last[1]}...HEAD"] if last else ["HEAD"]
        try:
            for batch in log(self.root, since, line.paths):
                self.commits += map(commit_of, batch)
                self.strayed = self.strayed or any(record.startswith("<") for record in batch)
        except ToolFailed as error:
            if last is None or "bad revision" in error.output:
                raise
            self.strayed = True  # a tag of something that is no commit
        return True

    def told(self) -> LineHistory:
        """What was read, as the line's history."""
        last = self.tagged.last
        return LineHistory(
            line=self.tagged.line, last=of_key(last[0]) if last else None, last_tag=last[1] if last else "",
            taken=Versions(keys=(key for key, _ in self.tagged.tags)), distance=len(self.commits),
            commits=tuple(self.commits),
        )  # fmt: skip


def commit_of(record: str) -> Commit:
    """The commit of one record of `log`."""
    head, _, message = record.partition("\n")
    commit, time, *parents = head.split()
    return parse(message, commit=commit[1:], committed=int(time), parents=tuple(parents))
