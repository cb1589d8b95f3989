"""What a repository of the registry has: what its tags name, and which manifests name which others."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from build.parallel import at_once
from build.registry.client import RegistryClient
from build.release.stored import UNREADABLE, digest_unless_unreadable
from build.signing import attached


@dataclass(frozen=True, kw_only=True, slots=True)
class Inventory:
    """A repository: its tags with what they name (a digest, or UNREADABLE), and the manifests that it was asked for.

    `parts` maps each of these manifests to those that it names, its images for each platform and their attestations;
    one that the repository lacks is not among them.
    """

    repository: str
    tags: Mapping[str, str]
    parts: Mapping[str, tuple[str, ...]]

    def whole(self, digests: Iterable[str]) -> set[str]:
        """Those of the manifests that are there, with everything below them."""
        return {part for digest in digests for part in self.below(digest)}

    def below(self, digest: str) -> Iterator[str]:
        """A manifest that is there and all below it, the parts before the whole."""
        if digest in self.parts:
            for part in self.parts[digest]:
                yield from self.below(part)
            yield digest

    def named(self, digest: str) -> list[str]:
        """The tags that name a manifest."""
        return [tag for tag, named in self.tags.items() if named == digest]


def read(registry: RegistryClient, repository: str, asked: Collection[str]) -> Inventory:
    """Read a repository: its tags, what they name, the manifests `asked` for, and those that tags are attached to.

    Raises RegistryError, also for a manifest that can't be read: what it names is not known then.
    """
    listed = registry.tags(repository)
    named = at_once(lambda tag: digest_unless_unreadable(registry, repository, tag), listed)
    tags = {tag: digest for tag, digest in zip(listed, named, strict=True) if digest}
    subjects = {subject[0] for tag in tags if (subject := attached.subject_of(tag))}
    parts: dict[str, tuple[str, ...]] = {}
    todo = {*tags.values(), *asked, *subjects} - {UNREADABLE}
    seen: set[str] = set()
    while todo:
        seen |= todo
        manifests = at_once(lambda digest: registry.manifest(repository, digest), sorted(todo))
        new = {stored.digest: _parts(stored.content) for stored in manifests if stored}
        parts |= new
        todo = {part for names in new.values() for part in names} - seen
    return Inventory(repository=repository, tags=tags, parts=parts)


def _parts(content: bytes) -> tuple[str, ...]:
    return tuple(child["digest"] for child in json.loads(content).get("manifests") or ())
