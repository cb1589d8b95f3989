"""Candidates: images that are in the registry under their digest and under no tag, and were read back from there.

BuildKit leaves each image as an OCI layout (OCI image specification, image-layout.md); its blobs and manifests are sent
from there as they are. The engine's own push needs a tag, and a tag is public.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from build import json_file
from build.errors import RegistryError
from build.images.export import Exported
from build.images.image import Image
from build.images.layout import ATTESTATION, ManifestBody, Platform
from build.parallel import at_once
from build.registry.client import Distribution
from build.registry.oci import Stored, digest_of
from build.release.publish import load


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """An image in the registry without a version: its manifest as read back, its platforms, the bytes sent for it."""

    image: Image
    stored: Stored
    platforms: tuple[str, ...]
    sent: int = 0


def push(registry: Distribution, exports: Mapping[str, Exported]) -> dict[str, Candidate]:
    """Send the layouts of images, by service, and read each back.

    One after another: what one has sent, the next has mounted. Raises RegistryError, ToolFailed for a broken layout.
    """
    homes: dict[str, str] = {}
    return {service: _push(registry, exported, homes) for service, exported in exports.items()}


def _push(registry: Distribution, exported: Exported, homes: dict[str, str]) -> Candidate:
    repository, layout = exported.image.repository, exported.layout
    manifests = layout.manifests()
    blobs = {
        blob["digest"]: blob["size"]
        for _, manifest in manifests
        if "config" in manifest
        for blob in (manifest["config"], *manifest["layers"])
    }

    def send(digest: str) -> int:
        if registry.has_blob(repository, digest):
            return 0
        sent = registry.put_blob(repository, digest, layout.blob(digest), mount_from=homes.get(digest, ""))
        return blobs[digest] if sent else 0

    total = sum(at_once(send, blobs))
    homes |= dict.fromkeys(blobs, repository)
    for descriptor, _ in manifests:
        content = layout.blob(descriptor["digest"]).read_bytes()
        registry.put_manifest(repository, descriptor["digest"], content, descriptor["mediaType"])
        total += len(content)
    return read_back(registry, exported.image, sent=total)


def read_back(registry: Distribution, image: Image, *, sent: int = 0) -> Candidate:
    """The image as a candidate: as the registry holds it, with every manifest that it names.

    Raises RegistryError when something is missing or is not what its digest says.
    """
    stored = load(registry, image.repository, image.digest)
    body: ManifestBody = json.loads(stored.content)
    children = body.get("manifests", [])
    missing = [one["digest"] for one in children if registry.digest(image.repository, one["digest"]) is None]
    if missing:
        raise RegistryError(
            f"{image.repository}@{image.digest} names {', '.join(missing)}, which the registry lacks",
            hint="./inv release again",
        )
    images = [one for one in children if ATTESTATION not in one.get("annotations", {})]
    platforms = tuple(_platform(one.get("platform", {})) for one in images) or (
        _own_platform(registry, image.repository, body),
    )
    return Candidate(image=replace(image, pushed=True), stored=stored, platforms=platforms, sent=sent)


def keep(path: Path, staged: Mapping[str, Candidate]) -> None:
    """Remember in a file what was staged, manifests included; what it has of other services stays."""
    found = {
        name: {
            "digest": one.stored.digest,
            "fingerprint": one.image.fingerprint,
            "media_type": one.stored.media_type,
            "manifest": one.stored.content.decode(),
        }
        for name, one in staged.items()
    }
    json_file.write(path, json_file.read(path) | found)


def kept(path: Path) -> dict[str, Stored]:
    """The manifests that were staged last from this checkout, by service.

    A registry whose disk was full may have lost a manifest that it had: what is under a tag is put from here then.
    """
    found = {}
    for name, one in json_file.read(path).items():
        if content := one.get("manifest", "").encode():
            found[name] = Stored(content=content, media_type=one["media_type"], digest=digest_of(content))
    return found


def _platform(described: Platform) -> str:
    return "/".join(filter(None, (described.get("os"), described.get("architecture"), described.get("variant"))))


def _own_platform(registry: Distribution, repository: str, body: ManifestBody) -> str:
    config = registry.blob(repository, body["config"]["digest"])
    return _platform(json.loads(config)) if config else ""
