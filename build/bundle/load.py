"""Loads a bundle into a registry: blobs, manifests, what is attached, versions, and each release's record last."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import partial

from semver import Version

from build import console
from build.bundle import check
from build.bundle.check import Bundle
from build.bundle.content import name_of
from build.bundle.form import Put
from build.config.manifest import Manifest
from build.errors import ReleaseRefused, VersionTaken
from build.images.image import short
from build.parallel import at_once
from build.registry import policy
from build.registry.client import RegistryClient
from build.registry.oci import RawManifest
from build.registry.tree import parts
from build.release import floats, publish
from build.release.names import yank_tag
from build.release.record import Record, of_record
from build.release.stored import load as load_manifest
from build.waiting import waiting


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """A bundle that was loaded: the registry, its releases, the bytes of layers that were sent, and the reference
    of the vulnerability database that it had.
    """

    registry: str
    releases: tuple[str, ...]
    images: dict[str, str]
    sent: int
    database: str = ""


def load(manifest: Manifest, file: str, *, key: str = "") -> Loaded:
    """Check a bundle, then put all of it into the registry; what is there already is not sent again.

    Raises VerificationFailed before a byte is put, VersionTaken if a version is there with another digest,
    ReleaseRefused if the registry lacks what the bundle leaves out, RegistryError.
    """
    with waiting(f"checking {file}"):
        bundle = check.read(manifest, file, key=key)
    with RegistryClient(manifest) as registry:
        _require_left_out(manifest, registry, bundle)
        allowed = policy.policy(manifest, registry).fallback_tags
        sending = _Sending(registry, bundle, manifest.registry.namespace)
        total = sum(part.size for part in bundle.parts.values())
        with waiting(f"sending {total / 1e6:.1f} MB, or what is not there of it", sending.progress):
            for put in bundle.contents.put:
                sending.put(put if allowed or not put.tag.startswith("sha256-") else replace(put, tag=""))
        if not allowed:
            console.warn("this registry takes no tags for signatures: what the git tag of a release has verifies it")
        for record in bundle.records:
            _move_floats(manifest, registry, record)
    tags = {release.version for release in bundle.contents.releases}
    return Loaded(
        registry=manifest.home,
        releases=tuple(f"{release.line} {release.version}" for release in bundle.contents.releases),
        images={f"{put.repository}:{put.tag}": put.digest for put in bundle.contents.put if put.tag in tags},
        sent=sending.sent,
        database=next(
            (f"{manifest.home}/{put.repository}@{put.digest}" for put in bundle.contents.put if put.floating), ""
        ),
    )


def _require_left_out(manifest: Manifest, registry: RegistryClient, bundle: Bundle) -> None:
    missing = [
        f"{repository}@{short(digest)}"
        for repository, digests in bundle.contents.left_out.items()
        for digest in digests
        if not registry.has_blob(f"{manifest.registry.namespace}/{repository}", digest)
    ]
    if missing:
        since = ", ".join(f"{release.line} {release.version}" for release in bundle.contents.since)
        message = f"the bundle lacks what {since} has, and {manifest.home} lacks it too: {', '.join(missing[:5])}"
        raise ReleaseRefused(message, hint=f"load the bundle of {since} first")


@dataclass(slots=True)
class _Sending:
    """What was sent so far, in bytes of layers, and a repository that has each blob."""

    registry: RegistryClient
    bundle: Bundle
    namespace: str
    sent: int = 0
    places: dict[str, str] = field(default_factory=dict)

    def progress(self) -> str:
        """How much was sent."""
        return f"{self.sent / 1e6:.1f} MB sent"

    def put(self, put: Put) -> None:
        """Put a manifest with its blobs."""
        repository = f"{self.namespace}/{put.repository}"
        part = self.bundle.parts.get(name_of(put.digest))
        if part is None:
            return
        content = part.read()
        body = json.loads(content)
        blobs = {each["digest"] for each in parts(body)}
        self.sent += sum(at_once(partial(self._send, repository), sorted(blobs)))
        stored = RawManifest(content=content, media_type=put.media_type, digest=put.digest)
        _name(self.registry, repository, put, stored)

    def _send(self, repository: str, digest: str) -> int:
        """Upload a blob that the repository lacks, or mount it from one that has it; the bytes that were sent."""
        blob = self.bundle.parts.get(name_of(digest))
        if blob is None:
            return 0
        there = self.registry.has_blob(repository, digest)
        origin = self.places.setdefault(digest, repository)
        sent = not there and self.registry.put_blob(
            repository, digest, blob, mount_from="" if origin == repository else origin
        )
        return blob.size if sent else 0


def _name(registry: RegistryClient, repository: str, put: Put, stored: RawManifest) -> None:
    if put.floating:
        if registry.digest(repository, put.tag) != put.digest:
            registry.put_manifest(repository, put.tag, stored.content, stored.media_type)
        return
    if not put.tag:
        if registry.digest(repository, put.digest) is None:
            registry.put_manifest(repository, put.digest, stored.content, stored.media_type)
        return
    try:
        publish.pin(registry, repository, put.tag, stored)
    except VersionTaken as error:
        if put.tag.startswith("sha256-"):
            console.warn(f"{repository}:{put.tag} is there with other content, and stays")
            return
        message = (
            f"{repository}:{put.tag} is there with another digest: this registry has another release of that version"
        )
        raise VersionTaken(message, hint="./inv releases shows it") from error


def _move_floats(manifest: Manifest, registry: RegistryClient, record: Record) -> None:
    """Point the floats that a loaded release wins, among those that are complete here, at it."""
    if policy.policy(manifest, registry).floats != "client":
        return
    below = record.repository.removeprefix(f"{record.registry.partition('/')[2]}/")
    repository = f"{manifest.registry.namespace}/{below}"
    tags = registry.tags(repository)
    others = [Version.parse(tag) for tag in tags if Version.is_valid(tag) and yank_tag(tag) not in tags]
    digests = {f"{manifest.registry.namespace}/{name}": image.digest for name, image in record.services.items()}
    digests[repository] = of_record(record).manifest.digest  # last, as a release does it
    for name in floats.won_by(record.parsed, others):
        for place, digest in digests.items():
            stored = load_manifest(registry, place, digest)
            if registry.digest(place, name) != digest:
                registry.put_manifest(place, name, stored.content, stored.media_type)
