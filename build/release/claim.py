"""The claim: a new annotated tag that carries the release record. Pushing it is the remote's compare-and-swap.

A tag object is made without a name, then pushed under one that must not be there yet (git-push, "refuses to update a
tag that exists"). Only a remote that took it gives us the name, so a refused or lost claim leaves nothing behind.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from build.errors import RepositoryError, ToolFailed, VersionTaken
from build.git.client import git
from build.git.remote import remote_tags, version_tags
from build.release.record import NoRecord, Record, decode, encode

_LOCKED_SECONDS = 1.0
_FEW = 100
_SEPARATOR = "%00"
# No other tag goes along, whatever push.followTags says.
_PUSH = ("push", "--quiet", "--atomic", "--no-follow-tags")


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A tag that is to be: its name, the object that it will name, and the commit that this one tags."""

    tag: str
    object: str
    commit: str


def only_here(root: Path, there: Mapping[str, str], prefixes: Collection[str]) -> list[str]:
    """The version tags with a record that only this clone has: nobody pushed them, so they claim nothing."""
    local = [tag for tag in version_tags(root, "", prefixes) if tag not in there]
    return sorted(records(root, local))


def records(root: Path, tags: Collection[str]) -> dict[str, Record]:
    """The release records that annotated tags of this clone carry, by tag; others are passed over. One git process."""
    if not tags:
        return {}
    patterns = [f"refs/tags/{tag}" for tag in tags] if len(tags) <= _FEW else ["refs/tags"]
    listed = git(root, "for-each-ref", f"--format={_SEPARATOR}%(refname:strip=2)%0a%(contents)", *patterns)
    found = {}
    for part in listed.split("\0")[1:]:
        name, _, message = part.partition("\n")
        if name in tags and (record := _record_in(message)):
            found[name] = record
    return found


def _record_in(message: str) -> Record | None:
    start = message.find("\n{")
    try:
        return decode(message[start + 1 :].rstrip().encode()) if start >= 0 else None
    except NoRecord:
        return None


def prepare(root: Path, record: Record, summary: str) -> Claim:
    """The tag object of a release: a title for people, then the record. No name points to it yet."""
    try:
        tagger = git(root, "var", "GIT_COMMITTER_IDENT")
    except ToolFailed as error:
        hint = "git config user.name … && git config user.email …"
        raise RepositoryError("git does not know who makes the tag", hint=hint, output=error.output) from None
    head = f"object {record.commit}\ntype commit\ntag {record.tag}\ntagger {tagger}\n\n{summary}\n\n"
    made = git(root, "mktag", stdin=head + encode(record).decode())
    return Claim(tag=record.tag, object=made, commit=record.commit)


def prove_push(root: Path, name: str, tags: Iterable[str], *, branch: str = "") -> None:
    """Ask the remote whether it would let us push these tags, and the branch. Raises RepositoryError if not."""
    if not name:
        return
    references = [f"HEAD:refs/tags/{tag}" for tag in tags] + ([f"HEAD:refs/heads/{branch}"] if branch else [])
    try:
        git(root, *_PUSH, "--dry-run", name, *references)
    except ToolFailed as error:
        message = f"the git remote {name} does not let us push {f'branch {branch} with ' if branch else ''}a tag"
        raise RepositoryError(
            message, hint=f"git push --dry-run {name} HEAD:refs/tags/try", output=error.output
        ) from None


def push(root: Path, name: str, claims: Iterable[Claim], *, branch: str = "") -> None:
    """Take the tags, all or none, and with `branch` their commit's branch too; then they are ours, there and here.

    Raises VersionTaken when another release was first, RepositoryError when the remote refuses or can't be reached.
    """
    taken = list(claims)
    if name:
        _push_to(root, name, taken, branch)
    created = "".join(f"create refs/tags/{claim.tag} {claim.object}\n" for claim in taken)
    try:
        git(root, "update-ref", "--stdin", stdin=created)
    except ToolFailed as error:
        if not name:
            raise _lost("this repository", taken, remote_tags(root, ""), error) from None


def _push_to(root: Path, name: str, claims: list[Claim], branch: str) -> None:
    references = [f"{claim.object}:refs/tags/{claim.tag}" for claim in claims]
    references += [f"{claims[0].commit}:refs/heads/{branch}"] if branch else []
    for last in (False, True):
        try:
            git(root, *_PUSH, name, *references)
        except ToolFailed as error:
            # The remote may have taken it before the connection broke: what it has now is what counts.
            there = _tags_after(root, name, claims)
            if all(there.get(claim.tag) == claim.object for claim in claims):
                return
            if last or any(claim.tag in there for claim in claims):
                raise _lost(f"the git remote {name}", claims, there, error) from None
            # Another release may hold the lock of the tag (git waits 0.1 s for one) and be seen in a moment.
            time.sleep(_LOCKED_SECONDS)
        else:
            return


def _tags_after(root: Path, name: str, claims: list[Claim]) -> dict[str, str]:
    try:
        return remote_tags(root, name)
    except RepositoryError as silent:
        tags = ", ".join(claim.tag for claim in claims)
        message = f"whether {name} took {tags} is not known: it does not answer any more; nothing was published"
        raise RepositoryError(message, hint="./inv release --resume", output=silent.output) from None


def _lost(
    name: str, claims: list[Claim], there: Mapping[str, str], error: ToolFailed
) -> VersionTaken | RepositoryError:
    taken = [claim.tag for claim in claims if claim.tag in there]
    if taken:
        message = f"{', '.join(taken)} was taken while this release was made; nothing of it was published"
        return VersionTaken(message, hint="./inv release again: it takes the next version")
    message = f"{name} refuses the tag; nothing was published"
    return RepositoryError(message, hint="see what its hook or its rules say", output=error.output)
