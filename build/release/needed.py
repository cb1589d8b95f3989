"""What must stay in the registry: what claims, records, this checkout and deploy targets name by digest."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from semver import Version

from build.config.manifest import Manifest
from build.git.tags import YANKED
from build.git.versions import Line, lines
from build.images import store
from build.registry.client import RegistryClient
from build.release import attach, candidates, carried, floats
from build.release.carried import Carried
from build.release.names import release_repository, service_repository, versions_of, yank_tag
from build.release.proof import UNSIGNED
from build.release.record import NoRecord, of_record
from build.release.stored import fetch

Digests = Mapping[tuple[str, str], str]  # by repository and digest: what needs it, in words


@dataclass(frozen=True, kw_only=True, slots=True)
class Needed:
    """What must stay: the digests, with what needs each, and by repository the tags that are releases' or floats."""

    digests: Digests
    tags: Mapping[str, frozenset[str]]


def read(manifest: Manifest, registry: RegistryClient, claims: Collection[str], deployed: Digests) -> Needed:
    """What the claims, the records in the registry, this checkout's last images and `deployed` need.

    A claim counts whether it is complete, withdrawn or can still be finished. Raises RegistryError.
    """
    digests = _of_checkout(manifest) | dict(deployed)
    tags: dict[str, frozenset[str]] = {}
    for line in lines(manifest):
        repository = release_repository(manifest, line.name)
        releases = _carried(manifest, registry, line, claims)
        for each in releases:
            digests |= dict.fromkeys(_named_by(manifest, each), f"{each.record.line} {each.record.version}")
        versions = {*map(str, versions_of(line, claims)), *(each.record.version for each in releases)}
        names = {name for each in releases for name in floats.names(each.record.parsed)}
        for place in (repository, *(service_repository(manifest, service) for service in line.services)):
            tags[place] = frozenset(versions | names | set(map(yank_tag, versions)))
    return Needed(digests=digests, tags=tags)


def _carried(manifest: Manifest, registry: RegistryClient, line: Line, claims: Collection[str]) -> list[Carried]:
    """What the git tags of a line carry, and the records that only the registry has, as a bundle brings them."""
    results = list(carried.carried(manifest.root, list(versions_of(line, claims).values())).values())
    claimed = {each.record.version for each in results}
    repository = release_repository(manifest, line.name)
    for tag in registry.tags(repository):
        if Version.is_valid(tag) and tag not in claimed and not tag.endswith(YANKED):
            with contextlib.suppress(NoRecord):
                if record := fetch(registry, repository, tag):
                    results.append(Carried(record, UNSIGNED))
    return results


def _named_by(manifest: Manifest, each: Carried) -> Iterator[tuple[str, str]]:
    """What a record and its proof name, by repository and digest, in this registry, wherever it was released."""
    record, proof = each.record, each.proof
    released_in = f"{record.registry.partition('/')[2]}/"
    named = [
        (record.repository, of_record(record).manifest.digest),
        *((record.repository_of(service), image.digest) for service, image in record.services.items()),
        *((one.repository, one.digest) for one in proof.signatures),
        *((one.repository, one.manifest) for one in proof.attestations),
        *((bill.repository, bill.artifact.manifest.digest) for bill in attach.bills(record)),
    ]
    for repository, digest in named:
        yield service_repository(manifest, repository.removeprefix(released_in)), digest


def _of_checkout(manifest: Manifest) -> dict[tuple[str, str], str]:
    built = {
        (service_repository(manifest, name), image.digest): "the last build of this checkout"
        for name, image in store.recorded(manifest).items()
    }
    staged = {
        (service_repository(manifest, name), candidate.digest): "the candidate that the next release may use"
        for name, candidate in candidates.remembered(manifest.workspace.candidates).items()
    }
    return built | staged
