"""What is published: which releases are complete, withdrawn or gone, and what their records say.

The git tags carry the records, so the registry is asked only whether it still has them: for most releases its list of
tags is enough, because a later release names them as its predecessor and would not have been made without them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from semver import Version

from build.config.manifest import Manifest
from build.errors import RegistryError
from build.git.tags import YANKED
from build.git.versions import Line, lines, parse_tag
from build.parallel import at_once
from build.registry.client import RegistryClient
from build.registry.oci import RawManifest
from build.release import carried
from build.release.names import release_repository, service_repository, versions_of, yank_tag
from build.release.record import Record, is_record_of, of_record
from build.release.stored import fetch

CONCURRENT = 16  # the most releases that are assumed to have run at the same time


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """The versions of a line, by state.

    `complete` have their record in the registry, `yanked` a mark of withdrawal (with or without a record), `foreign`
    something else than their record. The rest are claims without a record: `interrupted` ones can be finished, and
    `gone` ones were removed from the registry. `abandoned` claims, gone or withdrawn, came to nothing: no release built
    upon them, so versions are not counted from them.
    """

    complete: frozenset[Version]
    yanked: frozenset[Version]
    foreign: frozenset[Version] = frozenset()
    interrupted: frozenset[Version] = frozenset()
    gone: frozenset[Version] = frozenset()
    abandoned: frozenset[Version] = frozenset()

    @property
    def eligible(self) -> frozenset[Version]:
        """The versions that floats may point to and deployments may use."""
        return self.complete - self.yanked

    def finished(self) -> Known:
        """The same after everything that is interrupted was finished."""
        return replace(self, complete=self.complete | self.interrupted, interrupted=frozenset())


@dataclass(kw_only=True, slots=True)
class _Read:
    """What has been read of one line: the records in its git tags, and the registry's versions by what they name.

    `first` is what was known at first and `latest` what at last; `own` are the versions that were recorded here since.
    """

    claimed: dict[Version, Record]
    first: Known | None = None
    latest: Known | None = None
    own: set[Version] = field(default_factory=set)
    states: dict[Version, Literal["complete", "foreign"]] = field(default_factory=dict)
    records: dict[Version, Record] = field(default_factory=dict)


class Published:
    """The releases in the registry, from the point of view of the git tags `claims`; each record is read at most once.

    `kept` are manifests, by digest, that a lost one can be restored from. With `audit`, the registry is asked about
    every record instead of only those that no later release names. The methods raise RegistryError.
    """

    def __init__(
        self,
        manifest: Manifest,
        registry: RegistryClient,
        claims: Iterable[str] = (),
        *,
        kept: Mapping[str, RawManifest] | None = None,
        audit: bool = False,
    ) -> None:
        self.registry = registry
        self.audit = audit
        self._manifest = manifest
        self._kept = kept or {}
        self._claims = frozenset(claims)
        self._lines: dict[str, _Read] = {}

    @property
    def home(self) -> str:
        """The registry and namespace that the releases are in."""
        return self._manifest.home

    @functools.cached_property
    def lines(self) -> tuple[Line, ...]:
        """The lines of the manifest."""
        return lines(self._manifest)

    def repository(self, line: Line) -> str:
        """The repository of the line's release records."""
        return release_repository(self._manifest, line.name)

    def images_of(self, service: str) -> str:
        """The repository of a service's images here, wherever a release of it was made."""
        return service_repository(self._manifest, service)

    def claimed(self, line: Line) -> Mapping[Version, Record]:
        """The records that the line's git tags carry for this registry."""
        return self._read(line).claimed

    def tags(self, line: Line, versions: Collection[Version]) -> set[str]:
        """The git tags that claim these versions of a line."""
        return {record.tag for version, record in self.claimed(line).items() if version in versions}

    def line(self, record: Record) -> Line:
        """The line of a record."""
        return next(line for line in self.lines if line.name == record.line)

    def learn(self, record: Record) -> None:
        """Count a release that was claimed since."""
        self._read(self.line(record)).claimed[record.parsed] = record

    def recorded(self, record: Record) -> None:
        """Count a release whose record was just read back from the registry."""
        read = self._read(self.line(record))
        read.states[record.parsed] = "complete"
        read.records[record.parsed] = record
        read.own.add(record.parsed)

    def stands_still(self, line: Line, known: Known) -> bool:
        """Whether nobody else has released or withdrawn anything of the line since it was read first."""
        read = self._read(line)
        first = read.first or known
        return known.complete == first.complete | read.own and known.yanked == first.yanked

    def known(self, line: Line) -> Known:
        """The versions of the line, by state, as the registry answers now."""
        read = self._read(line)
        tagged, yanked = self._tags(line)
        followed = {record.previous for record in read.claimed.values()}
        leaves = {version for version in read.claimed if str(version) not in followed}
        # A list may lag behind a tag that was just put; an empty one may be that of a registry that was emptied.
        unlisted = (leaves if tagged else read.claimed.keys()) - tagged - yanked
        trusted = set() if self.audit else (tagged & read.claimed.keys()) - leaves
        asked = sorted((tagged - trusted) | unlisted)
        found = at_once(lambda version: self._state(line, version, finishable=version in leaves), asked)
        states = dict(zip(asked, found, strict=True))
        read.states |= {version: state for version, state in states.items() if state != "absent"}
        complete = trusted | {version for version, state in states.items() if state == "complete"}
        if not tagged:
            yanked |= self._marked(line, complete)
        missing = read.claimed.keys() - complete - yanked
        interrupted = self._finishable(read, missing & leaves)
        known = Known(
            complete=frozenset(complete),
            yanked=frozenset(yanked),
            foreign=frozenset(version for version, state in states.items() if state == "foreign"),
            interrupted=frozenset(interrupted),
            gone=frozenset(missing - interrupted),
            abandoned=frozenset(leaves - complete - interrupted),
        )
        read.first = read.first or known
        read.latest = known
        return known

    def all_known(self, *, again: bool = True) -> dict[str, Known]:
        """The versions of every line, by its name; unless `again`, as they were when this was asked last."""

        def known(line: Line) -> Known:
            latest = self._read(line).latest
            return self.known(line) if again or latest is None else latest

        results = at_once(known, self.lines)
        return {line.name: known for line, known in zip(self.lines, results, strict=True)}

    def record(self, line: Line, version: Version) -> Record | None:
        """The record of a complete release, or None. Raises NoRecord if the tag names something else."""
        read = self._read(line)
        if version not in read.records:
            if version in read.claimed and self._holds(line, version):
                read.records[version] = read.claimed[version]
            elif found := fetch(self.registry, self.repository(line), version):
                read.records[version] = found
        return read.records.get(version)

    def has_images(self, record: Record) -> bool:
        """Whether the registry has every image of a release."""
        digests = at_once(
            lambda name: self.registry.digest(self.images_of(name), record.services[name].digest), record.services
        )
        return all(digests)

    def _read(self, line: Line) -> _Read:
        if line.name not in self._lines:
            tags = versions_of(line, self._claims).values()
            records = carried.records(self._manifest.root, list(tags)).values()
            ours = [record for record in records if record.registry == self._manifest.home and _is_of(record, line)]
            self._lines[line.name] = _Read(claimed={record.parsed: record for record in ours})
        return self._lines[line.name]

    def _tags(self, line: Line) -> tuple[set[Version], set[Version]]:
        """The versions that the line's repository lists, and those listed as withdrawn; other tags are ignored."""
        tagged: set[Version] = set()
        yanked: set[Version] = set()
        for tag in self.registry.tags(self.repository(line)):
            versions = yanked if tag.endswith(YANKED) else tagged
            try:
                versions.add(Version.parse(tag.removesuffix(YANKED)))
            except ValueError:
                continue
        return tagged, yanked

    def _holds(self, line: Line, version: Version) -> bool:
        """Whether the registry has exactly the record that the git tag carries."""
        expected = of_record(self._read(line).claimed[version]).manifest.digest
        return self.registry.digest(self.repository(line), str(version)) == expected

    def _state(self, line: Line, version: Version, *, finishable: bool) -> Literal["complete", "foreign", "absent"]:
        """What a version's tag names. One that can't be read is put again by a release that is `finishable`."""
        read = self._read(line)
        if not self.audit and version in read.states:
            return read.states[version]
        try:
            if version in read.claimed and self._holds(line, version):
                read.records[version] = read.claimed[version]
                return "complete"
        except RegistryError as error:
            if error.status < 500 or not finishable:
                raise
            return "absent"
        stored = self.registry.immutable_manifest(self.repository(line), str(version))
        if stored is None:
            return "absent"
        return "complete" if is_record_of(stored.content, str(version)) else "foreign"

    def _marked(self, line: Line, versions: Iterable[Version]) -> set[Version]:
        """Those of the versions that are withdrawn, asked one by one."""
        asked = list(versions)
        marks = at_once(lambda version: self.registry.digest(self.repository(line), yank_tag(version)), asked)
        return {version for version, mark in zip(asked, marks, strict=True) if mark}

    def _finishable(self, read: _Read, versions: Iterable[Version]) -> set[Version]:
        """The latest of these claims whose images can still be had; a finished one is never older than that."""
        newest = sorted(read.claimed.values(), key=lambda record: record.created)[-CONCURRENT:]
        candidates = [record for record in newest if record.parsed in set(versions)]
        return {
            record.parsed
            for record in candidates
            if all(at_once(functools.partial(self._obtainable, record), record.services))
        }

    def _obtainable(self, record: Record, service: str) -> bool:
        repository, digest = record.repository_of(service), record.services[service].digest
        kept = self._kept.get(digest)
        try:
            stored = self.registry.manifest(repository, digest)
        except RegistryError as error:
            # Distribution answers 500 for one whose link file a full disk left empty, until it is put again.
            if error.status < 500 or kept is None:
                raise
            return True
        if stored is not None:
            return self._has_parts(repository, stored, blobs=False)
        return kept is not None and self._has_parts(repository, kept, blobs=True)

    def _has_parts(self, repository: str, stored: RawManifest, *, blobs: bool) -> bool:
        """Whether the registry has the manifests that this one names, and with `blobs` its config and layers."""
        body = json.loads(stored.content)
        parts = [body["config"], *body["layers"]] if blobs and "config" in body else []
        return all(self.registry.digest(repository, child["digest"]) for child in body.get("manifests", [])) and all(
            self.registry.has_blob(repository, part["digest"], strict=True) for part in parts
        )


def _is_of(record: Record, line: Line) -> bool:
    version = parse_tag(line.prefix, record.tag)
    return version is not None and str(version) == record.version
