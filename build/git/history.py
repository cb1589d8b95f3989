"""The history of the commit that is built, read with as few git processes as possible, run concurrently.

The last version of a line is found in three steps: list the names of the tags (opening 12,000 annotated tags takes
longer than everything else here; rev-parse lists names in half the time of for-each-ref), take the highest, and read
one log whose left side shows whether HEAD really descends from that tag. Only if it does not, git is asked which tags
HEAD reaches. A log limited to paths has no left side; it shows the tag's commit as a parent, because its parents are
the next commits that it lists or stops at (git-log(1), "History Simplification"). Where it does not, git is asked.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from build.config.manifest import Manifest, ReleaseSettings
from build.errors import RepositoryError, ToolFailed
from build.git import status
from build.git.client import git, git_records, public_url, remote_url
from build.git.commits import Commit, parse
from build.git.inputs import Inputs, compare
from build.git.tags import Key, Versions, of_key, precedence, tags_of
from build.git.versions import History, Line, LineHistory, lines
from build.parallel import together

_LOG = ("--literal-pathspecs", "log", "-z", "--encoding=UTF-8", "--format=%m%H %ct %P%n%B")
_FETCH = "git fetch --unshallow --tags"


def log(root: Path, revisions: Sequence[str], paths: Sequence[str] = ()) -> Iterator[list[str]]:
    """Yield batches of log records for `commit_of`, newest first; each starts with < on the left side of A...B, else >.

    Raises ToolFailed.
    """
    return git_records(root, *_LOG, *revisions, "--", *paths)


def read(manifest: Manifest, *, tags: Collection[str] | None = None, origin: bool = True) -> History:
    """Return the history of HEAD and of each line, and what a build would send that HEAD does not have.

    Only versions whose tags are among `tags` count; with None, every tag of this clone does. Without `origin`, which
    only images name, the remote's URL is not looked up.

    Raises RepositoryError if `root` is not inside a work tree or has no commit yet, or a version tag's history is
    broken; ToolFailed if git fails otherwise. A shallow clone is not refused here: see `require_history`.
    """
    root, all_lines = manifest.root, lines(manifest)
    histories: dict[str, LineHistory] = {}
    text, remote, head, inputs = "", "", ("", ""), Inputs()

    def read_lines() -> None:
        nonlocal head
        globs = [f"--glob={pattern(line)}" for line in all_lines]
        output = git(root, "rev-parse", "HEAD", "--is-shallow-repository", "--symbolic", *globs)
        commit, shallow, refs = (*output.split("\n", 2), "")[:3]
        head = commit, shallow
        histories.update(_line_histories(root, all_lines, refs, tags, manifest.release, commit))

    def read_status() -> None:
        nonlocal text
        text = status.ask(manifest)

    def read_inputs() -> None:
        nonlocal inputs
        inputs = compare(manifest)

    def read_remote() -> None:
        nonlocal remote
        remote = public_url(remote_url(root, manifest.release.remote or "origin"))

    try:
        together([read_lines, read_status, *([read_remote] if origin else []), read_inputs])
    except ToolFailed as error:
        raise _converted(root, error) from None
    commit, shallow = head
    latest = (newest for line in histories.values() for newest in line.commits[:1])
    times = (newest.committed for newest in latest if newest.commit == commit)
    committed = next(times, 0) or int(git(root, "rev-list", "--max-count=1", "--timestamp", "HEAD").split()[0])
    tree = status.parse(text, inputs)
    return History(
        commit=commit, committed=committed, branch=tree.branch, shallow=shallow == "true",
        dirty=tree.dirty, changed=tree.changed, differences=tree.differences,
        remote=remote, lines=histories, inputs=inputs,
    )  # fmt: skip


def reached(root: Path, *revisions: str) -> bool:
    """Whether all the revisions are HEAD or ancestors of it; False if this clone lacks one of them."""
    try:
        return not git(root, "rev-list", "--max-count=1", *revisions, "^HEAD")
    except ToolFailed:
        return False


def require_history(root: Path, history: History, settings: ReleaseSettings) -> None:
    """Refuse a clone without its full history or its version tags, as the next version would be a guess.

    The remote is only asked if a line has no tag at all; a remote that can't be reached is ignored.
    Raises RepositoryError with the command that fetches what is missing.
    """
    require_full(history)
    untagged = [line.line for line in history.lines.values() if not line.taken]
    remote = settings.remote
    if not untagged or not remote or not remote_url(root, remote):
        return
    try:
        listing = git(root, "ls-remote", "--tags", "--refs", remote, *map(pattern, untagged), timeout=20)
    except ToolFailed:
        return
    refs = re.sub(r"^\S+\t", "", listing, flags=re.MULTILINE)
    for line in untagged:
        if tags := tags_of(line.prefix, refs):
            message = f"this clone has no version tag of {line.name}, and {remote} has {len(tags)}"
            raise RepositoryError(message, hint=f"git fetch --tags {remote}")


def require_full(history: History) -> None:
    """Raise RepositoryError for a shallow clone, which lacks tags and commits."""
    if history.shallow:
        message = "this is a shallow clone: its versions can't be computed, because tags and commits are missing"
        raise RepositoryError(message, hint=f"{_FETCH} (in CI: fetch the full history)")


def _converted(root: Path, error: ToolFailed) -> Exception:
    if "does not have any commits" in error.output or "ambiguous argument 'HEAD'" in error.output:
        branch = git(root, "symbolic-ref", "--short", "HEAD")
        message = f"the branch {branch} has no commit yet, and images are named after one"
        return RepositoryError(message, hint="git add . && git commit -m 'Start'")
    return error


# The history of each line -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Tagged:
    """A line, all its tags, and the one that is assumed to be its last release."""

    line: Line
    tags: list[tuple[Key, str]]
    last: tuple[Key, str] | None

    def among(self, names: set[str]) -> _Tagged:
        """Return the line with the highest of those tags that are in `names`."""
        return _Tagged(line=self.line, tags=self.tags, last=_highest([tag for tag in self.tags if tag[1] in names]))


def _line_histories(
    root: Path, lines: Sequence[Line], refs: str, counted: Collection[str] | None, settings: ReleaseSettings, head: str
) -> dict[str, LineHistory]:  # fmt: skip
    tagged = []
    for line in lines:
        tags = [tag for tag in tags_of(line.prefix, refs) if counted is None or tag[1] in counted]
        tagged.append(_Tagged(line=line, tags=tags, last=_highest(tags)))
    logs = [_Log(root, line, settings) for line in tagged]
    limited = [log for log in logs if log.tagged.line.paths and log.tagged.last]
    tips: list[str] = []
    descends = together([lambda: _peel(root, limited, tips), *(log.read for log in logs)])
    if not all(descends) or not _all_reached(root, limited, tips, head):
        names = git(root, "for-each-ref", "--merged=HEAD", "--format=%(refname:lstrip=2)", *map(pattern, lines))
        merged = set(names.splitlines())
        corrected = [
            _Log(root, line.among(merged), settings) if line.among(merged).last != line.last else log
            for line, log in zip(tagged, logs, strict=True)
        ]
        together([log.read for log in corrected if log not in logs])
        logs = corrected
    return {log.tagged.line.name: log.history() for log in logs}


def pattern(line: Line) -> str:
    """Return the pattern of the line's tags, as git's own commands match refs."""
    return "refs/tags/" + re.sub(r"([*?\[\\])", r"\\\1", line.prefix) + "[0-9]*"


def _highest(tags: Collection[tuple[Key, str]]) -> tuple[Key, str] | None:
    """Return the tag of the highest version; only those of its X.Y.Z are compared by their pre-releases."""
    number = max((key[:3] for key, _ in tags), default=None)
    return max((tag for tag in tags if tag[0][:3] == number), key=lambda tag: precedence(tag[0]), default=None)


def _peel(root: Path, limited: Sequence[_Log], tips: list[str]) -> bool:
    """Add the commit of each line's last tag to `tips`; False if one is not the tag of a commit."""
    names = [f"refs/tags/{log.tagged.last[1]}^{{commit}}" for log in limited if log.tagged.last]
    try:
        tips += git(root, "rev-parse", *names).split() if names else []
    except ToolFailed:
        return False
    return True


