"""The releases there are: what git's tags claim, joined with what the registry holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from semver import Version

from build import console
from build.config.manifest import Manifest
from build.errors import RepositoryError
from build.git.remote import configured_remote, remote_tags
from build.git.versions import Line, lines
from build.parallel import at_once
from build.registry.client import RegistryClient
from build.release import claim, published
from build.release.names import release_repository, versions_of
from build.release.published import Known
from build.release.record import Record


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """One release as it is listed.

    `state` is complete, interrupted (claimed, and not all in the registry), yanked, or foreign: a version in git or
    in the release repository that no release of this registry made. `skipped` are its skipped gates, `digests` its
    services' images.
    """

    line: str
    version: str
    tag: str
    state: Literal["complete", "interrupted", "yanked", "foreign"]
    created: str = ""
    commit: str = ""
    authority: str = ""
    skipped: tuple[str, ...] = ()
    waivers: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()
    reason: str = ""
    digests: dict[str, str] | None = None


def all_of(manifest: Manifest) -> list[Release]:
    """Every release that git's tags or the registry know, newest version first, line by line.

    If the remote does not answer, that is a warning: what was claimed elsewhere and interrupted is not listed then.
    Raises RegistryError.
    """
    with RegistryClient(manifest) as registry:
        try:
            claim.fetch_claims(manifest, configured_remote(manifest.root, manifest.release.remote))
        except RepositoryError as error:
            console.warn(f"{error}; the tags of this clone are listed")
        tags = list(remote_tags(manifest.root, ""))
        return [release for line in lines(manifest) for release in _of_line(manifest, registry, line, tags)]


def _of_line(manifest: Manifest, registry: RegistryClient, line: Line, tags: Sequence[str]) -> list[Release]:
    repository = release_repository(manifest, line.name)
    known = published.known(registry, repository)
    tagged = versions_of(line, tags)
    records = {record.parsed: record for record in claim.records(manifest.root, list(tagged.values())).values()}
    untagged = [version for version in known.complete if version not in records]
    fetched = at_once(lambda version: published.fetch(registry, repository, version), untagged)
    records |= {version: record for version, record in zip(untagged, fetched, strict=True) if record}
    releases = []
    for version in sorted({*tagged, *known.complete, *known.foreign}, reverse=True):
        record, tag = records.get(version), tagged.get(version, "")
        if record is None or record.registry != manifest.home:
            releases.append(Release(line=line.name, version=str(version), tag=tag, state="foreign"))
            continue
        reason = published.yank_reason(registry, repository, version) if version in known.yanked else None
        releases.append(_release(line, version, tag or record.tag, record, known, reason or ""))
    return releases


def _release(line: Line, version: Version, tag: str, record: Record, known: Known, reason: str) -> Release:
    progress: Literal["complete", "interrupted"] = "complete" if version in known.complete else "interrupted"
    return Release(
        line=line.name,
        version=str(version),
        tag=tag,
        state="yanked" if version in known.yanked else progress,
        created=record.created,
        commit=record.commit,
        authority=record.authority,
        skipped=record.skipped,
        waivers=record.gates["scan"].waivers if "scan" in record.gates else (),
        stand_ins=record.stand_ins,
        reason=reason,
        digests={name: service.digest for name, service in record.services.items()},
    )
