"""A client of the registry protocol (OCI Distribution 1.1): manifests, tags, blobs.

Digest equality is the point: what is put under a second tag are the same bytes, which no build tool promises.
"""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path

from build.errors import RegistryError
from build.registry.oci import Stored, digest_of
from build.registry.transport import Transport

MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_ELSEWHERE = (301, 302, 303, 307, 308)  # blobs may be in a store beside the registry


class Distribution(Transport):
    """The registry of the manifest; a context manager, to be used by any number of threads.

    Every method raises RegistryError when the registry refuses, or does not answer after `attempts` tries.
    """

    @functools.cached_property
    def _lasting(self) -> dict[str, Stored]:
        return {}

    def ping(self) -> None:
        """Return when something that speaks the protocol answers and lets us in."""
        self.request("GET", "/v2/", ok=(200,))

    def digest(self, repository: str, reference: str) -> str | None:
        """The digest under a tag, or whether a digest is there; None when it is not."""
        path = f"/v2/{repository}/manifests/{reference}"
        answer = self.request("HEAD", path, ok=(200, 404), headers=_accept())
        if answer.status_code == 404:
            return None
        if told := answer.headers.get("Docker-Content-Digest"):
            return str(told)
        found = self.manifest(repository, reference)
        return found.digest if found else None

    def manifest(self, repository: str, reference: str) -> Stored | None:
        """The manifest under a tag or digest; None when there is none. A digest is checked against the bytes."""
        answer = self.request("GET", f"/v2/{repository}/manifests/{reference}", ok=(200, 404), headers=_accept())
        if answer.status_code == 404:
            return None
        media_type = answer.headers.get("Content-Type", "").partition(";")[0]
        found = Stored(content=answer.content, media_type=media_type, digest=digest_of(answer.content))
        if reference.startswith("sha256:") and found.digest != reference:
            raise self.failure(f"sends {found.digest} when asked for {reference}", "GET", repository)
        return found

    def lasting(self, repository: str, tag: str) -> Stored | None:
        """The manifest under a tag that is never pointed elsewhere: once it was there, it is not asked for again."""
        key = f"{repository}:{tag}"
        if key not in self._lasting and (found := self.manifest(repository, tag)):
            self._lasting[key] = found
        return self._lasting.get(key)

    def put_manifest(self, repository: str, reference: str, content: bytes, media_type: str) -> None:
        """Put the bytes under a tag or their digest. The error of a refusal carries its `status`."""
        path = f"/v2/{repository}/manifests/{reference}"
        self.request("PUT", path, ok=(200, 201, 202), headers={"Content-Type": media_type}, content=content)

    def delete_manifest(self, repository: str, digest: str) -> bool:
        """Delete a manifest by digest; False where the registry does not do that, or has none."""
        path = f"/v2/{repository}/manifests/{digest}"
        return self.request("DELETE", path, ok=(200, 202, 400, 403, 404, 405)).status_code in {200, 202}

    def tags(self, repository: str) -> list[str]:
        """Every tag of a repository, page after page; empty when there is no such repository."""
        found: list[str] = []
        path = f"/v2/{repository}/tags/list?n=1000"
        while path:
            answer = self.request("GET", path, ok=(200, 404))
            if answer.status_code == 404:
                return found
            found += self.json(answer).get("tags") or []
            following = answer.links.get("next", {}).get("url", "")
            path = following if following != path else ""
        return found

    def repositories(self) -> list[str]:
        """Every repository that the registry lists."""
        found: list[str] = self.json(self.request("GET", "/v2/_catalog?n=1000", ok=(200,))).get("repositories") or []
        return found

    def blob(self, repository: str, digest: str) -> bytes | None:
        """The bytes of a small blob, checked; None when it is not there."""
        answer = self.request("GET", f"/v2/{repository}/blobs/{digest}", ok=(200, 404, *_ELSEWHERE))
        if answer.next_request is not None:
            answer = self.request("GET", str(answer.next_request.url), ok=(200,))
        if answer.status_code == 404:
            return None
        if digest_of(answer.content) != digest:
            raise self.failure(f"sends other bytes than {digest}", "GET", repository)
        return answer.content

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a repository has a blob. One that the registry fails to look up is to be sent again.

        Distribution answers 500 for a blob whose link a full disk left empty, until it is uploaded once more.
        """
        try:
            answer = self.request("HEAD", f"/v2/{repository}/blobs/{digest}", ok=(200, 404, *_ELSEWHERE))
        except RegistryError as error:
            if error.status < 500:
                raise
            return False
        return answer.status_code != 404

    def put_blob(self, repository: str, digest: str, content: bytes | Path, *, mount_from: str = "") -> bool:
        """Upload a blob in one piece, or have it mounted from a sister repository; True when bytes were sent.

        An upload that breaks is begun again from its start: how far it came is the registry's guess as much as ours.
        """
        query = f"?mount={digest}&from={mount_from}" if mount_from else ""
        for attempt in range(1, self.attempts + 1):
            begun = self.request("POST", f"/v2/{repository}/blobs/uploads/{query}", ok=(201, 202))
            if begun.status_code == 201:
                return False
            location = self.location(begun)
            target = f"{location}{'&' if '?' in location else '?'}digest={digest}"
            headers = {"Content-Type": "application/octet-stream"}
            retry_after = None
            busy = () if attempt == self.attempts else (429, 503)
            try:
                put = self.request("PUT", target, ok=(201, 204, *busy), headers=headers, content=content, repeat=False)
            except RegistryError as error:
                lasting = 400 <= error.status < 500 and error.status not in {404, 416}
                if lasting or attempt == self.attempts:
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
        """Begin an upload and give it up: raises RegistryError where we may not push."""
        begun = self.request("POST", f"/v2/{repository}/blobs/uploads/", ok=(202,))
        location = self.location(begun)
        with contextlib.suppress(RegistryError):
            self.request("DELETE", location, ok=(200, 202, 204, 404, 405))


def _accept() -> dict[str, str]:
    return {"Accept": ", ".join(MANIFESTS)}
