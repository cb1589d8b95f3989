"""The release record: what one release consists of, the same bytes in its git tag and in the registry.

The git tag is the claim and carries the record; the artifact RELEASE:X.Y.Z in the registry marks the release complete.
Both are functions of the record alone, so any clone can finish a release that another machine began.
release-record.schema.json beside this module describes the format.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from semver import Version

from build.errors import BuildError, RegistryError
from build.gates.verdict import GateVerdict
from build.images.data_formats import DataFormat
from build.registry.oci import Artifact, artifact, document_of
from build.typed import LATER, as_table, from_table

SCHEMA = 1
RECORD_TYPE = "application/vnd.unity-claude.release.v1+json"
YANK_TYPE = "application/vnd.unity-claude.yank.v1+json"
_VERSION = "org.opencontainers.image.version"


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedBase:
    """The base of an image: its name in the Dockerfile, its source, and the digest that was used."""

    reference: str
    source: str
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedDocument:
    """A document beside an image in the registry: its digest, and its size in bytes."""

    digest: str
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedService:
    """One image of a release; `origin` is "built", or names the release or build whose digest was reused.

    `data` is the format of its data, for each volume of which the image's labels state one. `sbom` is its bill of
    materials (CycloneDX), None if the scan that makes it was skipped.
    """

    digest: str
    fingerprint: str
    origin: str
    platforms: tuple[str, ...] = ()
    bases: dict[str, RecordedBase] = field(default_factory=dict)
    data: dict[str, DataFormat] = field(default_factory=dict, metadata=LATER)
    sbom: RecordedDocument | None = field(default=None, metadata=LATER)


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A release; `previous` is the version before it on its line, `authority` a CI system or "local"."""

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
        """The version as one that compares by SemVer precedence."""
        return Version.parse(self.version)

    @property
    def skipped(self) -> tuple[str, ...]:
        """The gates that were skipped, and the check of vulnerabilities if that was."""
        gates = [name for name, gate in self.gates.items() if gate.verdict == "skipped"]
        parts = ["vulnerabilities" for gate in self.gates.values() if gate.unchecked_by == "flag"]
        return (*gates, *parts)

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """The bases that were stand-ins."""
        bases = [base for service in self.services.values() for base in service.bases.items()]
        return tuple(sorted({key for key, base in bases if base.source == "stand-in"}))

    def repository_of(self, service: str) -> str:
        """The repository of a service's images, without the registry's address."""
        return f"{self.registry.partition('/')[2]}/{service}"


class NoRecord(RegistryError):
    """Something else is stored where a release record belongs."""


def encode(record: Record) -> bytes:
    """The canonical form of a record: JSON with sorted keys and a final newline.

    A field that is LATER is left out where it is empty: such a record is the one that earlier versions wrote.
    """
    return (json.dumps(as_table(record), indent=1, sort_keys=True) + "\n").encode()


def decode(content: bytes) -> Record:
    """Parse a record. Raises NoRecord if the bytes are not one, or of another schema."""
    try:
        table = json.loads(content)
    except ValueError as error:
        raise NoRecord(f"not JSON: {error}") from None
    if not isinstance(table, dict) or table.get("schema") != SCHEMA:
        schema = table.get("schema") if isinstance(table, dict) else None
        raise NoRecord(f"schema {schema!r}, this toolkit reads {SCHEMA}")
    try:
        return from_table(Record, table, "", source="release record")
    except BuildError as error:
        raise NoRecord(str(error)) from None


def is_record_of(manifest: bytes, version: str) -> bool:
    """Whether a manifest is the artifact that marks the release of this version complete."""
    if not document_of(manifest, RECORD_TYPE):
        return False
    annotations = json.loads(manifest).get("annotations")
    return isinstance(annotations, dict) and annotations.get(_VERSION) == version


def of_record(record: Record) -> Artifact:
    """The artifact that marks a release complete."""
    annotations = {
        "org.opencontainers.image.created": record.created,
        "org.opencontainers.image.revision": record.commit,
        "org.opencontainers.image.title": record.line,
        _VERSION: record.version,
    }
    return artifact(RECORD_TYPE, encode(record), annotations)


def of_yank(line: str, version: str, reason: str, created: str) -> Artifact:
    """The artifact that marks a release withdrawn."""
    document = json.dumps({"schema": SCHEMA, "line": line, "version": version, "reason": reason, "created": created})
    return artifact(YANK_TYPE, document.encode() + b"\n", {"org.opencontainers.image.created": created})
