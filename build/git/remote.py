"""Version tags on the git remote, which decides who owns a version, and in this clone after a fetch."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from build.errors import RepositoryError, ToolFailed
from build.git.client import git
from build.git.versions import parse_tag

_MOST_PATTERNS = 100  # more tags than this on a command line cost git more than listing every tag


def configured_remote(root: Path, name: str) -> str:
    """Return the remote's name, or "" if it is not configured: then this clone decides who owns a version."""
    return name if name and name in git(root, "remote").split() else ""


def remote_tags(root: Path, name: str) -> dict[str, str]:
    """Map every tag of the remote (of this clone if `name` is "") to its object.

    Raises RepositoryError if the remote does not answer.
    """
    try:
        listing = git(root, "ls-remote", "--refs", "--tags", name or ".")
    except ToolFailed as error:
        message = f"the git remote {name} does not answer, and it decides who owns a version"
        hint = f"git ls-remote {name}"
        raise RepositoryError(message, hint=hint, output=error.output or str(error)) from None
    pairs = (line.split("\t") for line in listing.splitlines())
    return {reference.removeprefix("refs/tags/"): target for target, reference in pairs}


def version_tags(root: Path, name: str, prefixes: Collection[str]) -> dict[str, str]:
    """Map the version tags of `remote_tags` to their objects: those that parse behind one of the `prefixes`."""
    tags = remote_tags(root, name)
    return {tag: target for tag, target in tags.items() if any(parse_tag(prefix, tag) for prefix in prefixes)}


def fetch_version_tags(root: Path, name: str, prefixes: Collection[str]) -> dict[str, str]:
    """Fetch the remote's version tags and map all of them to their objects; other tags may differ from local ones.

    Without a remote (""), the tags of this clone count. Raises RepositoryError if the remote does not answer, or if a
    local tag of the same name points to another object.
    """
    tags = version_tags(root, name, prefixes)
    if not name:
        return tags
    local = remote_tags(root, "")
    if conflicts := sorted(tag for tag in tags if local.get(tag, tags[tag]) != tags[tag]):
        hint = f"git fetch --tags --force {name}   (drops the local ones)"
        raise RepositoryError(f"local tags differ from those of {name}: {', '.join(conflicts)}", hint=hint)
    if missing := [f"refs/tags/{tag}:refs/tags/{tag}" for tag in tags if tag not in local]:
        try:
            git(root, "fetch", "--quiet", "--no-tags", "--stdin", name, stdin="\n".join(missing) + "\n")
        except ToolFailed as error:
            hint = f"git fetch --tags {name}"
            raise RepositoryError(f"the tags of {name} can't be fetched", hint=hint, output=error.output) from None
    return tags


def newest_tags(root: Path, tags: Collection[str], count: int) -> list[str]:
    """Return the `count` most recent of these tags, by their taggers' clocks, newest first."""
    listing = git(root, "for-each-ref", "--sort=-creatordate", "--format=%(refname:strip=2)", "refs/tags")
    return [tag for tag in listing.splitlines() if tag in tags][:count]


def tags_containing(root: Path, commit: str, tags: Collection[str]) -> list[str]:
    """Return those of these tags from which the commit is reachable, by one git process; none without tags."""
    if not tags:
        return []
    patterns = tags if len(tags) <= _MOST_PATTERNS else ()
    listing = git(root, "tag", "--no-column", "--list", "--contains", commit, *patterns)
    return [tag for tag in listing.splitlines() if tag in tags]
