"""Tags of a release in the registry: put once, read back, moved forward only.

A registry may lie by accident: acknowledge a tag and lose it, give two racers a success and keep one, refuse an equal
tag that is immutable. So what counts is what it says afterwards, never what it answered to the PUT.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from semver import Version

from build.errors import RegistryError, VersionTaken
from build.git.tags import YANKED
from build.parallel import at_once
from build.registry.client import Distribution
from build.registry.oci import Artifact, Stored, digest_of, document_of
from build.release import floats
from build.release.record import RECORD_TYPE, YANK_TYPE, NoRecord, Record, decode, is_record_of, of_record

_READ_BACKS = (0.3, 1.0, 1.0)  # seconds that a tag which is not there at once gets before it is put again
_ROUNDS, _BETWEEN_ROUNDS = 6, 0.3
_REASON_LOST = "its reason is lost"
_REFUSES_NAME = {400, 403, 405, 409, 412, 422}


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """The releases of a line that the registry knows: complete ones, and those that are withdrawn.

    `foreign` are the versions under which the release repository has something else than their record.
    """

    complete: frozenset[Version]
    yanked: frozenset[Version]
    foreign: frozenset[Version] = frozenset()

    @property
    def eligible(self) -> frozenset[Version]:
        """What floats may name and a deployment may take."""
        return self.complete - self.yanked


def known(registry: Distribution, repository: str) -> Known:
    """What a line's release repository has; tags that are no version are passed over, and a mark alone withdraws."""
    named: set[Version] = set()
    yanked: set[Version] = set()
    for tag in registry.tags(repository):
        target = yanked if tag.endswith(YANKED) else named
        try:
            target.add(Version.parse(tag.removesuffix(YANKED)))
        except ValueError:
            continue
    there = dict(zip(named, at_once(lambda one: registry.lasting(repository, str(one)), named), strict=True))
    complete = {one for one, found in there.items() if found and is_record_of(found.content, str(one))}
    foreign = {one for one, found in there.items() if found and one not in complete}
    return Known(complete=frozenset(complete), yanked=frozenset(yanked), foreign=frozenset(foreign))


def fetch(registry: Distribution, repository: str, version: str) -> Record | None:
    """The record of a complete release; None when the registry has none. Raises NoRecord for something else there."""
    document = _document(registry, repository, version, RECORD_TYPE)
    return decode(document) if document is not None else None


def yank_reason(registry: Distribution, repository: str, version: str) -> str | None:
    """Why a release was withdrawn; None when it was not. The mark counts, even where what it says is lost."""
    if f"{version}{YANKED}" not in registry.tags(repository):
        return None
    try:
        document = _document(registry, repository, f"{version}{YANKED}", YANK_TYPE)
        return str(json.loads(document or b"")["reason"])
    except (NoRecord, ValueError, LookupError, TypeError):
        return _REASON_LOST


def _document(registry: Distribution, repository: str, tag: str, kind: str) -> bytes | None:
    found = registry.manifest(repository, tag)
    if found is None:
        return None
    if not (digest := document_of(found.content, kind)):
        raise NoRecord(f"{repository}:{tag} is no {kind}: something else put it there", hint="./inv releases")
    return registry.blob(repository, digest)


def pin(registry: Distribution, repository: str, tag: str, stored: Stored) -> bool:
    """Let an immutable tag name these bytes, and see that it does; False when it did already (then nothing is put).

    Raises VersionTaken when it names another digest: the version is burned. RegistryError when it can't be made.
    """
    if _same(registry.digest(repository, tag), repository, tag, stored):
        return False
    for pause in _READ_BACKS:
        try:
            registry.put_manifest(repository, tag, stored.content, stored.media_type)
        except RegistryError:
            # The answer may have been lost, or a racer or an earlier try was first: the tag itself tells.
            if not _same(registry.digest(repository, tag), repository, tag, stored):
                raise
            return True
        for wait in (0.0, pause):
            time.sleep(wait)
            if _same(registry.digest(repository, tag), repository, tag, stored):
                return True
    raise RegistryError(f"{repository}:{tag} was acknowledged {len(_READ_BACKS)} times and is not there")


def _same(found: str | None, repository: str, tag: str, stored: Stored) -> bool:
    if found in {None, stored.digest}:
        return found is not None
    raise VersionTaken(
        f"{repository}:{tag} names {found}, this release would be {stored.digest}: the version is burned",
        hint="give the version up: ./inv yank",
    )


def store(registry: Distribution, repository: str, tag: str, artifact: Artifact) -> bool:
    """Put an artifact under an immutable tag; False when it is there already."""
    if registry.digest(repository, tag) == artifact.manifest.digest:
        return False
    for blob in artifact.blobs:
        if not registry.has_blob(repository, digest_of(blob)):
            registry.put_blob(repository, digest_of(blob), blob)
    return pin(registry, repository, tag, artifact.manifest)


def load(registry: Distribution, repository: str, digest: str) -> Stored:
    """A manifest by digest. Raises RegistryError when the registry lacks it."""
    found = registry.manifest(repository, digest)
    if found is None:
        raise RegistryError(
            f"the registry has no {repository}@{digest}", hint="restore it, or give the version up: ./inv yank"
        )
    return found


