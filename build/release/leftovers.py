"""What of a repository no release, no deployment and no float needs. Pure: nothing here asks the registry."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from build.git.versions import snapshot_of
from build.registry import policy
from build.release.inventory import Inventory
from build.release.stored import UNREADABLE
from build.signing import attached

Kind = Literal["development build", "candidate", "signature", "attestation", "bill of materials", "probe"]
NOT_OURS = "not ours"
_OLDER = "older than those that stay"
_KINDS: dict[str, Kind] = {"sig": "signature", "att": "attestation", "sbom": "bill of materials"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Leftover:
    """What is not needed: a manifest, its tag ("" for a candidate, which has none), what it is, and why it goes."""

    repository: str
    tag: str
    digest: str
    kind: Kind
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A tag that stays, and why: what it is, or what else needs the manifest that it names."""

    repository: str
    tag: str
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sorted:
    """A repository, sorted: what goes, in the order of its deletion, and the tags that stay.

    `safe` are the manifests that must not be deleted, whatever else names them.
    """

    inventory: Inventory
    leftovers: tuple[Leftover, ...]
    kept: tuple[Kept, ...]
    safe: frozenset[str]

    def manifests(self, leftover: Leftover) -> list[str]:
        """The manifests that go with a leftover, the parts before the whole.

        The tag goes with the last of them, so what a killed process left is sorted again as it was.
        """
        return [digest for digest in self.inventory.below(leftover.digest) if digest not in self.safe]


def sort(
    inventory: Inventory, releases: Collection[str], needed: Mapping[str, str], candidates: Collection[str],
    *, keep: int,
) -> Sorted:  # fmt: skip
    """Sort a repository: `releases` are the tags of releases and floats, `needed` the digests that must stay, and why.

    `candidates` are digests that were staged, and go unless something needs them. `keep` is how many of the newest
    development builds stay, by the precedence of SemVer.
    """
    named = inventory.tags
    kept = {tag: why for tag, digest in named.items() if (why := _reason(tag, digest, releases))}
    attachments = {tag: subject for tag in named if tag not in kept and (subject := attached.subject_of(tag))}
    builds = {tag: version for tag in named if tag not in kept and (version := snapshot_of(tag))}
    newest = sorted(builds, key=builds.__getitem__, reverse=True)
    kept |= dict.fromkeys(newest[:keep], "one of the newest development builds")
    names = {named[tag]: tag for tag in (*attachments, *kept)}
    safe = inventory.whole({*names, *needed})
    kept |= {tag: _shared(named[tag], names, needed) for tag in newest[keep:] if named[tag] in safe}
    images = [
        *(_leftover(inventory, tag, "development build", _OLDER) for tag in newest if tag not in kept),
        *(
            _candidate(inventory, digest)
            for digest in sorted(candidates)
            if digest in inventory.parts and digest not in safe and not inventory.named(digest)
        ),
    ]
    going = inventory.whole(each.digest for each in images) - safe
    orphans = list(_orphans(inventory, attachments, needed, going, kept))
    orphaned = {each.tag for each in orphans}
    kept |= {tag: "attached to what stays" for tag in attachments if tag not in orphaned}
    safe = inventory.whole({*(named[tag] for tag in kept), *needed})
    kept |= {each.tag: _shared(each.digest, names, needed) for each in orphans if each.digest in safe}
    return Sorted(
        inventory=inventory,
        leftovers=(*(each for each in orphans if each.tag not in kept), *images),
        kept=tuple(Kept(repository=inventory.repository, tag=tag, why=kept[tag]) for tag in sorted(kept)),
        safe=frozenset(safe),
    )


def sort_probes(inventory: Inventory) -> Sorted:
    """Sort the scratch repository of probes: what a killed one left there goes, or what it could not delete then."""
    left = sorted(tag for tag in inventory.tags if policy.is_of_a_probe(tag) and inventory.tags[tag] != UNREADABLE)
    kept = sorted(inventory.tags.keys() - set(left))
    safe = inventory.whole(inventory.tags[tag] for tag in kept)
    return Sorted(
        inventory=inventory,
        leftovers=tuple(
            _leftover(inventory, tag, "probe", "left by a probe") for tag in left if inventory.tags[tag] not in safe
        ),
        kept=tuple(Kept(repository=inventory.repository, tag=tag, why=NOT_OURS) for tag in kept),
        safe=frozenset(safe),
    )


def _reason(tag: str, digest: str, releases: Collection[str]) -> str:
    """Why a tag stays by its name alone, "" if that is not decided by it."""
    if tag in releases:
        return "a release, or a float"
    if digest == UNREADABLE:
        return "it can't be read"
    return "" if attached.subject_of(tag) or snapshot_of(tag) else NOT_OURS


def _orphans(
    inventory: Inventory, attachments: Mapping[str, tuple[str, str]], needed: Collection[str], going: set[str],
    kept: Collection[str],
) -> Iterator[Leftover]:  # fmt: skip
    """What is attached to manifests that are gone or go, and so on: a signature of such an attestation goes, too."""
    going = set(going)
    staying = {inventory.tags[tag] for tag in kept}
    todo = dict(attachments)
    while orphans := {
        tag: subject for tag, (subject, _) in todo.items()
        if subject in going or (subject not in inventory.parts and subject not in needed)
    }:  # fmt: skip
        for tag, subject in orphans.items():
            why = "its image goes" if subject in inventory.parts else "its image is gone"
            yield _leftover(inventory, tag, _KINDS[todo.pop(tag)[1]], why)
            if inventory.tags[tag] not in staying:
                going.add(inventory.tags[tag])


def _candidate(inventory: Inventory, digest: str) -> Leftover:
    return Leftover(repository=inventory.repository, tag="", digest=digest, kind="candidate", why="never released")


def _leftover(inventory: Inventory, tag: str, kind: Kind, why: str) -> Leftover:
    return Leftover(repository=inventory.repository, tag=tag, digest=inventory.tags[tag], kind=kind, why=why)


def _shared(digest: str, names: Mapping[str, str], needed: Mapping[str, str]) -> str:
    """Why a manifest stays although the tag at hand does not need it."""
    if digest in needed:
        return f"needed by {needed[digest]}"
    return f"{names[digest]} names the same" if digest in names else "part of what stays"
