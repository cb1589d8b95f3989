"""Tags and branches on the git remote, which decides who owns a version, and tags in this clone after a fetch."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from build.errors import RepositoryError, ToolFailed
from build.git.client import git
from build.git.versions import parse_tag

_MOST_PATTERNS = 100  # more tags than this on a command line cost git more than listing every tag


def configured_remote(root: Path, name: str) -> str:
    """Return the name of the remote that decides who owns a version; "" if the setting is: then this clone decides.

    Raises RepositoryError if this clone has no remote of that name.
    """
    present = git(root, "remote").splitlines() if name else []
    if name and name not in present:
        message = f"[release] remote is {name!r}, and this clone has {', '.join(present) or 'no remote'}"
        instead = f'release.remote = "{present[0]}"' if present else f"git remote add {name} URL"
        hint = f'{instead}; or release.remote = "" if this clone alone decides who owns a version'
        raise RepositoryError(message, hint=hint)
    return name


def urls(root: Path, name: str) -> tuple[str, tuple[str, ...]]:
    """Return where a remote is fetched from, and every place that a push to it goes to (git-remote, pushurl)."""
    pushed_to = git(root, "remote", "get-url", "--push", "--all", name).splitlines()
    return git(root, "remote", "get-url", name), tuple(pushed_to)


def remote_tags(root: Path, name: str) -> dict[str, str]:
    """Map every tag of the remote (of this clone if `name` is "") to its object.

    Raises RepositoryError if the remote does not answer.
    """
    return _listed(root, name, "refs/tags/", "--refs", "--tags")


def tagged_commits(root: Path, name: str) -> dict[str, str]:
    """Map every tag of the remote to the commit that it names, also a tag that this clone does not have.

    Raises RepositoryError if the remote does not answer.
    """
    listed = _listed(root, name, "refs/tags/", "--tags")
    return {tag: listed.get(f"{tag}^{{}}", target) for tag, target in listed.items() if not tag.endswith("^{}")}


def branches_with(root: Path, name: str, commit: str, branches: Collection[str]) -> list[str]:
    """Return those of these branches that have the commit on the remote; their tips are fetched without a name.

    Raises RepositoryError if the remote does not answer.
    """
    tips = {branch: tip for branch, tip in remote_branches(root, name).items() if branch in branches}
    if unknown := sorted(f"refs/heads/{branch}" for branch, tip in tips.items() if not _present(root, tip)):
        try:
            git(root, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", name, *unknown)
        except ToolFailed as error:
            raise _silent(name, error) from None
    return [branch for branch, tip in tips.items() if tip == commit or _descends(root, commit, tip)]


def remote_branches(root: Path, name: str) -> dict[str, str]:
    """Map every branch of the remote to its tip. Raises RepositoryError if the remote does not answer."""
    return _listed(root, name, "refs/heads/", "--heads")


def _listed(root: Path, name: str, prefix: str, *options: str) -> dict[str, str]:
    try:
        listing = git(root, "ls-remote", *options, name or ".")
    except ToolFailed as error:
        raise _silent(name, error) from None
    pairs = (line.split("\t") for line in listing.splitlines())
    return {reference.removeprefix(prefix): target for target, reference in pairs}


def _silent(name: str, error: ToolFailed) -> RepositoryError:
    message = f"the git remote {name} does not answer, and it decides who owns a version"
    return RepositoryError(message, hint=f"git ls-remote {name}", output=error.output or str(error))


def _present(root: Path, commit: str) -> bool:
    try:
        git(root, "cat-file", "-e", f"{commit}^{{commit}}")
    except ToolFailed:
        return False
    return True


def _descends(root: Path, commit: str, tip: str) -> bool:
    """Whether the commit is `tip` or an ancestor of it."""
    return not git(root, "rev-list", "--max-count=1", commit, f"^{tip}")


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
    listing = git(root, "tag", "--list", "--contains", commit, *patterns)
    return [tag for tag in listing.splitlines() if tag in tags]


def tags_at(root: Path, commit: str, tags: Collection[str]) -> frozenset[str]:
    """Return those of these tags that name the commit, by one git process."""
    listing = git(root, "for-each-ref", f"--points-at={commit}", "--format=%(refname:strip=2)", "refs/tags")
    return frozenset(tag for tag in listing.splitlines() if tag in tags)