def _all_reached(root: Path, limited: Sequence[_Log], tips: Sequence[str], head: str) -> bool:
    """Whether HEAD reaches all the tips. Git only walks to those that no log has shown on its way."""
    shown = {head}
    for log in limited:
        for commit in log.commits:
            shown.add(commit.commit)
            shown.update(commit.parents)
    unseen = [tip for tip in dict.fromkeys(tips) if tip not in shown]
    return not unseen or reached(root, *unseen)


class _Log:
    """The commits of one line since its last tag."""

    def __init__(self, root: Path, tagged: _Tagged, settings: ReleaseSettings) -> None:
        self.root = root
        self.tagged = tagged
        self.settings = settings
        self.commits: list[Commit] = []
        self.merges: list[Commit] = []

    def read(self) -> bool:
        """Parse the commits while git still looks for more; return whether HEAD descends from the tag, if that shows.

        Raises ToolFailed.
        """
        line, last = self.tagged.line, self.tagged.last
        since = ["HEAD"]
        if last:
            tag = f"refs/tags/{last[1]}"
            since = [f"{tag}..HEAD", "--parents"] if line.paths else [f"{tag}...HEAD", "--left-right"]
        descends = True
        try:
            for batch in log(self.root, since, line.paths):
                self.commits += (commit_of(record, self.settings) for record in batch)
                descends = descends and not any(record.startswith("<") for record in batch)
            if line.paths and self.settings.merge_titles:
                self.merges = merges(self.root, since[:1], line.paths, self.settings)
        except ToolFailed as error:
            if last is None or "bad revision" in error.output:
                raise
            return False  # the tag is not one of a commit
        return descends

    def history(self) -> LineHistory:
        """Return the line's history after `read`."""
        last = self.tagged.last
        return LineHistory(
            line=self.tagged.line, last=of_key(last[0]) if last else None, last_tag=last[1] if last else "",
            taken=Versions(keys=(key for key, _ in self.tagged.tags)), distance=len(self.commits),
            commits=tuple(with_merges(self.commits, self.merges)),
        )  # fmt: skip


