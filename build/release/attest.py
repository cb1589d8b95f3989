"""Signs a release before it is claimed, and reads what is signed and attested of an image.

What is signed is in the registry by digest, like the candidates, without a tag: build/release/attach.py writes those.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from build.errors import ReleaseRefused
from build.images.image import short
from build.parallel import at_once
from build.registry.client import RegistryClient
from build.registry.content import Content
from build.registry.oci import Artifact, RawManifest, digest_of
from build.release import statements
from build.release.candidates import Candidate, config, platform_manifests
from build.release.proof import Attestations, Proof, Signature
from build.release.record import Record, RecordedDocument, RecordedService, of_record
from build.release.statements import Described
from build.release.stored import load
from build.signing import attached, envelope, payload
from build.signing.attached import Layer
from build.signing.envelope import NoAttestation, Statement
from build.signing.keys import PublicKey
from build.signing.signer import Signer

CYCLONEDX = "application/vnd.cyclonedx+json"
_HINT = "name its public key in [signing.retired], if it was yours; or remove that tag from the registry"
_REVISION = "org.opencontainers.image.revision"


def store_bills(
    registry: RegistryClient,
    candidates: Mapping[str, Candidate],
    previous: Mapping[str, RecordedService],
    bills: Mapping[str, bytes],
) -> dict[str, RecordedDocument]:
    """Put the images' bills of materials into the registry, by digest; what the record says of each.

    An image that an earlier release has (`previous`, by service) keeps the bill of that one: another version of the
    scanner may write another. Raises RegistryError.
    """

    def kept(service: str) -> RecordedDocument | None:
        earlier, digest = previous.get(service), candidates[service].image.digest
        return earlier.sbom if earlier and earlier.digest == digest else None

    def put(service: str) -> RecordedDocument:
        bill = bills[service]
        stage(registry, candidates[service].image.repository, attached.image_of([_bill(bill)]))
        return RecordedDocument(digest=digest_of(bill), size=len(bill))

    documents = {service: document for service in candidates if (document := kept(service))}
    new = [service for service in bills if service not in documents]
    return documents | dict(zip(new, at_once(put, new), strict=True))


def _bill(content: bytes) -> Layer:
    return attached.document_layer(content, CYCLONEDX)


def sign(
    registry: RegistryClient,
    signer: Signer,
    keys: Sequence[PublicKey],
    record: Record,
    candidates: Mapping[str, Candidate],
    vex: Iterable[Mapping[str, Any]] = (),
) -> Proof:
    """Sign a record and every manifest of its images, and put their attestations into the registry by digest.

    `vex` are the documents that the scan went by.
    Raises ReleaseRefused if somebody else's signature is attached to one of them, RegistryError, as the signer does.
    """
    todo = list(subjects(registry, record, {name: candidates[name].stored for name in record.services}))
    trusted = (*keys, signer.public)
    at_once(partial(require_ours, registry, trusted), todo)
    address = record.registry.partition("/")[0]

    def signature(subject: tuple[str, str]) -> Signature:
        repository, digest = subject
        return Signature(repository, digest, signer.sign(payload.payload(f"{address}/{repository}", digest)))

    signatures = tuple(at_once(signature, todo))

    def of_service(service: str) -> Attestations:
        repository, digest = record.repository_of(service), record.services[service].digest
        if existing := registry.manifest(repository, attached.tag(digest, "att")):
            _require_our_attestations(registry, trusted, repository, digest, existing)
            return Attestations(repository, digest, existing.digest)
        known = described(registry, record, service)
        return _attest(registry, signer, repository, digest, statements.of_image(record, service, known))

    attestations = at_once(of_service, record.services)
    own = of_record(record).manifest.digest
    attestations.append(_attest(registry, signer, record.repository, own, statements.of_release(record, vex)))
    return Proof(signatures, tuple(attestations))


def subjects(registry: RegistryClient, record: Record, stored: Mapping[str, RawManifest]) -> Iterator[tuple[str, str]]:
    """What is signed, as repository and digest: each image, its manifest for each platform, and the record.

    Podman, CRI-O and skopeo look for the signature of the platform's manifest, cosign for that of the image.
    """
    for service, image in record.services.items():
        repository = record.repository_of(service)
        manifest = stored.get(service) or load(registry, repository, image.digest)
        yield repository, image.digest
        yield from ((repository, digest) for digest in platform_manifests(manifest.content))
    yield record.repository, of_record(record).manifest.digest


def described(registry: RegistryClient, record: Record, service: str) -> Described:
    """What is known of an image beside the record, as the registry has it. Raises RegistryError."""
    repository, image = record.repository_of(service), record.services[service]
    content = registry.blob(repository, config(registry, repository, image.digest))
    labels = json.loads(content or b"{}").get("config", {}).get("Labels") or {}
    bill = registry.blob(repository, image.sbom.digest) if image.sbom else None
    return Described(commit=labels.get(_REVISION, record.commit), bill_of_materials=bill or b"")


def _attest(
    registry: RegistryClient, signer: Signer, repository: str, digest: str, stated: Iterable[Statement]
) -> Attestations:
    layers = [attached.attestation_layer(envelope.seal(each, signer.sign), each.predicate_type) for each in stated]
    artifact = attached.image_of(layers)
    stage(registry, repository, artifact)
    return Attestations(repository, digest, artifact.manifest.digest)


def stage(registry: RegistryClient, repository: str, artifact: Artifact) -> None:
    """Put an artifact under its digest, without a tag."""
    manifest = artifact.manifest
    if registry.digest(repository, manifest.digest, new=True):
        return
    for blob in artifact.blobs:
        registry.put_blob(repository, digest_of(blob), blob)
    registry.put_manifest(repository, manifest.digest, manifest.content, manifest.media_type)


def require_ours(registry: RegistryClient, keys: Sequence[PublicKey], subject: tuple[str, str]) -> None:
    """Raise ReleaseRefused if a signature is attached and none of it is by one of the keys."""
    repository, digest = subject
    tag = attached.tag(digest, "sig")
    stored = registry.manifest(repository, tag)
    if stored and not any(
        signed_by(registry, repository, digest, layer, keys) for layer in attached.layers_of(stored.content)
    ):
        message = f"{repository}:{tag} has a signature of {short(digest)} that none of the keys in [signing] made"
        raise ReleaseRefused(message, hint=_HINT)


def _require_our_attestations(
    registry: RegistryClient, keys: Sequence[PublicKey], repository: str, digest: str, stored: RawManifest
) -> None:
    results = list(statements_in(registry, repository, digest, stored, keys))
    if all(isinstance(result, NoAttestation) for result in results):
        message = f"{repository}:{attached.tag(digest, 'att')} has attestations that none of the keys in [signing] made"
        raise ReleaseRefused(message, hint=_HINT)


def signed_by(
    registry: Content, repository: str, digest: str, layer: Layer, keys: Iterable[PublicKey]
) -> PublicKey | None:
    """The key that signed a manifest, by the layer of an attached signature; None if it was none of them."""
    content = registry.blob(repository, layer.digest) if layer.media_type == payload.TYPE else None
    if content is None or payload.subject(content)[1] != digest:
        return None
    return next((key for key in keys if layer.signature and key.verifies(content, layer.signature)), None)


def statements_in(
    registry: Content, repository: str, digest: str, stored: RawManifest, keys: Sequence[PublicKey]
) -> Iterator[tuple[Statement, PublicKey] | NoAttestation]:
    """What the attestations in a manifest say of another one, each with the key that signed it, or why it is none."""
    for layer in attached.layers_of(stored.content):
        content = registry.blob(repository, layer.digest)
        try:
            if content is None:
                raise NoAttestation("its bytes are gone from the registry")
            statement, key = envelope.unseal(content, keys)
            if digest not in statement.subjects.values():
                raise NoAttestation("it is about another image")
        except NoAttestation as problem:
            yield problem
        else:
            yield statement, key