def images(registry: Distribution, record: Record, staged: Mapping[str, Stored]) -> int:
    """Put X.Y.Z for every service of the record; how many tags had to be put. `staged` need not be fetched."""
    namespace = record.registry.partition("/")[2]

    def one(service: str) -> bool:
        repository = f"{namespace}/{service}"
        digest = record.services[service].digest
        held = staged.get(service)
        stored = held if held and held.digest == digest else load(registry, repository, digest)
        return pin(registry, repository, record.version, stored)

    return sum(at_once(one, record.services))


def record(registry: Distribution, made: Record) -> bool:
    """Put the release record: from here on the release is complete. False when it is there already."""
    return store(registry, made.repository, made.version, of_record(made))


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """A float and the release that it was pointed at."""

    name: str
    version: Version


def move_floats(
    registry: Distribution,
    repository: str,
    *,
    only: Sequence[str] = (),
    audit: bool = False,
    suspects: Collection[str] = (),
    held: Mapping[Version, Record] | None = None,
    staged: Mapping[str, Stored] | None = None,
) -> list[Move]:
    """Let every float, or those of `only`, name the release that must have it; those that something was put for.

    The release repository has floats too. They are put last: where RELEASE:X.Y is right, the services' are, unless a
    racer was killed at the wrong moment, so `audit` looks at each of them, or at those of the floats `suspects`.
    `held` and `staged` are records and manifests that need not be fetched.

    Two releases may do this at once, and the one that computed first may put last. So after putting, the winners are
    computed again from the registry. Whoever put last sees the other's record then, and corrects what it put.
    """
    done: dict[str, Version] = {}
    put: dict[str, Version] = {}
    pause = 0.0
    for _ in range(_ROUNDS):
        time.sleep(pause)
        wanted = floats.winners(known(registry, repository).eligible)
        todo = [
            Move(name=name, version=version)
            for name, version in wanted.items()
            if (not only or name in only)
            and done.get(name) != version
            and (audit or name in suspects or name in done or not _marked(registry, repository, name, version))
        ]
        if not todo:
            return [Move(name=name, version=version) for name, version in put.items()]
        for version in sorted({move.version for move in todo}):
            names = [move.name for move in todo if move.version == version]
            made = (held or {}).get(version) or _complete(registry, repository, version)
            pointed = _point(registry, made, names, staged or {})
            put |= {one.name: version for one in pointed if one.put}
            unsettled = {one.name for one in pointed if not one.stayed}
            done |= {name: version for name in names if name not in unsettled}
            pause = _BETWEEN_ROUNDS if unsettled else 0.0
    message = f"the floats of {repository} do not settle: another release moves them, or the registry loses them"
    raise RegistryError(message, hint="./inv release --resume")


def _marked(registry: Distribution, repository: str, name: str, version: Version) -> bool:
    return registry.digest(repository, name) == registry.digest(repository, str(version))


def _complete(registry: Distribution, repository: str, version: Version) -> Record:
    made = fetch(registry, repository, str(version))
    if made is None:
        raise RegistryError(f"{repository}:{version} was complete and is gone", hint="restore the registry")
    return made


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pointed:
    """What came of one float: whether something had to be put, and whether it was there afterwards."""

    name: str
    put: bool
    stayed: bool


def _point(registry: Distribution, made: Record, names: Sequence[str], staged: Mapping[str, Stored]) -> list[_Pointed]:
    """Point the floats `names` of every service at a release, and when all of them stayed there, its record's."""
    namespace = made.registry.partition("/")[2]

    def one(service: str) -> list[_Pointed]:
        held = staged.get(service)
        stored = held if held and held.digest == made.services[service].digest else None
        return _settle(registry, f"{namespace}/{service}", names, made.services[service].digest, stored)

    found = [pointed for service in at_once(one, made.services) for pointed in service]
    settled = [name for name in names if all(one.stayed for one in found if one.name == name)]
    mark = of_record(made).manifest
    return found + _settle(registry, made.repository, settled, mark.digest, mark)


def _settle(
    registry: Distribution, repository: str, names: Sequence[str], digest: str, stored: Stored | None
) -> list[_Pointed]:
    found = []
    for name in names:
        if registry.digest(repository, name) == digest:
            found.append(_Pointed(name=name, put=False, stayed=True))
            continue
        stored = stored or load(registry, repository, digest)
        found.append(_Pointed(name=name, put=True, stayed=_put_float(registry, repository, name, stored)))
    return found


def _put_float(registry: Distribution, repository: str, tag: str, stored: Stored) -> bool:
    try:
        registry.put_manifest(repository, tag, stored.content, stored.media_type)
    except RegistryError as error:
        if registry.digest(repository, tag) == stored.digest:
            return True
        if error.status in _REFUSES_NAME:
            error.hint = "./inv doctor --registry learns who moves floats there; then ./inv release --resume"
        raise
    return registry.digest(repository, tag) == stored.digest
