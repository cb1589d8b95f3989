"""Checks that commit messages are Conventional Commits 1.0, so that versions can be computed from them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from build.config.manifest import ReleaseSettings
from build.errors import RepositoryError, ToolFailed
from build.git import history
from build.git.client import git
from build.git.commits import Commit, parse
from build.git.headers import TYPES, looks_conventional
from build.typed import suggest

_MOST_WARNINGS = 10
_AUTOSQUASH = ("fixup! ", "squash! ", "amend! ")
_FORM = "type(scope): description"
# Rules 12 and 15: upper case and a colon; in any other form it does not count as breaking.
_BREAKING = re.compile(r"^breaking[ -]change\b.*", re.IGNORECASE | re.MULTILINE)
_BREAKING_FOOTER = re.compile(r"BREAKING[ -]CHANGE: +\S")
_SCISSORS = re.compile(r"^\S ?-{24} >8 -{24}$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Offence:
    """A message that breaks a rule: its commit's hash ("" before it is committed), its subject, and the reason.

    `suggestion` is the subject that was probably meant, or "".
    """

    commit: str
    subject: str
    reason: str
    suggestion: str = ""

    def __str__(self) -> str:
        where = f"{self.commit[:7]} " if self.commit else ""
        return f"{where}{self.subject!r}: {self.reason}{f'; probably {self.suggestion!r}' if self.suggestion else ''}"


@dataclass(frozen=True, kw_only=True, slots=True)
class NearMiss:
    """A header that looks conventional and is not, so that it bumps nothing or too little; what it should be."""

    commit: str
    header: str
    suggestion: str

    def __str__(self) -> str:
        return f"{self.commit[:7]} {self.header!r} is not a Conventional Commit: probably {self.suggestion!r}"


def near_misses(commits: Iterable[Commit], settings: ReleaseSettings) -> tuple[NearMiss, ...]:
    """Return the headers among those of `commits` that look conventional and are not."""
    known = types(settings)
    found = []
    for commit in commits:
        if (commit.type in known and not commit.scope.endswith("!")) or commit.merge:
            continue
        suggestion = looks_conventional(commit.header, known)
        if suggestion and suggestion != commit.header:
            found.append(NearMiss(commit=commit.commit, header=commit.header, suggestion=suggestion))
    return tuple(found)


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """The result of a check: the revisions, the number of commits, and the offences."""

    revisions: str
    commits: int
    offences: tuple[Offence, ...]


def warnings(misses: Iterable[NearMiss]) -> list[str]:
    """Return a line for each near miss, each once; after ten, one line with the number of the others."""
    every = list(dict.fromkeys(map(str, misses)))
    more = len(every) - _MOST_WARNINGS
    return every[:_MOST_WARNINGS] + ([f"{more} more headers like these: ./inv commits.check"] if more > 0 else [])


def types(settings: ReleaseSettings) -> tuple[str, ...]:
    """Return the accepted types: those of `[release] types`, and the usual others."""
    return tuple(dict.fromkeys([*settings.types, *TYPES]))


def reasons(message: str, known: Collection[str], *, committed: bool = True) -> Iterator[str]:
    """Yield what is wrong with a message; nothing for a Conventional Commit, a merge, or git's own revert.

    A fixup, which will be squashed, is accepted until it is `committed`.
    """
    subject = message.lstrip("\n").partition("\n")[0]
    if subject.startswith(_AUTOSQUASH):
        if committed:
            yield "to be squashed: git rebase --interactive --autosquash"
        return
    yield from _of_commit(parse(message), subject, known)
    for line in _BREAKING.findall(message.partition("\n")[2]):
        if not _BREAKING_FOOTER.match(line):
            yield f"{line[:40]!r} breaks nothing: write BREAKING CHANGE: and what breaks"


def _of_commit(commit: Commit, subject: str, known: Collection[str]) -> Iterator[str]:
    if commit.merge:
        return
    if commit.type in {"revert", *known}:
        if commit.scope.endswith("!"):
            yield "the ! stands inside the scope, where it breaks nothing"
        return
    if commit.type:
        yield f"unknown type '{commit.type}'{suggest(commit.type, known)}"
    elif re.match(r"[a-z]+(\([^()]*\))?!?:\S", subject):
        yield "a space is missing after the colon"
    elif not subject.strip():
        yield f"empty: expected {_FORM}"
    else:
        yield f"expected {_FORM}"


def check(root: Path, settings: ReleaseSettings, revisions: str = "") -> Checked:
    """Check every commit of `revisions` (as for git log).

    The default is those after `[release] conventional_since`, or the whole history of HEAD if that is not set.
    Raises RepositoryError if git does not know the revisions.
    """
    since = settings.conventional_since
    revisions = revisions or (f"{since}..HEAD" if since else "HEAD")
    known = types(settings)
    try:
        records = [record for batch in history.log(root, [revisions]) for record in batch]
    except ToolFailed as error:
        message = f"git knows no commits {revisions}"
        raise RepositoryError(message, hint="git fetch --unshallow, or name others", output=error.output) from None
    offences = [offence for record in records for offence in _offences(record, settings, known)]
    return Checked(revisions=revisions, commits=len(records), offences=tuple(offences))


def _offences(record: str, settings: ReleaseSettings, known: Collection[str]) -> Iterator[Offence]:
    commit = history.commit_of(record, settings)
    if commit.merge:
        return
    message = record.partition("\n")[2]
    if commit.merge_subject:
        message = f"{commit.header}\n{commit.rest}"
    yield from _described(message, reasons(message, known), known, commit.commit)


def _described(message: str, problems: Iterable[str], known: Collection[str], commit: str = "") -> Iterator[Offence]:
    subject = message.lstrip("\n").partition("\n")[0]
    suggestion = looks_conventional(subject, known)
    for reason in problems:
        yield Offence(commit=commit, subject=subject, reason=reason, suggestion=suggestion)


def check_file(root: Path, settings: ReleaseSettings, path: Path) -> Checked:
    """Check a message that is about to be committed, in the file that a commit-msg hook gets (githooks(5)).

    Comments and the diff of `git commit --verbose` are ignored. Raises RepositoryError if there is no such file.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise RepositoryError(f"{path}: {error.strerror}", hint="./inv commits.check --message FILE") from None
    text = _SCISSORS.split(text)[0]
    message = git(root, "stripspace", "--strip-comments", stdin=text)
    known = types(settings)
    offences = tuple(_described(message, reasons(message, known, committed=False), known))
    return Checked(revisions=str(path), commits=1, offences=offences)


def require(checked: Checked, settings: ReleaseSettings) -> None:
    """Raise RepositoryError with every offence, if there is any."""
    if checked.offences:
        count = len({offence.commit for offence in checked.offences})
        lines = [f"{count} of {checked.commits} commit messages are not Conventional Commits:"]
        lines += [f"  {offence}" for offence in checked.offences]
        hint = f"{_FORM}, with one of {', '.join(types(settings))}; git commit --amend or git rebase --interactive"
        raise RepositoryError("\n".join(lines), hint=hint)
