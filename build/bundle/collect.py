"""What belongs to a release: every manifest and blob that it names, and what is attached to them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial

from build.bundle.form import BundledRelease, Put
from build.errors import RegistryError
from build.parallel import at_once
from build.registry.body import Part
from build.registry.client import RegistryClient
from build.registry.content import Relocated
from build.registry.oci import EMPTY, Artifact, RawManifest, digest_of
from build.registry.tree import Descriptor, ManifestBody, parts, walk
from build.release.candidates import platform_manifests
from build.release.proof import Proof
from build.release.record import Record, of_record
from build.release.stored import ImageGone, load
from build.signing import attached

DATABASE = "trivy-db"  # its repository; Trivy itself asks for the tag 2
_KINDS = ("sig", "att", "sbom")


@dataclass(frozen=True, slots=True)
class Collected:
    """The releases so far: `put` in the order in which it is loaded, `manifests` by digest, `blobs` with their sizes.

    `places` has a repository of this registry for each blob, `small` and `files` the blobs that no registry has,
    `layers` those of the images by repository (below the namespace).
    """

    put: dict[Put, None] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, int] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    small: dict[str, bytes] = field(default_factory=dict)
    layers: dict[str, set[str]] = field(default_factory=dict)
    files: dict[str, Part] = field(default_factory=dict)
    images: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)


def add_database(collected: Collected, stored: RawManifest, layer: Part) -> None:
    """Add a vulnerability database, which is put before anything else."""
    database = Put(
        repository=DATABASE, tag="2", digest=stored.digest, media_type=stored.media_type, floating=True
    )  # fmt: skip
    body = json.loads(stored.content)
    collected.manifests[stored.digest] = stored.content
    collected.small[body["config"]["digest"]] = EMPTY
    collected.files[body["layers"][0]["digest"]] = layer
    collected.put[database] = None


def release(record: Record) -> BundledRelease:
    """How a bundle names a release."""
    return BundledRelease(
        line=record.line,
        version=record.version,
        registry=record.registry,
        repository=_below(record, record.repository),
        record=of_record(record).manifest.digest,
    )


def add(collected: Collected, registry: Relocated, record: Record, proof: Proof) -> None:
    """Add a release; its record comes last, so that it is complete only when all else is there.

    `registry` is where it is now, which need not be the namespace that it was made in.
    Raises ImageGone for what the registry has lost, RegistryError.
    """
    subjects: list[tuple[str, str]] = []
    versions: list[Put] = []
    for service, image in record.services.items():
        repository = record.repository_of(service)
        top = load(registry, repository, image.digest)
        for stored in walk(top, _body, partial(_child, registry, repository)):
            _add(collected, registry, record, repository, stored)
            layers = {layer["digest"] for layer in _body(stored).get("layers", [])}
            collected.layers.setdefault(service, set()).update(layers)
        subjects += [(repository, digest) for digest in (top.digest, *platform_manifests(top.content))]
        descriptor: dict[str, object] = {
            "mediaType": top.media_type, "digest": top.digest, "size": len(top.content),
        }  # fmt: skip
        name = f"{record.registry}/{service}:{record.version}"
        collected.images.append((name, f"{service}-{record.version}", descriptor))
        versions.append(_put(record, repository, top, record.version))
    own = of_record(record)
    subjects.append((record.repository, own.manifest.digest))
    wanted = [(repository, digest, kind) for repository, digest in subjects for kind in _KINDS]
    found = at_once(partial(_attached, registry, record, proof), wanted)
    for (repository, digest, kind), artifact in zip(wanted, found, strict=True):
        if artifact:
            collected.small.update({digest_of(blob): blob for blob in artifact.blobs})
            _add(collected, registry, record, repository, artifact.manifest, attached.tag(digest, kind))
    collected.put.update(dict.fromkeys(versions))
    _add(collected, registry, record, record.repository, own.manifest, record.version)


def _body(stored: RawManifest) -> ManifestBody:
    body: ManifestBody = json.loads(stored.content)
    return body


def _child(registry: Relocated, repository: str, descriptor: Descriptor) -> RawManifest:
    return load(registry, repository, descriptor["digest"])


def _add(
    collected: Collected, registry: Relocated, record: Record, repository: str, stored: RawManifest, tag: str = ""
) -> None:  # fmt: skip
    collected.manifests[stored.digest] = stored.content
    for part in parts(_body(stored)):
        if part["digest"] not in collected.small:
            collected.blobs[part["digest"]] = part["size"]
            collected.places.setdefault(part["digest"], registry.place(repository))
    collected.put[_put(record, repository, stored, tag)] = None


def _put(record: Record, repository: str, stored: RawManifest, tag: str) -> Put:
    return Put(repository=_below(record, repository), tag=tag, digest=stored.digest, media_type=stored.media_type)


def _below(record: Record, repository: str) -> str:
    return repository.removeprefix(f"{record.registry.partition('/')[2]}/")


def _attached(
    registry: Relocated, record: Record, proof: Proof, subject: tuple[str, str, str]
) -> Artifact | None:  # fmt: skip
    """What is attached to a manifest in the registry, else what the git tag has of it."""
    repository, digest, kind = subject
    stored = registry.manifest(repository, attached.tag(digest, kind))
    if stored is None and kind == "sig" and (value := proof.signature(repository, digest)):
        address = record.registry.partition("/")[0]
        return attached.image_of([attached.signature_layer(f"{address}/{repository}", digest, value)])
    if stored is None and kind == "att" and (carried := proof.attestations_of(repository, digest)):
        stored = registry.manifest(repository, carried)
    return Artifact(manifest=stored, blobs=()) if stored else None


def require_all(collected: Collected, registry: RegistryClient) -> None:
    """Raise ImageGone if the registry lacks a blob."""

    def require(blob: tuple[str, str]) -> None:
        digest, repository = blob
        try:
            there = registry.has_blob(repository, digest, strict=True)
        except RegistryError as error:
            raise error.with_message(f"{repository}@{digest}: {error}", hint=error.hint) from None
        if not there:
            raise ImageGone(f"the registry has lost {repository}@{digest}", hint="restore it, or release again")

    at_once(require, collected.places.items())
