"""Writing a release to the registry: its immutable tags, then its record, each verified by reading it back.

A registry may acknowledge a tag and lose it, report success to two racers and keep one, or refuse an equal PUT of an
immutable tag. So only what it answers to a later read counts, never its answer to the PUT.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from build.errors import RegistryError, VersionTaken
from build.parallel import at_once
from build.registry.client import RegistryClient
from build.registry.oci import EMPTY, Artifact, RawManifest, digest_of
from build.release.record import Record, of_record
from build.release.stored import UNREADABLE, digest_unless_unreadable, load

_READ_BACKS = (0.3, 1.0, 1.0)  # seconds that a tag which is not visible at once gets before the next PUT


def pin(registry: RegistryClient, repository: str, tag: str, stored: RawManifest) -> bool:
    """Point an immutable tag at this manifest and verify it by reading it back; False if it was there already.

    An existing tag is never put again: Harbor answers 412 even to an equal PUT. Raises VersionTaken if the tag names
    another digest (the version is burned), RegistryError if it can't be written.
    """
    if _is_there(registry, repository, tag, stored):
        return False
    _write(registry, repository, tag, stored)
    return True


def _write(registry: RegistryClient, repository: str, tag: str, stored: RawManifest) -> None:
    """Put a tag that does not exist, and read it back. Raises as `pin` does."""
    for pause in _READ_BACKS:
        try:
            registry.put_manifest(repository, tag, stored.content, stored.media_type)
        except RegistryError:
            # The answer may have been lost, or a racer or an earlier attempt was first: read the tag.
            if not _matches(registry.digest_but(repository, tag, stored.digest), repository, tag, stored):
                raise
            return
        for wait in (0.0, pause):
            time.sleep(wait)
            if _matches(registry.digest_but(repository, tag, stored.digest), repository, tag, stored):
                return
    raise RegistryError(f"{repository}:{tag} was acknowledged {len(_READ_BACKS)} times and does not exist")


def _is_there(registry: RegistryClient, repository: str, tag: str, stored: RawManifest) -> bool:
    digest = digest_unless_unreadable(registry, repository, tag, new=True)
    return digest != UNREADABLE and _matches(digest, repository, tag, stored)


def _matches(digest: str | None, repository: str, tag: str, stored: RawManifest) -> bool:
    if digest in {None, stored.digest}:
        return digest is not None
    raise VersionTaken(
        f"{repository}:{tag} names {digest}, this release would be {stored.digest}: the version is burned",
        hint="give the version up: ./inv yank",
    )


def store(registry: RegistryClient, repository: str, tag: str, artifact: Artifact) -> bool:
    """Put an artifact under an immutable tag; False if it was there already. Raises as `pin` does."""
    if _is_there(registry, repository, tag, artifact.manifest):
        return False
    for blob in artifact.blobs:
        # Only the empty configuration is there from other releases; the document is of this one.
        if blob != EMPTY or not registry.has_blob(repository, digest_of(blob)):
            registry.put_blob(repository, digest_of(blob), blob)
    _write(registry, repository, tag, artifact.manifest)
    return True


def images(registry: RegistryClient, record: Record, staged: Mapping[str, RawManifest]) -> int:
    """Put X.Y.Z for every service of the record; the number of tags written.

    Manifests in `staged` (by service) are not fetched again. Raises as `pin` does.
    """

    def put(service: str) -> bool:
        repository, digest = record.repository_of(service), record.services[service].digest
        local = staged.get(service)
        stored = local if local and local.digest == digest else load(registry, repository, digest)
        return pin(registry, repository, record.version, stored)

    return sum(at_once(put, record.services))


def record(registry: RegistryClient, release: Record) -> bool:
    """Put the release record, which makes the release complete; False if it was there already. Raises as `pin` does."""
    return store(registry, release.repository, release.version, of_record(release))
