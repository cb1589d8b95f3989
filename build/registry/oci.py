"""Content of a registry by the OCI image specification: manifests with their digests, artifacts of one document."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
# OCI image specification 1.1, "Guidance for an Empty Descriptor".
EMPTY = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A manifest as the registry has it: its very bytes, their media type, and the digest of those bytes."""

    content: bytes
    media_type: str
    digest: str


def digest_of(content: bytes) -> str:
    """The digest of some bytes, sha256:… (OCI image specification, descriptor.md)."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """An OCI artifact of one small document: the manifest, and the two blobs that it names."""

    manifest: Stored
    blobs: tuple[bytes, ...]


def artifact(kind: str, document: bytes, annotations: dict[str, str]) -> Artifact:
    """The artifact of a document, the same bytes each time (OCI image specification, Guidelines for Artifact Usage)."""
    body: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST_TYPE,
        "artifactType": kind,
        "config": {"mediaType": _EMPTY_TYPE, "digest": digest_of(EMPTY), "size": len(EMPTY)},
        "layers": [{"mediaType": kind, "digest": digest_of(document), "size": len(document)}],
        "annotations": annotations,
    }
    content = json.dumps(body, separators=(",", ":")).encode()
    stored = Stored(content=content, media_type=_MANIFEST_TYPE, digest=digest_of(content))
    return Artifact(manifest=stored, blobs=(EMPTY, document))


def document_of(manifest: bytes, kind: str) -> str:
    """The digest of the document of an artifact of this kind; "" where the manifest is of anything else."""
    try:
        body = json.loads(manifest)
        return str(body["layers"][0]["digest"]) if body["artifactType"] == kind else ""
    except (ValueError, LookupError, TypeError):
        return ""
