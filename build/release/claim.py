"""The claim: a new annotated tag that carries the release record. Pushing it is the remote's compare-and-swap.

The tag object is made without a name and pushed under a name that must not exist yet (git-push: a push "refuses to
update a tag that exists"). The name is created here only after the remote accepted it, so a refused or lost claim
leaves nothing behind.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from build import console
from build.config.manifest import Manifest
from build.errors import BuildError, RepositoryError, ToolFailed, VersionTaken
from build.git.client import git
from build.git.remote import fetch_version_tags, remote_tags, urls, version_tags
from build.git.versions import lines
from build.process import redact
from build.release import proof
from build.release.proof import UNSIGNED, Proof
from build.release.record import Record, encode

# The hint of VersionTaken.
LOST_HINT = "./inv release again: it takes the next version, if this commit needs one"
_LOCKED_SECONDS = 1.0
_SHOWN = 8
_READ_BACKS = (0.0, 1.0, 3.0)  # seconds before each look for a tag that was accepted: a mirror may be behind
# No other tag is pushed along, whatever push.followTags is set to.
_PUSH = ("push", "--quiet", "--atomic", "--no-follow-tags")


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A tag to be pushed: its name, the tag object that it will name, and the commit that this object tags."""

    tag: str
    object: str
    commit: str


def fetch_claims(manifest: Manifest, remote: str) -> dict[str, str]:
    """Fetch every version tag that counts: tag → object. Warns of tags that don't count because they were never pushed.

    Raises RepositoryError if the remote does not answer.
    """
    prefixes = [line.prefix for line in lines(manifest)]
    tags = fetch_version_tags(manifest.root, remote, prefixes)
    if remote and (unpushed := [tag for tag in version_tags(manifest.root, "", prefixes) if tag not in tags]):
        more = f" and {len(unpushed) - _SHOWN} more" if len(unpushed) > _SHOWN else ""
        names = f"{', '.join(sorted(unpushed)[:_SHOWN])}{more}"
        console.warn(f"{names}: {remote} has no such tag, so it does not count (git tag --delete, or git push it)")
    return tags


def prepare(root: Path, record: Record, summary: str, of_release: Proof = UNSIGNED) -> Claim:
    """Make the tag object of a release: a title, its proof, then the record. No name points to it yet.

    Raises RepositoryError if git has no identity for the tagger.
    """
    try:
        tagger = git(root, "var", "GIT_COMMITTER_IDENT")
    except ToolFailed as error:
        hint = "git config user.name … && git config user.email …"
        raise RepositoryError("git does not know who makes the tag", hint=hint, output=error.output) from None
    head = f"object {record.commit}\ntype commit\ntag {record.tag}\ntagger {tagger}\n\n{summary}\n\n"
    proven = "".join(f"{line}\n" for line in proof.lines(of_release))
    message = f"{proven}\n{encode(record).decode()}" if proven else encode(record).decode()
    tag_object = git(root, "mktag", stdin=head + message)
    return Claim(tag=record.tag, object=tag_object, commit=record.commit)


def prove_push(root: Path, remote: str, tags: Iterable[str], *, branch: str = "") -> None:
    """Ask the remote, by a dry run, whether it accepts these tags and the branch.

    Raises RepositoryError if it does not, for a tag of that name that only this clone has, and for a remote that is
    pushed to one place and fetched from another that differs; VersionTaken if a tag has got an owner since the plan.
    """
    if not remote:
        return
    tags = list(tags)
    if strays := sorted(set(tags) & remote_tags(root, "").keys()):
        message = f"{', '.join(strays)} is the next version, and this clone has a tag of that name that {remote} lacks"
        stray = RepositoryError(message, hint=f"git tag --delete {' '.join(strays)}")
        raise _lost(strays, remote_tags(root, remote)) or stray
    _prove_same_place(root, remote)
    references = [f"HEAD:refs/tags/{tag}" for tag in tags] + ([f"HEAD:refs/heads/{branch}"] if branch else [])
    try:
        git(root, *_PUSH, "--dry-run", remote, *references)
    except ToolFailed as error:
        message = f"the git remote {remote} does not let us push {f'branch {branch} with ' if branch else ''}a tag"
        hint = f"git push --dry-run {remote} HEAD:refs/tags/try"
        refused = RepositoryError(message, hint=hint, output=error.output)
        raise _lost(tags, _tags_of(root, remote) or {}) or refused from None


