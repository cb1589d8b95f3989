"""Names what belongs to a release by the tags that tools look for, and puts back those that were lost since.

No key is needed. Each tag is put once: what an earlier release attached to the same image stays, and what somebody else
attached is not added to.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from build import console
from build.errors import VersionTaken
from build.parallel import at_once
from build.registry.client import RegistryClient
from build.registry.oci import Artifact
from build.registry.tree import parts
from build.release import publish
from build.release.attest import CYCLONEDX, require_ours
from build.release.proof import Proof
from build.release.record import Record
from build.release.stored import ImageGone, load
from build.signing import attached
from build.signing.attached import Layer
from build.signing.keys import PublicKey


def attach(
    registry: RegistryClient, record: Record, proof: Proof, keys: Sequence[PublicKey], *, tags_allowed: bool
) -> int:
    """Name what belongs to a release by the tags that tools look for; how many tags were written.

    A tag that is there keeps what it names, if that is ours. Unless `tags_allowed` nothing is written: the registry
    refuses such names. Raises ReleaseRefused for somebody else's, ImageGone for attestations that were lost.
    """
    work = [*_signatures(record, proof), *_attestations(registry, proof), *bills(record)]
    if work and not tags_allowed:
        console.note("this registry takes no tags for signatures: those of this release are in its git tag")
        return 0
    return sum(at_once(partial(_attach, registry, keys), work))


def is_any_absent(record: Record, proof: Proof, listed: Mapping[str, Collection[str]]) -> bool:
    """Whether a tag that `attach` writes is not `listed`, by repository."""
    names = [(each.repository, attached.tag(each.digest, "sig")) for each in proof.signatures]
    names += [(each.repository, attached.tag(each.digest, "att")) for each in proof.attestations]
    names += [(bill.repository, attached.tag(bill.digest, "sbom")) for bill in bills(record)]
    return any(tag not in listed[repository] for repository, tag in names)


def put_back(
    registry: RegistryClient,
    record: Record,
    proof: Proof,
    keys: Sequence[PublicKey],
    listed: Mapping[str, Collection[str]],
) -> tuple[int, list[str]]:
    """Write the tags of `attach` that are not `listed`, by repository; how many, and those whose content is lost.

    Signatures are made again of what the proof has, the same bytes. Attestations and bills of materials have to be in
    the registry still, under their digests. Raises as `attach` does, but for what is lost.
    """

    def is_absent(repository: str, digest: str, kind: str) -> bool:
        return attached.tag(digest, kind) not in listed[repository]

    signatures = tuple(each for each in proof.signatures if is_absent(each.repository, each.digest, "sig"))
    work, lost = list(_signatures(record, Proof(signatures))), []
    for each in proof.attestations:
        if is_absent(each.repository, each.digest, "att"):
            try:
                work += _attestations(registry, Proof(attestations=(each,)))
            except ImageGone:
                lost.append(f"{each.repository}:{attached.tag(each.digest, 'att')}")
    work += [bill for bill in bills(record) if is_absent(bill.repository, bill.digest, "sbom")]
    possible = [each for each in work if each.artifact.blobs or _has_parts(registry, each)]
    lost += [f"{each.repository}:{attached.tag(each.digest, each.kind)}" for each in work if each not in possible]
    return sum(at_once(partial(_attach, registry, keys), possible)), lost


def _has_parts(registry: RegistryClient, attachment: Attachment) -> bool:
    body = json.loads(attachment.artifact.manifest.content)
    return all(registry.has_blob(attachment.repository, part["digest"]) for part in parts(body))


@dataclass(frozen=True, kw_only=True, slots=True)
class Attachment:
    """What is attached to a manifest in a repository, by digest: its kind (sig, att or sbom) and its own artifact."""

    repository: str
    digest: str
    kind: str
    artifact: Artifact


def _signatures(record: Record, proof: Proof) -> Iterator[Attachment]:
    address = record.registry.partition("/")[0]
    for signature in proof.signatures:
        name = f"{address}/{signature.repository}"
        layer = attached.signature_layer(name, signature.digest, signature.value)
        yield Attachment(
            repository=signature.repository, digest=signature.digest, kind="sig", artifact=attached.image_of([layer])
        )


def _attestations(registry: RegistryClient, proof: Proof) -> Iterator[Attachment]:
    for each in proof.attestations:
        artifact = Artifact(manifest=load(registry, each.repository, each.manifest), blobs=())
        yield Attachment(repository=each.repository, digest=each.digest, kind="att", artifact=artifact)


def bills(record: Record) -> Iterator[Attachment]:
    """The bills of materials of a release's images, as they are attached."""
    for service, image in record.services.items():
        if image.sbom:
            artifact = attached.image_of([Layer(image.sbom.digest, CYCLONEDX, size=image.sbom.size)])
            bare = Artifact(manifest=artifact.manifest, blobs=())
            yield Attachment(repository=record.repository_of(service), digest=image.digest, kind="sbom", artifact=bare)


def _attach(registry: RegistryClient, keys: Sequence[PublicKey], attachment: Attachment) -> bool:
    tag = attached.tag(attachment.digest, attachment.kind)
    existing = registry.manifest(attachment.repository, tag)
    if existing is None:
        try:
            return publish.store(registry, attachment.repository, tag, attachment.artifact)
        except VersionTaken:  # another release, or somebody else, was first
            existing = load(registry, attachment.repository, tag)
    if existing.digest != attachment.artifact.manifest.digest:
        if attachment.kind == "sbom":
            console.warn(
                f"{attachment.repository}:{tag} is another document, and stays; the record has the digest of ours"
            )
        elif attachment.kind == "sig":
            require_ours(registry, keys, (attachment.repository, attachment.digest))
    return False
