"""The release record: what one release is, byte for byte the same in its git tag and in the registry.

Git's tag is the claim and carries the record; the artifact RELEASE:X.Y.Z in the registry says that all of it is there.
Both are a function of the record alone, so that any clone can finish a release that another machine began.
The format is described by build/release/release-record.schema.json.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field

from semver import Version

from build.errors import BuildError, RegistryError
from build.gates.verdict import GateVerdict
from build.registry.oci import Artifact, artifact, document_of
from build.typed import from_table

SCHEMA = 1
RECORD_TYPE = "application/vnd.unity-claude.release.v1+json"
YANK_TYPE = "application/vnd.unity-claude.yank.v1+json"
REPOSITORY = "release"
_VERSION = "org.opencontainers.image.version"


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedBase:
    """The base an image stands on: what the Dockerfile names, where it was had from, the digest that was used."""

    reference: str
    source: str
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedService:
    """One image of a release; `origin` is "built" or says which release or build its digest was taken over from."""

    digest: str
    fingerprint: str
    origin: str
    platforms: tuple[str, ...] = ()
    bases: dict[str, RecordedBase] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A release; `previous` is the version before it on its line, `authority` who made it (a CI system or "local")."""

    schema: int
    line: str
    version: str
    tag: str
    previous: str
    commit: str
    committed: str
    created: str
    registry: str
    repository: str
    services: dict[str, RecordedService]
    gates: dict[str, GateVerdict]
    tools: dict[str, str]
    authority: str

    @property
    def parsed(self) -> Version:
        """The version as one that can be compared."""
        return Version.parse(self.version)

    @property
    def skipped(self) -> tuple[str, ...]:
        """The gates that were skipped."""
        return tuple(name for name, gate in self.gates.items() if gate.verdict == "skipped")

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """The bases that were stand-ins."""
        found = {key for one in self.services.values() for key, base in one.bases.items() if base.source == "stand-in"}
        return tuple(sorted(found))


class NoRecord(RegistryError):
    """What the registry or a git tag has in a release record's place is not one."""


def encode(record: Record) -> bytes:
    """The record's one canonical form: JSON, keys sorted, a line break at the end."""
    return (json.dumps(dataclasses.asdict(record), indent=1, sort_keys=True) + "\n").encode()


def decode(content: bytes) -> Record:
    """The record of some bytes. Raises NoRecord when they are not one, or of a newer schema than this."""
    try:
        table = json.loads(content)
    except ValueError as error:
        raise NoRecord(f"not JSON: {error}") from None
    if not isinstance(table, dict) or table.get("schema") != SCHEMA:
        raise NoRecord(
            f"schema {table.get('schema') if isinstance(table, dict) else None!r}, this toolkit reads {SCHEMA}"
        )
    try:
        return from_table(Record, table, "", source="release record")
    except BuildError as error:
        raise NoRecord(str(error)) from None


def is_record_of(manifest: bytes, version: str) -> bool:
    """Whether a manifest is of the artifact that says: the release of this version is complete."""
    if not document_of(manifest, RECORD_TYPE):
        return False
    annotations = json.loads(manifest).get("annotations")
    return isinstance(annotations, dict) and annotations.get(_VERSION) == version


def of_record(record: Record) -> Artifact:
    """The artifact that says: this release is complete."""
    annotations = {
        "org.opencontainers.image.created": record.created,
        "org.opencontainers.image.revision": record.commit,
        "org.opencontainers.image.title": record.line,
        _VERSION: record.version,
    }
    return artifact(RECORD_TYPE, encode(record), annotations)


def of_yank(line: str, version: str, reason: str, created: str) -> Artifact:
    """The mark that a release is withdrawn."""
    document = json.dumps({"schema": SCHEMA, "line": line, "version": version, "reason": reason, "created": created})
    return artifact(YANK_TYPE, document.encode() + b"\n", {"org.opencontainers.image.created": created})
