"""Reads an OCI image layout (OCI image specification, image-layout.md): an index, and blobs named by their digests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from build.errors import ToolFailed
from build.registry.tree import Descriptor, ManifestBody, parts, walk

# moby/buildkit docs/attestations/attestation-storage.md: the annotation that tells an attestation from an image.
ATTESTATION = "vnd.docker.reference.type"


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
        return list(walk(self._read(self.top()), lambda pair: pair[1], self._read))

    def _read(self, descriptor: Descriptor) -> tuple[Descriptor, ManifestBody]:
        return descriptor, json.loads(self.blob(descriptor["digest"]).read_bytes())

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
            if ATTESTATION not in descriptor.get("annotations", {})
            for blob in parts(manifest)
        }
        return sum(blobs.values())
