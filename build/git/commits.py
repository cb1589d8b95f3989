"""Conventional Commits 1.0: parsing messages, cancelling reverted commits, and computing the bump. Pure."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Literal, NamedTuple

from build.git import forges
from build.git.footers import BREAKING_TOKENS, breaks, split
from build.git.forges import Subject
from build.git.headers import HEADER

Bump = Literal["none", "patch", "minor", "major"]
BUMPS: tuple[Bump, ...] = ("none", "patch", "minor", "major")

_MERGE_TITLES = tuple(
    f"Merge {what} " for what in ("branch", "branches", "tag", "commit", "pull request", "remote-tracking branch")
)


class Commit(NamedTuple):
    """One commit: its message by Conventional Commits 1.0, and its hash, time (Unix seconds) and parents.

    `header` is the first line. `type` is lower case; it is "" if the message is not a Conventional Commit, and
    `description` is then the header. `rest` is everything below the first line; `body`, `footers`, `notes` and
    `reverts` are parsed from it lazily. A merge that counts by the title of its request has that title as its message,
    and its own first line in `merge_subject`. `items` are the commits that a squash lists, newest first. (A history has
    thousands of commits, and a named tuple is made in half the time of a frozen dataclass.)
    """

    type: str
    scope: str
    breaking: bool
    description: str
    header: str = ""
    rest: str = ""
    commit: str = ""
    committed: int = 0
    parents: tuple[str, ...] = ()
    merge_subject: str = ""
    items: tuple[Commit, ...] = ()

    @property
    def merge(self) -> bool:
        """Whether it is a merge that does not count: it has more than one parent, or the title that git gives one."""
        if self.merge_subject:
            return False
        return len(self.parents) > 1 or (not self.type and self.description.startswith(_MERGE_TITLES))

    @property
    def body(self) -> str:
        """The text between the first line and the footers."""
        return split(self.rest)[0]

    @property
    def footers(self) -> tuple[tuple[str, str], ...]:
        """(token, value) of each footer, in order; a value may span several lines."""
        return split(self.rest)[1]

    @property
    def notes(self) -> tuple[str, ...]:
        """The breaking changes: the value of each BREAKING CHANGE footer, else the description of a breaking commit."""
        notes = tuple(value for token, value in self.footers if token in BREAKING_TOKENS)
        return notes or ((self.description,) if self.breaking else ())

    @property
    def reverts(self) -> tuple[str, ...]:
        """The hashes that it reverts, perhaps abbreviated: from git's sentence, or a revert's Refs footer."""
        if not self.rest or not (self.type == "revert" or "This reverts commit" in self.rest):
            return ()
        references = (value for token, value in self.footers if token.lower() == "refs")
        return forges.reverted_commits(self.rest, references if self.type == "revert" else ())

    @property
    def titled_revert(self) -> bool:
        """Whether its first line is `Revert "…"` or `Reapply "…"`, as git and the forges write them."""
        return self.type == "revert" and self.description.startswith(forges.REVERT_TITLES)

    @property
    def number(self) -> str:
        """The number of the request that brought it in, if the message has it."""
        return forges.merged(self.merge_subject or self.header, self.rest)[1]

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """What a revert may call it: its own first line, and for a merge also the title of the request."""
        own = forges.subject_of(self.header)[0]
        if self.merge_subject:
            return own, forges.subject_of(self.merge_subject)[0]
        if not self.type and forges.by_a_forge(self.header):
            return own, forges.subject_of(forges.merged(self.header, self.rest)[0])[0]
        return (own,)

    @property
    def undone(self) -> tuple[Subject | None, str]:
        """The subject that it reverts, None if it names none, and the number of the request that it reverts, or ""."""
        number = forges.reverted_number(self.rest)
        if self.type != "revert":
            return None, number
        subject, _ = forges.subject_of(self.description)
        if not self.titled_revert:  # `revert: feat: x`, or with a number any words
            return (subject if subject[1] or not number else None), number
        return (max(subject[0] - 1, 0), *subject[1:]), number or forges.quoted_number(self.description)


def parse(
    message: str, *, commit: str = "", committed: int = 0, parents: tuple[str, ...] = (),
    merge_titles: bool = False, squash_bodies: bool = False,
) -> Commit:  # fmt: skip
    """Parse a message, Conventional Commit or not.

    `Revert "feat: …"`, as git writes it, has the type revert. BREAKING CHANGE: or BREAKING-CHANGE: at the start of a
    line makes any commit breaking, whatever its first line. With `merge_titles`, a merge whose request has a title of
    that form has it as its message; with `squash_bodies`, the list of commits in a squash is read (`items`).
    """
    title, _, rest = message.lstrip("\n").partition("\n")
    merge_subject = ""
    items: tuple[Commit, ...] = ()
    if merge_titles and (len(parents) > 1 or forges.by_a_forge(title.rstrip())):
        merge_subject, title, rest = forges.counted(title.rstrip(), rest)
    if squash_bodies and "* " in rest and (merge_subject or len(parents) < 2):
        rest, listed = forges.squashed(rest)
        items = tuple(parse(text, commit=commit, committed=committed) for text in reversed(listed))
    breaking = "BREAKING" in rest and breaks(rest)
    header = HEADER.match(title)
    if header is None:
        kind, scope, mark, description = "revert" if title.startswith(forges.REVERT_TITLES) else "", "", None, title
    else:
        kind, scope, mark, description = header.groups()
        kind = kind.lower()
    return Commit(
        type=kind, scope=scope or "", breaking=breaking or mark is not None, description=description.rstrip(),
        header=title.rstrip(), rest=rest, commit=commit, committed=committed, parents=parents,
        merge_subject=merge_subject, items=items,
    )  # fmt: skip


def standing(commits: Sequence[Commit]) -> tuple[Commit, ...]:
    """Return those of the commits (newest first) whose changes a release contains: no merges, nothing reverted.

    A revert of one of the commits cancels both; a revert of a merge cancels the commits that the merge brought in; a
    revert of a revert restores the original. A revert of an older commit remains. What a squash lists follows it.
    """
    entries, left_out = commits, set[int]()
    if any(commit.items or commit.merge_subject for commit in commits):
        entries = [entry for commit in commits for entry in (commit, *commit.items)]
        left_out = _repeated_titles(entries) | _repeated_items(entries)
    reverts = [
        position for position, entry in enumerate(entries)
        if (entry.type == "revert" or "everts " in entry.rest) and position not in left_out
    ]  # fmt: skip
    if reverts:
        left_out |= _Reverts(entries).cancelled(reverts)
    return tuple(entry for position, entry in enumerate(entries) if position not in left_out and not entry.merge)


def _positions(entries: Sequence[Commit]) -> dict[str, int]:
    """Map each hash to the position of its commit, which is before what the commit lists."""
    return {entry.commit: len(entries) - 1 - back for back, entry in enumerate(reversed(entries))}


def _repeated_items(entries: Sequence[Commit]) -> set[int]:
    """Return the positions of listed commits that say what the squash itself says."""
    repeated = set()
    for position, entry in enumerate(entries):
        for offset, item in enumerate(entry.items, start=1):
            if item.subjects[0] == entry.subjects[0]:
                repeated.add(position + offset)
    return repeated


def _repeated_titles(entries: Sequence[Commit]) -> set[int]:
    """Return the positions of merges whose title one of the commits that they brought in has, too."""
    positions = _positions(entries)
    seen: set[str] = set()
    first = entries[0].commit
    while first in positions and first not in seen:
        seen.add(first)
        first = next(iter(entries[positions[first]].parents), "")
    repeated = set()
    for position in reversed([number for number, entry in enumerate(entries) if entry.merge_subject]):
        pending, brought = list(entries[position].parents[1:]), []
        while pending:
            commit = pending.pop()
            if commit in positions and commit not in seen:
                seen.add(commit)
                brought.append(entries[positions[commit]])
                pending += brought[-1].parents
        if any(commit.subjects[0] == entries[position].subjects[0] for commit in brought):
            repeated.add(position)
    return repeated


class _Reverts:
    """What the reverts among some commits cancel; the commits are newest first, each before what it lists."""

    def __init__(self, entries: Sequence[Commit]) -> None:
        self.entries = entries
        self.positions = _positions(entries)

    def cancelled(self, reverts: Sequence[int]) -> set[int]:
        """Return the positions of what `reverts` (positions, newest first) cancel, and of those that did."""
        cancelled: set[int] = set()
        for position in reverts:
            if position in cancelled:
                continue
            hashes = self.entries[position].reverts
            targets = [full for short in hashes if (full := self._resolve(short)) is not None]
            complete = len(targets) == len(hashes)
            if not targets:
                targets = [target for target in [self._named(position, cancelled)] if target is not None]
                complete = bool(targets)
            for target in targets:
                cancelled |= self._with(target)
            if complete:
                cancelled.add(position)
        return cancelled

    def _resolve(self, short: str) -> int | None:
        if short in self.positions:
            return self.positions[short]
        full = [position for commit, position in self.positions.items() if commit.startswith(short)]
        return full[0] if len(full) == 1 else None

    def _named(self, revert: int, cancelled: Set[int]) -> int | None:
        """Return what a revert names by the number of its request, or by its subject: the newest before the revert.

        With a number, the subject has to fit as well, if the revert quotes one. Of what has no number, and is only
        called by its subject, that counts which still stands. A revert that names a hash means no other commit.
        """
        commit = self.entries[revert]
        subject, number = commit.undone
        if commit.merge or not (number or (subject and not commit.reverts)):
            return None
        by_number, by_subject = self._index
        if numbered := [position for position in by_number.get(number, ()) if position > revert]:
            fitting = (one for one in numbered if subject is None or subject in self.entries[one].subjects)
            return next(fitting, None)
        if subject is None or commit.reverts:
            return None
        return next(
            (
                position for position in by_subject.get(subject, ())
                if position > revert and position not in cancelled and not (number and self.entries[position].number)
            ),
            None,
        )  # fmt: skip

    @functools.cached_property
    def _index(self) -> tuple[dict[str, list[int]], dict[Subject, list[int]]]:
        """The positions of the commits by the number of their request, and by each subject."""
        by_number: dict[str, list[int]] = {}
        by_subject: dict[Subject, list[int]] = {}
        for position, entry in enumerate(self.entries):
            if number := entry.number:
                by_number.setdefault(number, []).append(position)
            for subject in dict.fromkeys(entry.subjects):
                by_subject.setdefault(subject, []).append(position)
        return by_number, by_subject

    def _with(self, position: int) -> set[int]:
        """Return the position itself, what it lists, and for a merge what only its other parents reach."""
        first, *others = self.entries[position].parents or ("",)
        inside = {position}
        if others:
            inside |= {self.positions[commit] for commit in self._reachable(others) - self._reachable([first])}
        return inside | {one + offset for one in inside for offset in range(1, len(self.entries[one].items) + 1)}

    def _reachable(self, starts: Iterable[str]) -> set[str]:
        reachable: set[str] = set()
        pending = [commit for commit in starts if commit in self.positions]
        while pending:
            commit = pending.pop()
            if commit not in reachable:
                reachable.add(commit)
                parents = self.entries[self.positions[commit]].parents
                pending += [parent for parent in parents if parent in self.positions]
        return reachable


def bump_of_one(commit: Commit, types: Mapping[str, Bump]) -> Bump:
    """Return what one commit bumps by itself."""
    return "major" if commit.breaking else types.get(commit.type, "none")


def bump_of(commits: Sequence[Commit], types: Mapping[str, Bump]) -> Bump:
    """Return what a release of the commits (newest first) bumps: the largest bump of those that are `standing`."""
    bumps = {bump_of_one(commit, types) for commit in standing(commits)}
    return max(bumps, key=BUMPS.index, default="none")
