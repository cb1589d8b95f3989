"""Manifests, tags and blobs of a registry (OCI Distribution 1.1).

A second tag gets the manifest's bytes unchanged, so its digest is the same; build tools do not guarantee that.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator
from functools import partial
from urllib.parse import quote

from build.config.manifest import Manifest
from build.errors import RegistryError
from build.registry import responses, retry
from build.registry.body import Body
from build.registry.connections import REDIRECTS
from build.registry.oci import RawManifest, digest_of
from build.registry.transport import Transport

MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_DIGEST = re.compile("sha256:[0-9a-f]{64}")
_UNDECIDED = {*range(200, 500), 501} - {401, 408, 429}  # answers to a HEAD that are not believed without a GET
_NO_MOUNT = (400, 404, 405, 422, 501)
_PING_SECONDS = 5
_PAGE = 1000
_READS = (1, 2, 3)  # attempts where one answer contradicts another


class RegistryClient(Transport):
    """A client of the manifest's registry: a context manager, safe to share between threads.

    Every method raises RegistryError if the registry refuses, or does not answer within `attempts` attempts.
    """

    @functools.cached_property
    def _immutable(self) -> dict[str, RawManifest]:
        return {}

    @functools.cached_property
    def _contents(self) -> dict[tuple[str, str], RawManifest]:
        """Manifests by repository and digest: what was read under a digest stays the same."""
        return {}

    @functools.cached_property
    def _blobs(self) -> dict[tuple[str, str], bytes]:
        return {}

    @functools.cached_property
    def _seen(self) -> dict[tuple[str, str], str]:
        """The digest read last of each tag, by repository and tag; "" for a tag that was not there."""
        return {}

    @functools.cached_property
    def _written(self) -> dict[str, set[str]]:
        """The tags that this client has put, by repository."""
        return {}

    @functools.cached_property
    def _mounted(self) -> set[tuple[str, str]]:
        """The blobs that repositories were found to have, by repository and digest."""
        return set()

    def ping(self) -> None:
        """Return if a registry answers and accepts the credentials."""
        self.request("GET", "/v2/", ok=(200,), check=responses.api)

    def digest(self, repository: str, reference: str, *, new: bool = False) -> str | None:
        """Return the digest that a tag or digest resolves to, None if there is none.

        Only a digest is believed of a HEAD: Nexus answers 404 to it where GET finds a manifest, others 405. So GET
        decides; where a tag is `new` and nothing is expected, it is asked at once.
        """
        if (repository, reference) in self._contents:
            return reference
        if not new:
            path = f"/v2/{repository}/manifests/{reference}"
            answer = self.request("HEAD", path, ok=_UNDECIDED, headers=_accept())
            digest = answer.headers.get(responses.DIGEST, "")
            named = reference if reference.startswith("sha256:") else digest
            if answer.status_code == 200 and _DIGEST.fullmatch(digest) and digest == named:
                self._seen[repository, reference] = digest
                return str(digest)
        manifest = self.manifest(repository, reference)
        return manifest.digest if manifest else None

    def seen(self, repository: str, tag: str) -> str | None:
        """Return the digest that this client read last of a tag ("": there was none), None if it has put it since."""
        return self._seen.get((repository, tag))

    def digest_but(self, repository: str, tag: str, expected: str) -> str | None:
        """Return what `digest` does; any other digest than the `expected` one is what GET sends, or an error.

        For whoever draws conclusions from another digest: a HEAD and a GET that contradict each other prove nothing.
        """
        for attempt in _READS:
            digest = self.digest(repository, tag)
            if digest in {None, expected}:
                return digest
            manifest = self.manifest(repository, tag)
            if manifest and manifest.digest == digest:
                return digest
            retry.wait(attempt)
        sent = manifest.digest if manifest else "nothing"
        problem = f"names {digest} for {repository}:{tag} and sends {sent}"
        raise self.failure(problem, "HEAD, GET", f"/v2/{repository}/manifests/{tag}", hint=responses.BETWEEN)

    def manifest(self, repository: str, reference: str) -> RawManifest | None:
        """Return the manifest under a tag or digest, None if there is none; its bytes match every digest given.

        What was read once under a digest is not read again.
        """
        if content := self._contents.get((repository, reference)):
            return content
        path = f"/v2/{repository}/manifests/{reference}"
        check = partial(responses.manifest, reference=reference)
        answer = self.request("GET", path, ok=(200, 404), headers=_accept(), check=check)
        if answer.status_code == 404:
            self._seen[repository, reference] = ""
            return None
        media_type = answer.headers.get("Content-Type", "").partition(";")[0]
        manifest = RawManifest(content=answer.content, media_type=media_type, digest=digest_of(answer.content))
        self._seen[repository, reference] = manifest.digest
        self._contents[repository, manifest.digest] = manifest
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
        self._forget(repository, reference)
        self.request("PUT", path, ok=(200, 201, 202), headers={"Content-Type": media_type}, content=content)
        if not reference.startswith("sha256:"):
            self._written.setdefault(repository, set()).add(reference)

    def delete_manifest(self, repository: str, digest: str) -> bool:
        """Delete a manifest by digest; return False if the registry does not support that or has no such manifest."""
        path = f"/v2/{repository}/manifests/{digest}"
        self._forget(repository, digest)
        return self.request("DELETE", path, ok=(200, 202, 400, 403, 404, 405)).status_code in {200, 202}

    def _forget(self, repository: str, reference: str) -> None:
        self._seen.pop((repository, reference), None)
        self._contents.pop((repository, reference), None)

    def tags(self, repository: str) -> list[str]:
        """Return every tag of a repository, over all pages; none if there is no such repository.

        A list that lacks a tag which this client has put, and which is there, is older than it (a cache, a replica): it
        is read again, and in the end refused.
        """
        for attempt in _READS:
            written = set(self._written.get(repository, ()))
            tags = list(self._pages(f"/v2/{repository}/tags/list", "tags", ok=(200, 404)))
            missing = sorted(tag for tag in written.difference(tags) if self.manifest(repository, tag))
            if not missing:
                return tags
            retry.wait(attempt)
        problem = f"lists {repository} without {', '.join(missing)}, which it has"
        raise self.failure(problem, "GET", f"/v2/{repository}/tags/list", hint=responses.BETWEEN)

    def repositories(self) -> list[str]:
        """Return every repository that the registry lists, over all pages."""
        return list(self._pages("/v2/_catalog", "repositories", ok=(200,)))

    def _pages(self, path: str, key: str, *, ok: tuple[int, ...]) -> Iterator[str]:
        """Yield each name of a list once, page after page (Distribution specification, "Listing Tags").

        A full page without a Link may have one after it all the same. Ends where a page has nothing new.
        """
        seen: dict[str, None] = {}
        following = f"{path}?n={_PAGE}"
        while following:
            answer = self.request("GET", following, ok=ok, check=partial(responses.listing, key=key))
            listed = responses.content_of(answer).get(key) or [] if answer.status_code == 200 else []
            new = dict.fromkeys(name for name in listed if name not in seen)
            yield from new
            seen |= new
            following = self.following(answer) if new else ""
            if not following and new and len(listed) == _PAGE:
                following = f"{path}?n={_PAGE}&last={quote(listed[-1], safe='')}"

    def blob(self, repository: str, digest: str) -> bytes | None:
        """Return the bytes of a small blob, verified by digest; None if there is no such blob. It is read once."""
        if (repository, digest) in self._blobs:
            return self._blobs[repository, digest]
        check = partial(responses.blob, digest=digest)
        answer = self.request("GET", f"/v2/{repository}/blobs/{digest}", ok=(200, 404), check=check)
        if answer.status_code == 404:
            return None
        self._blobs[repository, digest] = answer.content
        return answer.content

    def has_blob(self, repository: str, digest: str, *, strict: bool = False) -> bool:
        """Whether a repository has a blob; in doubt it is no, and the blob is uploaded again.

        Distribution answers 500 for a blob whose link file a full disk left empty, until the blob is uploaded again;
        registries without HEAD answer 405, and a registry may keep its blobs in a store elsewhere. With `strict`, a
        server error is raised.
        """
        if (repository, digest) in self._mounted:
            return True
        path = f"/v2/{repository}/blobs/{digest}"
        try:
            answer = self.request("HEAD", path, ok=_UNDECIDED - {403}, follow=False)
        except RegistryError as error:
            if strict or error.status < 500:
                raise
            return False
        if answer.status_code in REDIRECTS:
            return True
        return answer.status_code == 200 and answer.headers.get(responses.DIGEST, digest) == digest

    def put_blob(self, repository: str, digest: str, content: Body, *, mount_from: str = "") -> bool:
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
            retry.wait(attempt, retry_after)
        raise AssertionError

    def prove_push(self, repository: str, *, blob: str = "") -> None:
        """Push nothing, and return if that is allowed; it proves the right to push, not that a tag is taken.

        A `blob` that the repository has is mounted from there, which changes nothing; without one, or where that is not
        supported, an upload session is opened and cancelled.
        """
        uploads = f"/v2/{repository}/blobs/uploads/"
        session = None
        if blob:
            answer = self.request("POST", f"{uploads}?mount={blob}&from={repository}", ok={201, 202, *_NO_MOUNT})
            if answer.status_code == 201:
                self._mounted.add((repository, blob))
                return
            session = answer if answer.status_code == 202 else None
        location = self.location(session or self.request("POST", uploads, ok=(202,)))
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
