"""The releases there are: what git's tags claim, joined with what the registry holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from semver import Version

from build import console
from build.config.manifest import Manifest
from build.errors import RepositoryError
from build.git.remote import configured_remote, remote_tags
from build.git.versions import Line
from build.parallel import at_once
from build.registry.client import RegistryClient
from build.release import candidates, claim
from build.release.names import versions_of
from build.release.published import Known, Published
from build.release.record import Record
from build.release.stored import yank_reason

State = Literal["complete", "interrupted", "gone", "altered", "yanked", "foreign"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """One release as it is listed.

    `state` is complete, interrupted (claimed, and not all in the registry yet), gone (removed from the registry),
    altered (a tag names another image than the record), yanked, or foreign: a version in git or in the release
    repository that is not a release whose images are here. `missing` are the services without their image. `skipped`
    are its skipped gates, `digests` its services' images. `made_in` is the registry that it was carried from, "" for
    one that was made in this one.
    """

    line: str
    version: str
    tag: str
    state: State
    created: str = ""
    commit: str = ""
    authority: str = ""
    skipped: tuple[str, ...] = ()
    waivers: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()
    reason: str = ""
    missing: tuple[str, ...] = ()
    digests: dict[str, str] | None = None
    made_in: str = ""


def all_of(manifest: Manifest) -> list[Release]:
    """Every release that git's tags or the registry know, newest version first, line by line.

    What is called complete was looked at: its record, and the tag of every image. If the remote does not answer, that
    is a warning: the tags of this clone count then. Raises RegistryError.
    """
    with RegistryClient(manifest) as registry:
        tags = _tags(manifest, "are listed")
        kept = candidates.kept(manifest.workspace.candidates)
        published = Published(manifest, registry, tags, kept=kept, audit=True)
        known = published.all_known()
        return [release for line in published.lines for release in _of_line(published, line, known[line.name], tags)]


def newest_versions(manifest: Manifest) -> dict[str, str]:
    """The newest release of each line that has one: a pre-release only if there is no other. Raises RegistryError."""
    with RegistryClient(manifest) as registry:
        known = Published(manifest, registry, _tags(manifest, "count"), audit=True).all_known()
    eligible = {name: of_line.eligible for name, of_line in known.items() if of_line.eligible}
    return {
        name: str(max([version for version in versions if not version.prerelease] or versions))
        for name, versions in eligible.items()
    }


def _tags(manifest: Manifest, otherwise: str) -> Mapping[str, str]:
    try:
        return claim.fetch_claims(manifest, configured_remote(manifest.root, manifest.release.remote))
    except RepositoryError as error:
        console.warn(f"{error}; the tags of this clone {otherwise}")
        return remote_tags(manifest.root, "")


def _of_line(published: Published, line: Line, known: Known, tags: Mapping[str, str]) -> list[Release]:
    tagged, claimed = versions_of(line, tags), published.claimed(line)
    records = dict(claimed)
    for version in known.complete - claimed.keys():
        record = published.record(line, version)
        if record:
            records[version] = record
    tags_of = _tags_of(published, [records[version] for version in records if version in known.eligible])
    releases = []
    for version in sorted({*tagged, *known.complete, *known.foreign}, reverse=True):
        record, tag = records.get(version), tagged.get(version, "")
        found = {name: digest for (of, name), digest in tags_of.items() if of == version}
        made_in = record.registry if record and record.registry != published.home else ""
        if record is None or (made_in and version in known.eligible and not any(found.values())):
            releases.append(Release(line=line.name, version=str(version), tag=tag, state="foreign"))
            continue
        withdrawn = version in known.yanked
        reason = yank_reason(published.registry, published.repository(line), version) if withdrawn else None
        release = _release(line, tag or record.tag, record, _state(known, record, found), found, reason or "")
        releases.append(replace(release, made_in=made_in))
    return releases


def _tags_of(published: Published, records: list[Record]) -> dict[tuple[Version, str], str]:
    """The digest that each image's X.Y.Z names, "" for none, by version and service."""
    wanted = [(record, name) for record in records for name in record.services]
    digests = at_once(lambda one: published.registry.digest(published.images_of(one[1]), one[0].version) or "", wanted)
    return {(record.parsed, name): digest for (record, name), digest in zip(wanted, digests, strict=True)}


def _state(known: Known, record: Record, found: Mapping[str, str]) -> State:
    version = record.parsed
    if version in known.yanked:
        return "yanked"
    if version not in known.complete:
        # Something else in the record's place is neither: --resume says what it is.
        return "gone" if version in known.gone and version not in known.foreign else "interrupted"
    if not all(found.values()):
        return "gone"
    changed = any(found[name] != service.digest for name, service in record.services.items())
    return "altered" if changed else "complete"


def _release(
    line: Line, tag: str, record: Record, state: State, found: Mapping[str, str], reason: str
) -> Release:  # fmt: skip
    return Release(
        line=line.name,
        version=record.version,
        tag=tag,
        state=state,
        created=record.created,
        commit=record.commit,
        authority=record.authority,
        skipped=record.skipped,
        waivers=record.gates["scan"].waivers if "scan" in record.gates else (),
        stand_ins=record.stand_ins,
        reason=reason,
        missing=tuple(sorted(name for name, digest in found.items() if not digest)),
        digests={name: service.digest for name, service in record.services.items()},
    )


def newest_images(
    manifest: Manifest, published: Published, released: Mapping[str, Known], *, excluded: Iterable[str]
) -> dict[str, str]:
    """Map each service that is not `excluded` to name@digest in the newest release of its line whose images are there.

    Raises RegistryError, NoRecord.
    """
    images: dict[str, str] = {}
    left_out = set(excluded)
    for line in published.lines:
        wanted = set(line.services) - left_out
        for version in sorted(released[line.name].eligible, reverse=True) if wanted else ():
            record = published.record(line, version)
            if record and published.has_images(record):
                images |= {
                    name: f"{manifest.image(name)}@{record.services[name].digest}"
                    for name in wanted & set(record.services)
                }
                break
    return images
