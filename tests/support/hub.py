"""Read and change the contents of a world's registry without the library."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx

_ACCEPT = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.list.v2",
        "docker.distribution.manifest.v2",
    )
)


class Hub:
    """Direct access to a registry's contents, not through the library."""

    def __init__(self, address: str) -> None:
        self._http = httpx.Client(
            base_url=f"http://{address}", trust_env=False, headers={"Accept": _ACCEPT}, timeout=60
        )

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository."""
        answer = self._http.get(f"/v2/{repository}/tags/list?n=10000")
        return (answer.json().get("tags") or []) if answer.status_code == 200 else []

    def digest(self, repository: str, reference: str) -> str:
        """The digest of a tag, or "" if it does not exist."""
        answer = self._http.head(f"/v2/{repository}/manifests/{reference}")
        return answer.headers["Docker-Content-Digest"] if answer.status_code == 200 else ""

    def manifest(self, repository: str, reference: str) -> Any:
        """The manifest as JSON, or None if it does not exist."""
        answer = self._http.get(f"/v2/{repository}/manifests/{reference}")
        return answer.json() if answer.status_code == 200 else None

    def blob(self, repository: str, digest: str) -> bytes | None:
        """The bytes of a blob, or None if it does not exist."""
        answer = self._http.get(f"/v2/{repository}/blobs/{digest}")
        return answer.content if answer.status_code == 200 else None

    def put(self, repository: str, tag: str, content: bytes, media_type: str) -> int:
        """Write a manifest as a third party would; return the status."""
        path = f"/v2/{repository}/manifests/{tag}"
        return self._http.put(path, content=content, headers={"Content-Type": media_type}).status_code

    def put_blob(self, repository: str, content: bytes) -> str:
        """Upload a blob; return its digest."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        begun = self._http.post(f"/v2/{repository}/blobs/uploads/")
        place = httpx.URL(begun.headers["Location"]).copy_merge_params({"digest": digest})
        answer = self._http.put(place, content=content, headers={"Content-Type": "application/octet-stream"})
        assert answer.status_code == 201, answer.text
        return digest

    def forget(self, repository: str, digest: str) -> int:
        """Delete a blob as a careless clean-up would; return the status."""
        return self._http.delete(f"/v2/{repository}/blobs/{digest}").status_code

    def delete(self, repository: str, digest: str) -> int:
        """Delete a manifest, and with it every tag that names it, as a clean-up policy does; return the status."""
        return self._http.delete(f"/v2/{repository}/manifests/{digest}").status_code

    def raw(self, repository: str, reference: str) -> tuple[bytes, str]:
        """The bytes of a manifest and their media type."""
        answer = self._http.get(f"/v2/{repository}/manifests/{reference}")
        return answer.content, answer.headers["Content-Type"]

    def has(self, repository: str, digest: str) -> bool:
        """Whether a blob exists."""
        return self._http.head(f"/v2/{repository}/blobs/{digest}").status_code == 200
