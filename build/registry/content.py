"""What can be read of images, wherever they are: in a registry, under other names in another one, in a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from build.registry.oci import RawManifest


class Content(Protocol):
    """Manifests and small blobs by repository; see RegistryClient, which is one."""

    def digest(self, repository: str, reference: str, /) -> str | None:
        """Return the digest that a tag or digest resolves to, None if there is none."""

    def manifest(self, repository: str, reference: str, /) -> RawManifest | None:
        """Return the manifest under a tag or digest, None if there is none."""

    def blob(self, repository: str, digest: str, /) -> bytes | None:
        """Return the bytes of a small blob, None if there is none."""

    def has_blob(self, repository: str, digest: str, /) -> bool:
        """Whether a repository has a blob."""


@dataclass(frozen=True, slots=True)
class Relocated:
    """Content whose repositories are below another namespace than their records say."""

    inner: Content
    recorded: str
    actual: str

    def place(self, repository: str) -> str:
        """Return where a repository of the record is."""
        below = repository.removeprefix(f"{self.recorded}/")
        return f"{self.actual}/{below}" if below != repository else repository

    def digest(self, repository: str, reference: str, /) -> str | None:
        """Return what `inner` does."""
        return self.inner.digest(self.place(repository), reference)

    def manifest(self, repository: str, reference: str, /) -> RawManifest | None:
        """Return what `inner` does."""
        return self.inner.manifest(self.place(repository), reference)

    def blob(self, repository: str, digest: str, /) -> bytes | None:
        """Return what `inner` does."""
        return self.inner.blob(self.place(repository), digest)

    def has_blob(self, repository: str, digest: str, /) -> bool:
        """Return what `inner` does."""
        return self.inner.has_blob(self.place(repository), digest)
