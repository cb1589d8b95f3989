"""Candidates: images that the registry holds by digest, without a tag, verified by reading them back.

BuildKit exports each image as an OCI layout; its blobs and manifests are sent unchanged. The engine's own push needs a
tag, and a tag is public.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from build import json_file
from build.errors import RegistryError, ReleaseRefused
from build.images import data_formats
from build.images.data_formats import DataFormat
from build.images.export import Exported
from build.images.image import Image
from build.images.layout import ATTESTATION
from build.parallel import at_once
from build.registry.client import RegistryClient
from build.registry.oci import RawManifest, digest_of
from build.registry.tree import Descriptor, ManifestBody, Platform, parts
from build.release.stored import load

_SMALL = 4096  # bytes; a blob up to that size, most often a new configuration, is sent without asking for it


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A service's image in the registry: its manifest as read back, its platforms, and the bytes sent for it.

    `data` is the format of data that the image's labels state for volumes.
    """

    image: Image
    stored: RawManifest
    platforms: tuple[str, ...]
    sent: int = 0
    data: dict[str, DataFormat] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Staged:
    """A candidate of an earlier run from this checkout; `stored` is None if the file does not have its manifest."""

    digest: str
    fingerprint: str
    stored: RawManifest | None = None


def push(registry: RegistryClient, exports: Mapping[str, Exported]) -> dict[str, Candidate]:
    """Upload the exported images, by service, under their digests and read each back.

    Services go one after another, so that a blob sent for one is mounted for the next. Raises RegistryError, ToolFailed
    for a layout that lacks a blob.
    """
    origins: dict[str, str] = {}
    return {service: _push(registry, exported, origins) for service, exported in exports.items()}


def _push(registry: RegistryClient, exported: Exported, origins: dict[str, str]) -> Candidate:
    """Upload one image; `origins` (blob → a repository that has it) is extended."""
    repository, layout = exported.image.repository, exported.layout
    manifests = layout.manifests()
    blobs = {blob["digest"]: blob["size"] for _, manifest in manifests for blob in parts(manifest)}

    def send(digest: str) -> int:
        if blobs[digest] > _SMALL and registry.has_blob(repository, digest):
            return 0
        sent = registry.put_blob(repository, digest, layout.blob(digest), mount_from=origins.get(digest, ""))
        return blobs[digest] if sent else 0

    total = sum(at_once(send, blobs))
    origins |= dict.fromkeys(blobs, repository)
    for descriptor, _ in manifests:
        content = layout.blob(descriptor["digest"]).read_bytes()
        registry.put_manifest(repository, descriptor["digest"], content, descriptor["mediaType"])
        total += len(content)
    return read_back(registry, exported.image, sent=total)


def read_back(registry: RegistryClient, image: Image, *, sent: int = 0) -> Candidate:
    """The image as the registry holds it, with every manifest that it names.

    Raises RegistryError if a manifest is missing or does not match its digest, ReleaseRefused for a label that states
    no format of data.
    """
    stored = load(registry, image.repository, image.digest)
    body: ManifestBody = json.loads(stored.content)
    children = body.get("manifests", [])
    missing = [child["digest"] for child in children if registry.digest(image.repository, child["digest"]) is None]
    if missing:
        raise RegistryError(
            f"{image.repository}@{image.digest} names {', '.join(missing)}, which the registry lacks",
            hint="./inv release again",
        )
    platforms = tuple(platform_name(child.get("platform", {})) for child in images_of(body)) or (
        _own_platform(registry, image.repository, body),
    )
    data = _data(registry, image)
    return Candidate(image=replace(image, pushed=True), stored=stored, platforms=platforms, sent=sent, data=data)


def _data(registry: RegistryClient, image: Image) -> dict[str, DataFormat]:
    digest = config(registry, image.repository, image.digest)
    content = registry.blob(image.repository, digest) if digest else None
    labels = json.loads(content).get("config", {}).get("Labels") if content else None
    try:
        return data_formats.of_labels(labels or {})
    except ReleaseRefused as error:
        raise ReleaseRefused(f"{image.service}: {error}", hint=error.hint) from None


def config(registry: RegistryClient, repository: str, digest: str) -> str:
    """The digest of the configuration blob of an image, or of the first image of an index; "" if there is none."""
    stored = registry.manifest(repository, digest)
    body: ManifestBody = json.loads(stored.content) if stored else {"manifests": []}
    if "config" in body:
        return body["config"]["digest"]
    images = images_of(body)
    return config(registry, repository, images[0]["digest"]) if images else ""


def remember(path: Path, candidates: Mapping[str, Candidate]) -> None:
    """Write candidates and their manifests to a file; entries of other services stay."""
    entries = {
        name: {
            "digest": candidate.image.digest,
            "fingerprint": candidate.image.fingerprint,
            "media_type": candidate.stored.media_type,
            "manifest": candidate.stored.content.decode(),
        }
        for name, candidate in candidates.items()
    }
    json_file.write(path, json_file.read(path) | entries)


def note(path: Path, images: Iterable[Image], at: datetime) -> None:
    """Add images that are about to be staged to a file: no tag will name those that come to nothing."""
    entries = {f"{image.repository}@{image.digest}": at.isoformat(timespec="seconds") for image in images}
    if entries:
        json_file.write(path, json_file.read(path) | entries)


def noted(path: Path) -> dict[tuple[str, str], datetime]:
    """The images that `note` wrote and `forget` did not remove, by repository and digest, and when they were staged."""
    entries = {}
    for name, at in json_file.read(path).items():
        repository, _, digest = name.partition("@")
        with contextlib.suppress(TypeError, ValueError):
            entries[repository, digest] = datetime.fromisoformat(at)
    return entries


def forget(path: Path, images: Iterable[tuple[str, str]]) -> None:
    """Remove images, by repository and digest, from what `note` wrote."""
    gone = {f"{repository}@{digest}" for repository, digest in images}
    if gone:
        json_file.write(path, {name: at for name, at in json_file.read(path).items() if name not in gone})


def remembered(path: Path) -> dict[str, Staged]:
    """The candidates that `remember` wrote last from this checkout, by service.

    Their manifests matter too: a registry whose disk was full may have lost one, and it is put again from here.
    """
    staged = {}
    for name, entry in json_file.read(path).items():
        stored = None
        if content := str(entry.get("manifest", "")).encode():
            stored = RawManifest(content=content, media_type=str(entry["media_type"]), digest=digest_of(content))
        staged[name] = Staged(digest=str(entry["digest"]), fingerprint=str(entry["fingerprint"]), stored=stored)
    return staged


def kept(path: Path) -> dict[str, RawManifest]:
    """The manifests that `remember` wrote, by digest."""
    return {staged.digest: staged.stored for staged in remembered(path).values() if staged.stored}


def platform_manifests(content: bytes) -> list[str]:
    """The digests of the images, one for each platform, that an index names; none for what is an image itself."""
    return [child["digest"] for child in images_of(json.loads(content))]


def images_of(body: ManifestBody) -> list[Descriptor]:
    """The images, one for each platform, that an index names; none for what is an image itself."""
    return [child for child in body.get("manifests", []) if ATTESTATION not in child.get("annotations", {})]


def platform_name(platform: Platform) -> str:
    """A platform as people write it: linux/arm64/v8."""
    parts = (platform.get("os"), platform.get("architecture"), platform.get("variant"))
    return "/".join(part for part in parts if part)


def _own_platform(registry: RegistryClient, repository: str, body: ManifestBody) -> str:
    config = registry.blob(repository, body["config"]["digest"])
    return platform_name(json.loads(config)) if config else ""
