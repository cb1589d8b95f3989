"""Manifests, tags and blobs of a registry (OCI Distribution 1.1).

A second tag gets the manifest's bytes unchanged, so its digest is the same; build tools do not guarantee that.
"""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path

from build.config.manifest import Manifest
from build.errors import RegistryError
from build.registry.oci import RawManifest, digest_of
from build.registry.transport import Transport

MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_REDIRECTS = (301, 302, 303, 307, 308)  # a registry may keep its blobs in a separate object store
_PING_SECONDS = 5


class RegistryClient(Transport):
    """A client of the manifest's registry: a context manager, safe to share between threads.

    Every method raises RegistryError if the registry refuses, or does not answer within `attempts` attempts.
    """

    @functools.cached_property
    def _immutable(self) -> dict[str, RawManifest]:
        return {}

    def ping(self) -> None:
        """Return if a registry answers and accepts the credentials."""
        self.request("GET", "/v2/", ok=(200,))

    def digest(self, repository: str, reference: str) -> str | None:
        """Return the digest that a tag or digest resolves to, None if there is none."""
        path = f"/v2/{repository}/manifests/{reference}"
        answer = self.request("HEAD", path, ok=(200, 404), headers=_accept())
        if answer.status_code == 404:
            return None
        if digest := answer.headers.get("Docker-Content-Digest"):
            return str(digest)
        manifest = self.manifest(repository, reference)
        return manifest.digest if manifest else None

    def manifest(self, repository: str, reference: str) -> RawManifest | None:
        """Return the manifest under a tag or digest, None if there is none; the bytes must match a digest."""
        answer = self.request("GET", f"/v2/{repository}/manifests/{reference}", ok=(200, 404), headers=_accept())
        if answer.status_code == 404:
            return None
        media_type = answer.headers.get("Content-Type", "").partition(";")[0]
        manifest = RawManifest(content=answer.content, media_type=media_type, digest=digest_of(answer.content))
        if reference.startswith("sha256:") and manifest.digest != reference:
            raise self.failure(f"sends {manifest.digest} when asked for {reference}", "GET", repository)
        return manifest

    def immutable_manifest(self, repository: str, tag: str) -> RawManifest | None:
        """Return the manifest under an immutable tag, None if there is none yet; cached after the first read."""
        key = f"{repository}:{tag}"
        if key not in self._immutable and (manifest := self.manifest(repository, tag)):
            self._immutable[key] = manifest
        return self._immutable.get(key)

    def put_manifest(self, repository: str, reference: str, content: bytes, media_type: str) -> None:
        """Store the bytes under a tag or their digest; a refusal's RegistryError has its HTTP `status`."""
        path = f"/v2/{repository}/manifests/{reference}"
        self.request("PUT", path, ok=(200, 201, 202), headers={"Content-Type": media_type}, content=content)

    def delete_manifest(self, repository: str, digest: str) -> bool:
        """Delete a manifest by digest; return False if the registry does not support that or has no such manifest."""
        path = f"/v2/{repository}/manifests/{digest}"
        return self.request("DELETE", path, ok=(200, 202, 400, 403, 404, 405)).status_code in {200, 202}

    def tags(self, repository: str) -> list[str]:
        """Return every tag of a repository, over all pages; none if there is no such repository."""
        tags: list[str] = []
        path = f"/v2/{repository}/tags/list?n=1000"
        while path:
            answer = self.request("GET", path, ok=(200, 404))
            if answer.status_code == 404:
                return tags
            tags += self.json(answer).get("tags") or []
            following = answer.links.get("next", {}).get("url", "")
            path = following if following != path else ""
        return tags

    def repositories(self) -> list[str]:
        """Return every repository that the registry lists."""
        answer = self.request("GET", "/v2/_catalog?n=1000", ok=(200,))
        return list(self.json(answer).get("repositories") or [])

    def blob(self, repository: str, digest: str) -> bytes | None:
        """Return the bytes of a small blob, verified by digest; None if there is no such blob."""
        answer = self.request("GET", f"/v2/{repository}/blobs/{digest}", ok=(200, 404, *_REDIRECTS))
        if answer.next_request is not None:
            answer = self.request("GET", str(answer.next_request.url), ok=(200,))
        if answer.status_code == 404:
            return None
        if digest_of(answer.content) != digest:
            raise self.failure(f"sends other bytes than {digest}", "GET", repository)
        return answer.content

    def has_blob(self, repository: str, digest: str, *, strict: bool = False) -> bool:
        """Whether a repository has a blob; a server error counts as no, so that the blob is uploaded again.

        Distribution answers 500 for a blob whose link file a full disk left empty, until the blob is uploaded again.
        With `strict`, a server error is raised.
        """
        try:
            answer = self.request("HEAD", f"/v2/{repository}/blobs/{digest}", ok=(200, 404, *_REDIRECTS))
        except RegistryError as error:
            if strict or error.status < 500:
                raise
            return False
        return answer.status_code != 404

    def put_blob(self, repository: str, digest: str, content: bytes | Path, *, mount_from: str = "") -> bool:
        """Upload a blob in one request, or mount it from a sister repository; return whether bytes were sent.

        A broken upload is restarted from its first byte: how much of it arrived is not known on either side.
        """
        query = f"?mount={digest}&from={mount_from}" if mount_from else ""
        for attempt in range(1, self.attempts + 1):
            session = self.request("POST", f"/v2/{repository}/blobs/uploads/{query}", ok=(201, 202))
            if session.status_code == 201:
                return False
            location = self.location(session)
            target = f"{location}{'&' if '?' in location else '?'}digest={digest}"
            headers = {"Content-Type": "application/octet-stream"}
            retry_after = None
            busy = () if attempt == self.attempts else (429, 503)
            try:
                put = self.request("PUT", target, ok=(201, 204, *busy), headers=headers, content=content, repeat=False)
            except RegistryError as error:
                permanent = 400 <= error.status < 500 and error.status not in {404, 416}
                if permanent or attempt == self.attempts:
                    raise
                if self.has_blob(repository, digest):
                    return True
            else:
                if put.status_code not in busy:
                    return True
                retry_after = put.headers.get("Retry-After")
            self.wait(attempt, retry_after)
        raise AssertionError

    def prove_push(self, repository: str) -> None:
        """Open an upload session and cancel it. Raises RegistryError if the credentials may not push."""
        session = self.request("POST", f"/v2/{repository}/blobs/uploads/", ok=(202,))
        location = self.location(session)
        with contextlib.suppress(RegistryError):
            self.request("DELETE", location, ok=(200, 202, 204, 404, 405))


def ping(manifest: Manifest) -> None:
    """Raise RegistryError unless the registry answers and accepts the credentials, within one attempt."""
    with RegistryClient(manifest, attempts=1, read_timeout=_PING_SECONDS) as registry:
        registry.ping()


def answers(manifest: Manifest) -> bool:
    """Whether `ping` succeeds."""
    try:
        ping(manifest)
    except RegistryError:
        return False
    return True


def contents(manifest: Manifest) -> dict[str, list[str]]:
    """Map every repository of the registry to its tags, sorted."""
    with RegistryClient(manifest) as registry:
        return {name: sorted(registry.tags(name)) for name in registry.repositories()}


def _accept() -> dict[str, str]:
    return {"Accept": ", ".join(MANIFESTS)}
