"""What git tags carry: the record of a release, and its proof."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from build import console
from build.config.manifest import Manifest
from build.errors import RepositoryError
from build.git.client import git
from build.git.remote import configured_remote, fetch_version_tags
from build.git.versions import Line
from build.release import proof
from build.release.proof import Proof
from build.release.record import NoRecord, Record, decode

_MOST_PATTERNS = 100  # more tags than this on a command line cost git more than listing every tag
_SEPARATOR = "%00"


@dataclass(frozen=True, slots=True)
class Carried:
    """The record and the proof of a release, as its git tag has them."""

    record: Record
    proof: Proof


def carried(root: Path, tags: Collection[str]) -> dict[str, Carried]:
    """Map those of these tags of this clone that carry a release record to what they carry, by one git process."""
    if not tags:
        return {}
    patterns = [f"refs/tags/{tag}" for tag in tags] if len(tags) <= _MOST_PATTERNS else ["refs/tags"]
    listing = git(root, "for-each-ref", f"--format={_SEPARATOR}%(refname:strip=2)%0a%(contents)", *patterns)
    results = {}
    for part in listing.split("\0")[1:]:
        name, _, message = part.partition("\n")
        if name in tags and (record := _record_in(message)):
            results[name] = Carried(record, proof.read(message))
    return results


def records(root: Path, tags: Collection[str]) -> dict[str, Record]:
    """Map those of these tags of this clone that carry a release record to it."""
    return {tag: each.record for tag, each in carried(root, tags).items()}


def fetched(manifest: Manifest, line: Line, tag: str) -> Carried | None:
    """What a git tag carries, which is fetched if this clone lacks it; None if it can't be had."""
    if result := carried(manifest.root, [tag]).get(tag):
        return result
    try:
        if remote := configured_remote(manifest.root, manifest.release.remote):
            fetch_version_tags(manifest.root, remote, [line.prefix])
    except RepositoryError as error:
        console.warn(str(error))
    return carried(manifest.root, [tag]).get(tag)


def _record_in(message: str) -> Record | None:
    start = message.find("\n{")
    try:
        return decode(message[start + 1 :].rstrip().encode()) if start >= 0 else None
    except NoRecord:
        return None
