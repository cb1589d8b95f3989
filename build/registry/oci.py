"""Registry content by the OCI image specification: raw manifests, digests, artifacts of one document."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

IMAGE_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
# OCI image specification 1.1, "Guidance for an Empty Descriptor".
EMPTY = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"


@dataclass(frozen=True, kw_only=True, slots=True)
class RawManifest:
    """A manifest as the registry stores it: its bytes unchanged, their media type, and their digest."""

    content: bytes
    media_type: str
    digest: str


def digest_of(content: bytes) -> str:
    """Return the digest of the bytes, sha256:… (OCI image specification, descriptor.md)."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """An OCI artifact of one small document: its manifest, and the two blobs that the manifest refers to."""

    manifest: RawManifest
    blobs: tuple[bytes, ...]


def artifact(kind: str, document: bytes, annotations: dict[str, str]) -> Artifact:
    """Build the artifact of a document; equal input gives equal bytes (OCI image specification, Artifact Usage)."""
    body: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "artifactType": kind,
        "config": {"mediaType": _EMPTY_TYPE, "digest": digest_of(EMPTY), "size": len(EMPTY)},
        "layers": [{"mediaType": kind, "digest": digest_of(document), "size": len(document)}],
        "annotations": annotations,
    }
    content = json.dumps(body, separators=(",", ":")).encode()
    stored = RawManifest(content=content, media_type=IMAGE_MANIFEST, digest=digest_of(content))
    return Artifact(manifest=stored, blobs=(EMPTY, document))


def document_of(manifest: bytes, kind: str) -> str:
    """Return the digest of the document in an artifact of this type, "" if the manifest is something else."""
    try:
        body = json.loads(manifest)
        return str(body["layers"][0]["digest"]) if body["artifactType"] == kind else ""
    except (ValueError, LookupError, TypeError):
        return ""