def commit_of(record: str, settings: ReleaseSettings) -> Commit:
    """Parse one record of `log`, merges and squashes as the settings say."""
    head, _, message = record.partition("\n")
    commit, time, *parents = head.split()
    return parse(
        message, commit=commit[1:], committed=int(time), parents=tuple(parents),
        merge_titles=settings.merge_titles, squash_bodies=settings.squash_bodies,
    )  # fmt: skip


def merges(root: Path, revisions: Sequence[str], paths: Sequence[str], settings: ReleaseSettings) -> list[Commit]:
    """Return the merges, newest first, that changed one of the paths on the branch that they were merged into.

    A log limited to paths leaves out most of them, and has some that brought nothing: git compares with each parent.
    Raises ToolFailed.
    """
    records = [record for batch in log(root, ["--merges", "--full-history", *revisions], paths) for record in batch]
    every = [commit_of(record, settings) for record in records]
    pairs = "".join(f"{merge.commit} {merge.parents[0]}\n" for merge in every)
    brought = git(root, "--literal-pathspecs", "diff-tree", "--stdin", "-r", "--name-only", "--", *paths, stdin=pairs)
    changed = set(brought.splitlines())
    return [merge for merge in every if merge.commit in changed]


def with_merges(commits: Sequence[Commit], merges: Sequence[Commit]) -> list[Commit]:
    """Return the commits and the merges that count by their title, newest first, each once."""
    known = {commit.commit for commit in commits}
    more = [merge for merge in merges if merge.merge_subject and merge.commit not in known]
    return list(heapq.merge(more, commits, key=lambda commit: -commit.committed)) if more else list(commits)
