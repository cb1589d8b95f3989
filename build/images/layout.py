"""Reads an OCI image layout (OCI image specification, image-layout.md): an index, and blobs named by their digests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict  # noqa: TID251  (pydantic never reads these, and typing_extensions is slow)

from build.errors import ToolFailed

# moby/buildkit docs/attestations/attestation-storage.md: the annotation that tells an attestation from an image.
ATTESTATION = "vnd.docker.reference.type"


class Platform(TypedDict, total=False):
    """What an image runs on."""

    os: str
    architecture: str
    variant: str


class Descriptor(TypedDict):
    """How one piece of content names another (OCI image specification, descriptor.md)."""

    mediaType: str
    digest: str
    size: int
    annotations: NotRequired[dict[str, str]]
    platform: NotRequired[Platform]


class ManifestBody(TypedDict, total=False):
    """An index (with `manifests`) or the manifest of an image (with `config` and `layers`)."""

    manifests: list[Descriptor]
    config: Descriptor
    layers: list[Descriptor]


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of one image in a folder. What is missing from it raises ToolFailed."""

    folder: Path

    def top(self) -> Descriptor:
        """The descriptor of the image. Raises ToolFailed when the layout has another number of images than one."""
        index: ManifestBody = json.loads((self.folder / "index.json").read_text(encoding="utf-8"))
        if len(index["manifests"]) != 1:
            message = f"{self.folder.name}: buildx exported {len(index['manifests'])} images, expected 1"
            raise ToolFailed(message, hint="./inv release again")
        return index["manifests"][0]

    def manifests(self) -> list[tuple[Descriptor, ManifestBody]]:
        """The manifest of the image and all below it, children first: no registry takes an index before its children.

        Raises ToolFailed when one of them is missing.
        """
        return self._below(self.top())

    def _below(self, descriptor: Descriptor) -> list[tuple[Descriptor, ManifestBody]]:
        manifest: ManifestBody = json.loads(self.blob(descriptor["digest"]).read_bytes())
        children = [pair for child in manifest.get("manifests", []) for pair in self._below(child)]
        return [*children, (descriptor, manifest)]

    def blob(self, digest: str) -> Path:
        """The file of a blob or manifest. Raises ToolFailed when the layout lacks it."""
        path = self.folder / "blobs" / digest.replace(":", "/")
        if not path.is_file():
            raise ToolFailed(f"{self.folder.name}: the exported image lacks {digest}", hint="./inv release again")
        return path

    def size(self) -> int:
        """The bytes that a pull of the image takes: configurations and layers, without attestations."""
        blobs = {
            blob["digest"]: blob["size"]
            for descriptor, manifest in self.manifests()
            if ATTESTATION not in descriptor.get("annotations", {}) and "config" in manifest
            for blob in (manifest["config"], *manifest["layers"])
        }
        return sum(blobs.values())
