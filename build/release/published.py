"""What the registry knows of releases: which are complete, which are withdrawn, and what their records say."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from semver import Version

from build.config.manifest import Manifest
from build.errors import RegistryError
from build.git.tags import YANKED
from build.git.versions import Line, lines
from build.parallel import at_once
from build.registry.client import RegistryClient
from build.registry.oci import RawManifest, document_of
from build.release.names import release_repository, yank_tag
from build.release.record import RECORD_TYPE, YANK_TYPE, NoRecord, Record, decode, is_record_of

_REASON_LOST = "its reason is lost"


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """The versions in a line's release repository.

    `complete` have their record, `yanked` a mark of withdrawal (with or without a record), and `foreign` something
    else than their record.
    """

    complete: frozenset[Version]
    yanked: frozenset[Version]
    foreign: frozenset[Version] = frozenset()

    @property
    def eligible(self) -> frozenset[Version]:
        """The versions that floats may point to and deployments may use."""
        return self.complete - self.yanked


def known(registry: RegistryClient, repository: str) -> Known:
    """Read which versions a release repository has; tags that are not versions are ignored. Raises RegistryError."""
    tagged: set[Version] = set()
    yanked: set[Version] = set()
    for tag in registry.tags(repository):
        versions = yanked if tag.endswith(YANKED) else tagged
        try:
            versions.add(Version.parse(tag.removesuffix(YANKED)))
        except ValueError:
            continue
    contents = at_once(lambda version: registry.immutable_manifest(repository, str(version)), tagged)
    present = {version: stored for version, stored in zip(tagged, contents, strict=True) if stored}
    complete = {version for version, stored in present.items() if is_record_of(stored.content, str(version))}
    return Known(
        complete=frozenset(complete), yanked=frozenset(yanked), foreign=frozenset(present.keys() - complete)
    )  # fmt: skip


def known_lines(manifest: Manifest, registry: RegistryClient) -> dict[str, Known]:
    """Read which versions the registry has of each line. Raises RegistryError."""
    names = [line.name for line in lines(manifest)]
    results = at_once(lambda name: known(registry, release_repository(manifest, name)), names)
    return dict(zip(names, results, strict=True))


def fetch(registry: RegistryClient, repository: str, version: Version | str) -> Record | None:
    """The record of a complete release, or None. Raises NoRecord if the tag names something else."""
    document = _document(registry, repository, str(version), RECORD_TYPE)
    return decode(document) if document is not None else None


def yank_reason(registry: RegistryClient, repository: str, version: Version | str) -> str | None:
    """Why a release was withdrawn, or None if it was not. A mark counts even if its reason can't be read."""
    if yank_tag(version) not in registry.tags(repository):
        return None
    try:
        document = _document(registry, repository, yank_tag(version), YANK_TYPE)
        return str(json.loads(document or b"")["reason"])
    except (NoRecord, ValueError, LookupError, TypeError):
        return _REASON_LOST


def _document(registry: RegistryClient, repository: str, tag: str, kind: str) -> bytes | None:
    stored = registry.manifest(repository, tag)
    if stored is None:
        return None
    if not (digest := document_of(stored.content, kind)):
        raise NoRecord(f"{repository}:{tag} is not of type {kind}: something else wrote it", hint="./inv releases")
    return registry.blob(repository, digest)


def load(registry: RegistryClient, repository: str, digest: str) -> RawManifest:
    """The manifest with this digest. Raises RegistryError if the registry lacks it."""
    stored = registry.manifest(repository, digest)
    if stored is None:
        raise RegistryError(
            f"the registry has no {repository}@{digest}", hint="restore it, or give the version up: ./inv yank"
        )
    return stored


def newest_images(
    manifest: Manifest,
    registry: RegistryClient,
    released: Mapping[str, Known],
    *,
    all_lines: Iterable[Line],
    excluded: Collection[str],
) -> dict[str, str]:
    """Map each service that is not `excluded` to name@digest in the newest eligible release of its line.

    Raises RegistryError, NoRecord.
    """
    images = {}
    for line in all_lines:
        eligible = released[line.name].eligible
        if not eligible or set(line.services) <= set(excluded):
            continue
        record = fetch(registry, release_repository(manifest, line.name), max(eligible))
        for service in line.services if record else ():
            if record and service in record.services and service not in excluded:
                images[service] = f"{manifest.image(service)}@{record.services[service].digest}"
    return images
