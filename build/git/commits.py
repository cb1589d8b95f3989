"""Conventional Commits 1.0: what a message says, which commits still stand, and what they bump. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Bump = Literal["none", "patch", "minor", "major"]
BUMPS: tuple[Bump, ...] = ("none", "patch", "minor", "major")

_HEADER = re.compile(r"(?P<type>[^\s():!]+)(?:\((?P<scope>[^()\n]+)\))?(?P<mark>!)?: +(?P<description>\S.*)")
# `token: value` or `token #value`; a token has no spaces, except this one.
_FOOTER = re.compile(r"(?P<token>BREAKING[ -]CHANGE(?=:)|[A-Za-z][A-Za-z0-9-]*)(?:: +| (?=#)|:$)(?P<value>.*)")
_BREAKING = re.compile(r"^BREAKING[ -]CHANGE:(?:\s|$)", re.MULTILINE)
_REVERTED = re.compile(r"\bThis reverts commit ([0-9a-f]{7,64})\b")
# What git and the forges call a revert and a merge.
_REVERT_TITLES = ('Revert "', 'Reapply "')
_MERGE_TITLES = tuple(
    f"Merge {what} " for what in ("branch", "branches", "tag", "commit", "pull request", "remote-tracking branch")
)
_HASHES = re.compile(r"\b[0-9a-f]{7,64}\b")


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """One commit: its message by Conventional Commits 1.0, and its hash, time (seconds since 1970) and parents in git.

    `type` is lower case; "" when the message is no Conventional Commit, and `description` is then its first line.
    `rest` is everything below the first line: `body`, `footers`, `notes` and `reverts` are read from it when asked for.
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
        """Whether it only joins others: it has two parents, or a title that git gives to a merge."""
        return len(self.parents) > 1 or (not self.type and self.description.startswith(_MERGE_TITLES))

    @property
    def body(self) -> str:
        """The paragraphs between the first line and the footers."""
        return _split(self.rest)[0]

    @property
    def footers(self) -> tuple[tuple[str, str], ...]:
        """(token, value) of each footer, in order; a value may have several lines."""
        return _split(self.rest)[1]

    @property
    def notes(self) -> tuple[str, ...]:
        """What breaks: the text of each BREAKING CHANGE footer, or the description of a commit marked with `!`."""
        told = tuple(value for token, value in self.footers if token in {"BREAKING CHANGE", "BREAKING-CHANGE"})
        return told or ((self.description,) if self.breaking else ())

    @property
    def reverts(self) -> tuple[str, ...]:
        """The hashes that it takes back, as written (they may be short): git's own sentence, or a revert's Refs."""
        if not self.rest or not (self.type == "revert" or "This reverts commit" in self.rest):
            return ()
        found = _REVERTED.findall(self.rest)
        if not found and self.type == "revert":
            found = [one for token, value in self.footers if token.lower() == "refs" for one in _HASHES.findall(value)]
        return tuple(found)


def parse(message: str, *, commit: str = "", committed: int = 0, parents: tuple[str, ...] = ()) -> Commit:
    """The commit that a message describes; any message is one, Conventional or not.

    `Revert "feat: …"`, as git writes it, is of type revert. BREAKING CHANGE: and BREAKING-CHANGE: at the start of a
    line break whatever the first line looks like.
    """
    title, _, rest = message.lstrip("\n").partition("\n")
    breaking = "BREAKING" in rest and _BREAKING.search(rest) is not None
    header = _HEADER.match(title)
    if header is None:
        undone = title.startswith(_REVERT_TITLES)
        return Commit(
            type="revert" if undone else "", scope="", breaking=breaking, description=title.strip(), rest=rest,
            commit=commit, committed=committed, parents=parents,
        )  # fmt: skip
    kind, scope, mark, description = header.groups()
    return Commit(
        type=kind.lower(), scope=scope or "", breaking=breaking or mark is not None, description=description.rstrip(),
        rest=rest, commit=commit, committed=committed, parents=parents,
    )  # fmt: skip


def _split(rest: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Body and footers: footers start with the first `token: value` line that opens a paragraph."""
    body: list[str] = []
    footers: list[tuple[str, list[str]]] = []
    after_blank = True
    for line in rest.splitlines():
        found = _FOOTER.match(line)
        if found and (footers or after_blank or _BREAKING.match(line)):
            footers.append((found["token"], [found["value"]]))
        elif footers:
            footers[-1][1].append(line)
        else:
            body.append(line)
        after_blank = not line.strip()
    return "\n".join(body).strip(), tuple((token, "\n".join(lines).strip()) for token, lines in footers)


def standing(commits: Sequence[Commit]) -> tuple[Commit, ...]:
    """The commits, newest first, that a release of all of them brings: no merges, and nothing that was taken back.

    A revert of a commit among them cancels it and itself; a revert of a merge cancels what the merge brought in;
    a revert of a revert brings back. A revert of anything older stays.
    """
    gone: set[str] = set()
    reverting = [one for one in commits if one.reverts]
    if reverting:
        known = {one.commit: one for one in commits}
        for one in reverting:
            if one.commit in gone:
                continue
            targets = [full for short in one.reverts if (full := _resolve(short, known))]
            for full in targets:
                gone |= _brought_in(full, known)
            if len(targets) == len(one.reverts):
                gone.add(one.commit)
    return tuple(one for one in commits if one.commit not in gone and not one.merge)


def _resolve(short: str, known: Mapping[str, Commit]) -> str:
    if short in known:
        return short
    full = [one for one in known if one.startswith(short)]
    return full[0] if len(full) == 1 else ""


def _brought_in(commit: str, known: Mapping[str, Commit]) -> set[str]:
    """The commit alone, or for a merge everything that its other parents have and its first has not."""
    first, *others = known[commit].parents or ("",)
    if not others:
        return {commit}
    return {commit} | (_reachable(others, known) - _reachable([first], known))


def _reachable(starts: Iterable[str], known: Mapping[str, Commit]) -> set[str]:
    found: set[str] = set()
    waiting = [one for one in starts if one in known]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += [parent for parent in known[one].parents if parent in known]
    return found


def bump_of_one(commit: Commit, types: Mapping[str, Bump]) -> Bump:
    """What one commit bumps by itself."""
    return "major" if commit.breaking else types.get(commit.type, "none")


def bump_of(commits: Sequence[Commit], types: Mapping[str, Bump]) -> Bump:
    """What a release of the commits (newest first) bumps: the most that one of those that stand asks for."""
    asked = {bump_of_one(one, types) for one in standing(commits)}
    return max(asked, key=BUMPS.index, default="none")
