"""The two steps of a release that prove it: signing before the claim, which takes the key, and attaching after it.

What was attached and is lost since is put back, as far as the git tag and the registry still have it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from build import console
from build.errors import ReleaseRefused
from build.gates.scan import gate as scan
from build.gates.scan import vex
from build.images.image import short
from build.parallel import at_once
from build.registry import policy
from build.registry.credentials import login
from build.release import attach, attest, carried, keyless, recovery
from build.release.proof import Proof
from build.release.published import Known
from build.release.record import Record
from build.release.run import Run, records_of
from build.signing.keyless import configured as cosign_of
from build.signing.keys import trusted
from build.steps import Skip


def signed(run: Run) -> Run:
    """Compute the records, and put into the registry, by digest, what will be attached to the images.

    Raises ReleaseRefused if somebody else's signature is attached to one of them, RegistryError.
    """
    bills = attest.store_bills(run.registry, run.candidates, run.previous, _bills_of_materials(run))
    records = records_of(run, bills)
    if run.signer is None:
        without_key = cosign_of(run.manifest) is not None
        later = "cosign signs it without a key, once it is claimed"
        console.note(later if without_key else "nothing is signed: there is no [signing] key")
        return replace(run, records=records, proofs={record.tag: Proof(keyless=without_key) for record in records})
    keys = trusted(run.manifest)
    proofs = {
        record.tag: attest.sign(run.registry, run.signer, keys, record, run.candidates, _documents(run, record))
        for record in records
    }
    for tag, proof in proofs.items():
        console.note(f"{tag}: {len(proof.signatures)} signatures by {short(run.signer.public.fingerprint)}")
    return replace(run, records=records, proofs=proofs)


def _documents(run: Run, record: Record) -> list[Mapping[str, Any]]:
    """The VEX documents that the scan of a release went by, as far as they are what they were."""
    recorded = record.gates[scan.name].vex_documents if scan.name in record.gates else {}
    return [
        document.content
        for document in (vex.load(run.manifest) if recorded else ())
        if recorded.get(document.name) == document.digest
    ]


def _bills_of_materials(run: Run) -> Mapping[str, bytes]:
    """Those that the scan of this run made, by service."""
    if run.gates[scan.name].verdict != "passed":
        return {}
    return scan.bills_of_materials(run.manifest, run.candidates)


def _carried(run: Run) -> dict[str, Proof]:
    """What the git tags of the releases carry, by tag."""
    tags = carried.carried(run.manifest.root, [record.tag for record in run.records])
    return {tag: each.proof for tag, each in tags.items()}


def attached(run: Run) -> Run:
    """Name what proves the releases, as their git tags carry it, before anything else names them.

    Without a key, cosign signs now. Raises as `attach.attach` and `keyless.attach` do, in words that say how far the
    release is.
    """
    # What was claimed just now need not have a tag in this clone: the claim is the remote's.
    proofs = dict(run.proofs) or _carried(run)
    written = {}
    for record in run.records:
        proof = proofs[record.tag]
        if not proof.keyless and not _has_proof(record, proof):
            continue
        with recovery.explained(record, "claimed and not published"):
            allowed = policy.policy(run.manifest, run.registry).fallback_tags
            written[record.tag] = attach.attach(
                run.registry, record, proof, trusted(run.manifest), tags_allowed=allowed
            )  # fmt: skip
            if proof.keyless:
                count = _signed_without_a_key(run, record)
                console.note(f"{record.tag}: cosign signed {count} manifests without a key")
    if not written:
        raise Skip("nothing is signed, and there are no bills of materials")
    for tag, count in written.items():
        console.note(f"{tag}: {count} tags of signatures, attestations and bills of materials written")
    return run


def _signed_without_a_key(run: Run, record: Record) -> int:
    cosign = cosign_of(run.manifest)
    if cosign is None:
        message = "cosign is to sign it without a key, and [signing] here has no identity"
        raise ReleaseRefused(message, hint="./inv release --resume   where [signing] is as it was when it was claimed")
    login(run.manifest)
    return keyless.attach(run.registry, cosign, record, _documents(run, record))


def put_back(run: Run, known: Mapping[str, Known]) -> list[Record]:
    """Put back what complete releases have lost of their proofs; the releases that something was put back of.

    What can't be made again is a warning with the command that can. Nothing is put back of a release that was
    withdrawn, or whose images are gone. Raises RegistryError.
    """
    records = [
        record
        for line in run.published.lines
        for version, record in sorted(run.published.claimed(line).items())  # the first has the attestations of an image
        if version in known[line.name].eligible
    ]
    proofs = _carried(replace(run, records=tuple(records)))
    proven = [record for record in records if _has_proof(record, proofs[record.tag])]
    if not proven or not policy.policy(run.manifest, run.registry).fallback_tags:
        return []
    repositories = list(dict.fromkeys(name for record in proven for name in _repositories(record)))
    listed = dict(zip(repositories, map(set, at_once(run.registry.tags, repositories)), strict=True))
    return [record for record in proven if _put_back(run, record, proofs[record.tag], listed)]


def _has_proof(record: Record, proof: Proof) -> bool:
    return bool(proof.signatures) or any(image.sbom for image in record.services.values())


def _repositories(record: Record) -> list[str]:
    return [record.repository, *(record.repository_of(service) for service in record.services)]


def _put_back(run: Run, record: Record, proof: Proof, listed: Mapping[str, Collection[str]]) -> bool:
    if not attach.is_any_absent(record, proof, listed) or not run.published.has_images(record):
        return False
    written, lost = attach.put_back(run.registry, record, proof, trusted(run.manifest), listed)
    if written:
        console.note(f"{record.tag}: {written} tags of signatures, attestations and bills of materials put back")
    if lost:
        console.warn(
            f"{record.tag}: the registry has lost {', '.join(lost)}; ./inv bundle.load FILE restores it from a bundle"
        )
    return written > 0
