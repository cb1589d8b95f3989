"""A bundle as content: manifests and blobs of the places that its table names, for whoever verifies a release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from build.bundle.form import BLOBS, Contents
from build.registry.body import Part
from build.registry.oci import RawManifest

_SMALL = 16 << 20  # bytes; nothing that is read whole is larger


@dataclass(frozen=True, slots=True)
class BundleContent:
    """The content of a bundle whose hashes were checked. `prefix` is in front of each repository's name."""

    contents: Contents
    parts: Mapping[str, Part]
    prefix: str

    def digest(self, repository: str, reference: str, /) -> str | None:
        """The digest of a manifest that would be put under this tag or digest."""
        below = repository.removeprefix(f"{self.prefix}/")
        puts = (put for put in self.contents.put if put.repository == below)
        return next((put.digest for put in puts if reference in {put.tag, put.digest}), None)

    def manifest(self, repository: str, reference: str, /) -> RawManifest | None:
        """The manifest that would be put under this tag or digest."""
        digest = self.digest(repository, reference)
        content = self.blob(repository, digest) if digest else None
        if content is None or digest is None:
            return None
        kind = next(put.media_type for put in self.contents.put if put.digest == digest)
        return RawManifest(content=content, media_type=kind, digest=digest)

    def blob(self, _repository: str, digest: str, /) -> bytes | None:
        """The bytes of a small blob."""
        part = self.parts.get(name_of(digest))
        return part.read() if part and part.size <= _SMALL else None

    def has_blob(self, _repository: str, digest: str, /) -> bool:
        """Whether the bundle has a blob, or leaves it out because an earlier release has it."""
        return name_of(digest) in self.parts or any(digest in blobs for blobs in self.contents.left_out.values())


def name_of(digest: str) -> str:
    """The file of a blob."""
    return f"{BLOBS}{digest.removeprefix('sha256:')}"