def _prove_same_place(root: Path, remote: str) -> None:
    """Raise RepositoryError if a place that is pushed to lacks a tag that others fetch, or has one that they don't."""
    fetched_from, pushed_to = urls(root, remote)
    for place in pushed_to:
        if place == fetched_from:
            continue
        # Read before and after: a tag that another release pushes in between is no difference.
        before = remote_tags(root, remote)
        there = _tags_of(root, place)
        if there is not None and not before.items() <= there.items() <= remote_tags(root, remote).items():
            message = f"{remote} is pushed to {redact(place)}, whose tags are not those of {redact(fetched_from)}"
            hint = f"others fetch from the latter: git remote set-url --push {remote} {redact(fetched_from)}"
            raise RepositoryError(message, hint=hint)


def _tags_of(root: Path, place: str) -> dict[str, str] | None:
    """The tags of a place that is pushed to; None if it does not answer: then a push fails with its own reason."""
    try:
        return remote_tags(root, place)
    except RepositoryError:
        return None


def push(root: Path, remote: str, claims: Iterable[Claim], *, branch: str = "") -> None:
    """Push the tags, all or none, together with `branch` at their commit, and read them back; then create them here.

    Without a remote (""), creating them here is the claim. Raises VersionTaken if another release was first,
    RepositoryError if the remote refuses, can't be reached, or does not have the tags where others fetch them.
    """
    wanted = list(claims)
    if remote:
        _push_to(root, remote, wanted, branch)
    created = "".join(f"create refs/tags/{claim.tag} {claim.object}\n" for claim in wanted)
    try:
        git(root, "update-ref", "--stdin", stdin=created)
    except ToolFailed as error:
        if not remote:
            raise _refused("this repository", wanted, remote_tags(root, ""), error) from None


def _push_to(root: Path, remote: str, claims: list[Claim], branch: str) -> None:
    references = [f"{claim.object}:refs/tags/{claim.tag}" for claim in claims]
    references += [f"{claims[0].commit}:refs/heads/{branch}"] if branch else []
    for last_attempt in (False, True):
        try:
            git(root, *_PUSH, remote, *references)
        except ToolFailed as error:
            # The remote may have accepted it before the connection broke: what it has now is what counts.
            tags = _tags_after(root, remote, claims)
            if all(tags.get(claim.tag) == claim.object for claim in claims):
                return
            if last_attempt or any(claim.tag in tags for claim in claims):
                raise _refused(f"the git remote {remote}", claims, tags, error) from None
            # Another release may hold the lock of the tag (git waits 0.1 s for it), and its tag appear in a moment.
            time.sleep(_LOCKED_SECONDS)
        else:
            _read_back(root, remote, claims)
            return


def _read_back(root: Path, remote: str, claims: list[Claim]) -> None:
    """Raise RepositoryError unless the remote shows the tags where they are fetched from, which may not be at once."""
    for pause in _READ_BACKS:
        time.sleep(pause)
        tags = _tags_after(root, remote, claims)
        if all(tags.get(claim.tag) == claim.object for claim in claims):
            return
    names = ", ".join(claim.tag for claim in claims)
    place = redact(urls(root, remote)[0])
    message = f"{names} was pushed, and {place} does not have it, where others fetch from; nothing was published"
    hint = f"see where git remote get-url --push {remote} leads, and what removes tags there; then ./inv release again"
    raise RepositoryError(message, hint=hint)


def _tags_after(root: Path, remote: str, claims: list[Claim]) -> dict[str, str]:
    try:
        return remote_tags(root, remote)
    except RepositoryError as error:
        names = ", ".join(claim.tag for claim in claims)
        message = f"whether {remote} accepted {names} is unknown: it stopped answering; nothing was published"
        raise RepositoryError(message, hint="./inv release --resume", output=error.output) from None


def _lost(wanted: Iterable[str], tags: Mapping[str, str]) -> VersionTaken | None:
    """The error of a lost race if one of these tags, which were free when it was planned, is there by now."""
    taken = [tag for tag in wanted if tag in tags]
    if not taken:
        return None
    message = f"{', '.join(taken)} was taken while this release was made; nothing of it was published"
    return VersionTaken(message, hint=LOST_HINT)


def _refused(place: str, claims: list[Claim], tags: Mapping[str, str], error: ToolFailed) -> BuildError:
    refused = RepositoryError(
        f"{place} refuses the tag; nothing was published",
        hint="see what its hook or its rules say",
        output=error.output,
    )
    return _lost([claim.tag for claim in claims], tags) or refused
