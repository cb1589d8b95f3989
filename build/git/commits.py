"""Conventional Commits 1.0: parsing messages, cancelling reverted commits, and computing the bump. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Bump = Literal["none", "patch", "minor", "major"]
BUMPS: tuple[Bump, ...] = ("none", "patch", "minor", "major")

_HEADER = re.compile(r"(?P<type>[^\s():!]+)(?:\((?P<scope>[^()\n]+)\))?(?P<mark>!)?: +(?P<description>\S.*)")
# `token: value` or `token #value`; BREAKING CHANGE is the only token with a space.
_FOOTER = re.compile(r"(?P<token>BREAKING[ -]CHANGE(?=:)|[A-Za-z][A-Za-z0-9-]*)(?:: +| (?=#)|:$)(?P<value>.*)")
_BREAKING = re.compile(r"^BREAKING[ -]CHANGE:(?:\s|$)", re.MULTILINE)
_REVERTED = re.compile(r"\bThis reverts commit ([0-9a-f]{7,64})\b")
# The titles that git and the forges give to reverts and merges.
_REVERT_TITLES = ('Revert "', 'Reapply "')
_MERGE_TITLES = tuple(
    f"Merge {what} " for what in ("branch", "branches", "tag", "commit", "pull request", "remote-tracking branch")
)
_HASHES = re.compile(r"\b[0-9a-f]{7,64}\b")


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """One commit: its message by Conventional Commits 1.0, and its hash, time (Unix seconds) and parents.

    `type` is lower case; it is "" if the message is not a Conventional Commit, and `description` is then its first
    line. `rest` is everything below the first line; `body`, `footers`, `notes` and `reverts` are parsed from it lazily.
    """

    type: str
    scope: str
    breaking: bool
    description: str
    rest: str = ""
    commit: str = ""
    committed: int = 0
    parents: tuple[str, ...] = ()

    @property
    def merge(self) -> bool:
        """Whether it is a merge: it has more than one parent, or the title that git gives to merges."""
        return len(self.parents) > 1 or (not self.type and self.description.startswith(_MERGE_TITLES))

    @property
    def body(self) -> str:
        """The text between the first line and the footers."""
        return _split(self.rest)[0]

    @property
    def footers(self) -> tuple[tuple[str, str], ...]:
        """(token, value) of each footer, in order; a value may span several lines."""
        return _split(self.rest)[1]

    @property
    def notes(self) -> tuple[str, ...]:
        """The breaking changes: the value of each BREAKING CHANGE footer, else the description of a breaking commit."""
        notes = tuple(value for token, value in self.footers if token in {"BREAKING CHANGE", "BREAKING-CHANGE"})
        return notes or ((self.description,) if self.breaking else ())

    @property
    def reverts(self) -> tuple[str, ...]:
        """The hashes that it reverts, perhaps abbreviated: from git's sentence, or a revert's Refs footer."""
        if not self.rest or not (self.type == "revert" or "This reverts commit" in self.rest):
            return ()
        hashes = _REVERTED.findall(self.rest)
        if not hashes and self.type == "revert":
            references = (value for token, value in self.footers if token.lower() == "refs")
            hashes = [commit for value in references for commit in _HASHES.findall(value)]
        return tuple(hashes)


def parse(message: str, *, commit: str = "", committed: int = 0, parents: tuple[str, ...] = ()) -> Commit:
    """Parse a message, Conventional Commit or not.

    `Revert "feat: …"`, as git writes it, has the type revert. BREAKING CHANGE: or BREAKING-CHANGE: at the start of a
    line makes any commit breaking, whatever its first line.
    """
    title, _, rest = message.lstrip("\n").partition("\n")
    breaking = "BREAKING" in rest and _BREAKING.search(rest) is not None
    header = _HEADER.match(title)
    if header is None:
        reverts = title.startswith(_REVERT_TITLES)
        return Commit(
            type="revert" if reverts else "", scope="", breaking=breaking, description=title.strip(), rest=rest,
            commit=commit, committed=committed, parents=parents,
        )  # fmt: skip
    kind, scope, mark, description = header.groups()
    return Commit(
        type=kind.lower(), scope=scope or "", breaking=breaking or mark is not None, description=description.rstrip(),
        rest=rest, commit=commit, committed=committed, parents=parents,
    )  # fmt: skip


def _split(rest: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return body and footers; footers begin at the first `token: value` line that starts a paragraph."""
    body: list[str] = []
    footers: list[tuple[str, list[str]]] = []
    after_blank = True
    for line in rest.splitlines():
        footer = _FOOTER.match(line)
        if footer and (footers or after_blank or _BREAKING.match(line)):
            footers.append((footer["token"], [footer["value"]]))
        elif footers:
            footers[-1][1].append(line)
        else:
            body.append(line)
        after_blank = not line.strip()
    return "\n".join(body).strip(), tuple((token, "\n".join(lines).strip()) for token, lines in footers)


def standing(commits: Sequence[Commit]) -> tuple[Commit, ...]:
    """Return those of the commits (newest first) whose changes a release contains: no merges, nothing reverted.

    A revert of one of the commits cancels both; a revert of a merge cancels the commits that the merge brought in; a
    revert of a revert restores the original. A revert of an older commit remains.
    """
    cancelled: set[str] = set()
    reverts = [commit for commit in commits if commit.reverts]
    if reverts:
        by_hash = {commit.commit: commit for commit in commits}
        for revert in reverts:
            if revert.commit in cancelled:
                continue
            targets = [full for short in revert.reverts if (full := _resolve(short, by_hash))]
            for target in targets:
                cancelled |= _brought_in(target, by_hash)
            if len(targets) == len(revert.reverts):
                cancelled.add(revert.commit)
    return tuple(commit for commit in commits if commit.commit not in cancelled and not commit.merge)


def _resolve(short: str, by_hash: Mapping[str, Commit]) -> str:
    if short in by_hash:
        return short
    full = [commit for commit in by_hash if commit.startswith(short)]
    return full[0] if len(full) == 1 else ""


def _brought_in(commit: str, by_hash: Mapping[str, Commit]) -> set[str]:
    """Return the commit itself, and for a merge also what its other parents reach and its first does not."""
    first, *others = by_hash[commit].parents or ("",)
    if not others:
        return {commit}
    return {commit} | (_reachable(others, by_hash) - _reachable([first], by_hash))


def _reachable(starts: Iterable[str], by_hash: Mapping[str, Commit]) -> set[str]:
    reachable: set[str] = set()
    pending = [commit for commit in starts if commit in by_hash]
    while pending:
        commit = pending.pop()
        if commit not in reachable:
            reachable.add(commit)
            pending += [parent for parent in by_hash[commit].parents if parent in by_hash]
    return reachable


def bump_of_one(commit: Commit, types: Mapping[str, Bump]) -> Bump:
    """Return what one commit bumps by itself."""
    return "major" if commit.breaking else types.get(commit.type, "none")


def bump_of(commits: Sequence[Commit], types: Mapping[str, Bump]) -> Bump:
    """Return what a release of the commits (newest first) bumps: the largest bump of those that are `standing`."""
    bumps = {bump_of_one(commit, types) for commit in standing(commits)}
    return max(bumps, key=BUMPS.index, default="none")
