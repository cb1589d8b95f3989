"""Images that are put into a registry by hand: an index of one platform, whatever their tags are to say."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from tests.support.hub import Hub

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Forged:
    """An image: the digest of its index and that of its platform's manifest."""

    digest: str
    platform: str


def image(hub: Hub, repository: str, tag: str, content: str = "", *, extra: str = "") -> Forged:
    """Put an image under a tag; equal `content` (default: the tag) is one platform, with `extra` another index of it."""
    platform = manifest(hub, repository, "", content or tag)
    body = hub.raw(repository, platform)[0]
    descriptor = {"mediaType": MANIFEST, "digest": platform, "size": len(body)}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor], "annotations": {"extra": extra}}
    return Forged(_put(hub, repository, tag, index, INDEX), platform)


def manifest(hub: Hub, repository: str, tag: str, content: str) -> str:
    """Put a manifest of one layer under a tag, or without one; return its digest."""
    config, layer = (json.dumps({text: content}).encode() for text in ("config", "layer"))
    names = [(hub.put_blob(repository, each), len(each)) for each in (config, layer)]
    kinds = ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar")
    described = [
        {"mediaType": kind, "digest": digest, "size": size} for kind, (digest, size) in zip(kinds, names, strict=True)
    ]
    body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described[0], "layers": described[1:]}
    return _put(hub, repository, tag, body, MANIFEST)


def _put(hub: Hub, repository: str, tag: str, body: object, kind: str) -> str:
    content = json.dumps(body).encode()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert hub.put(repository, tag or digest, content, kind) == 201
    return digest
