"""How signatures and attestations are stored beside an image: as images of their own, found by a tag.

sha256-HEX.sig has a layer for each signature, sha256-HEX.att one for each attestation (sigstore/cosign, specs/
SIGNATURE_SPEC.md and specs/ATTESTATION_SPEC.md). Cosign 3 means to replace this form by the referrers API, which the
Distribution registry of today (2.8) does not have: only this module knows it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from build.registry.oci import IMAGE_MANIFEST, Artifact, RawManifest, digest_of
from build.signing import envelope, payload

_CONFIG = "application/vnd.oci.image.config.v1+json"
_SIGNATURE = "dev.cosignproject.cosign/signature"
_PREDICATE = "predicateType"
_TAG = re.compile(r"sha256-([0-9a-f]{64})\.(sig|att|sbom)")


@dataclass(frozen=True, slots=True)
class Layer:
    """A signature's payload or an attestation's envelope: its digest, media type and annotations; bytes where known."""

    digest: str
    media_type: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    size: int = 0

    @property
    def signature(self) -> bytes:
        """The signature of a payload; b"" if the layer has none that can be read."""
        try:
            return base64.b64decode(self.annotations.get(_SIGNATURE, ""), validate=True)
        except binascii.Error:
            return b""


def tag(digest: str, kind: str) -> str:
    """The tag of what is attached to a manifest; `kind` is sig, att or sbom."""
    return f"{digest.replace(':', '-')}.{kind}"


def subject_of(tag: str) -> tuple[str, str] | None:
    """What a tag is attached to, by digest, and its kind as for `tag`; None for a tag of another form."""
    match = _TAG.fullmatch(tag)
    return (f"sha256:{match[1]}", match[2]) if match else None


def signature_layer(name: str, digest: str, signature: bytes) -> Layer:
    """The layer of the signature of a manifest under the image's name."""
    return _layer(payload.payload(name, digest), payload.TYPE, {_SIGNATURE: base64.b64encode(signature).decode()})


def attestation_layer(content: bytes, predicate_type: str) -> Layer:
    """The layer of an envelope."""
    return _layer(content, envelope.TYPE, {_SIGNATURE: "", _PREDICATE: predicate_type})


def document_layer(content: bytes, media_type: str) -> Layer:
    """The layer of a document without a signature."""
    return _layer(content, media_type, {})


def _layer(content: bytes, media_type: str, annotations: Mapping[str, str]) -> Layer:
    return Layer(digest_of(content), media_type, annotations, content, len(content))


def image_of(layers: Sequence[Layer]) -> Artifact:
    """The image that holds the layers; equal layers give equal bytes."""
    config = json.dumps(
        {
            "architecture": "",
            "config": {},
            "created": "0001-01-01T00:00:00Z",
            "history": [{"created": "0001-01-01T00:00:00Z"} for _ in layers],
            "os": "",
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        },
        separators=(",", ":"),
    ).encode()
    body = {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": {"mediaType": _CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [_descriptor(layer) for layer in layers],
    }
    content = json.dumps(body, separators=(",", ":")).encode()
    manifest = RawManifest(content=content, media_type=IMAGE_MANIFEST, digest=digest_of(content))
    return Artifact(
        manifest=manifest, blobs=(config, *dict.fromkeys(layer.content for layer in layers if layer.content))
    )


def _descriptor(layer: Layer) -> dict[str, object]:
    table: dict[str, object] = {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size}
    return table | ({"annotations": dict(layer.annotations)} if layer.annotations else {})


def layers_of(manifest: bytes) -> tuple[Layer, ...]:
    """The layers of an image, without their bytes; none for what is no image."""
    try:
        return tuple(
            Layer(
                str(entry["digest"]),
                str(entry["mediaType"]),
                dict(entry.get("annotations") or {}),
                b"",
                int(entry["size"]),
            )
            for entry in json.loads(manifest)["layers"]
        )
    except (ValueError, LookupError, TypeError):
        return ()
