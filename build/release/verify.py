"""Verifies a release: its record, tags, images, signatures and attestations; what is missing or wrong, by name.

The chain is short: a key signs the record, the record names the digest of each image, a digest names the bytes. The
images' own signatures are for those who never see a record: cosign, admission controllers, other registries.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial

from build.images.image import short
from build.parallel import at_once
from build.registry.content import Content
from build.registry.oci import RawManifest
from build.registry.transport import Altered
from build.registry.tree import Descriptor, parts, walk
from build.release import attest, candidates, expected
from build.release.checks import Check, State, Verification
from build.release.expected import Expected
from build.release.keyless import Witness
from build.release.proof import Proof
from build.release.record import Record, of_record
from build.signing import attached, payload
from build.signing.envelope import NoAttestation, Statement
from build.signing.keys import PublicKey

Altering = Callable[[str, str], str]  # repository, digest → what is wrong with the bytes of a blob


@dataclass(frozen=True, kw_only=True, slots=True)
class _Release:
    """What is verified, and by what: `tagged` is the record in the git tag, None where the tag can't be had."""

    registry: Content
    record: Record
    tagged: Record | None
    proof: Proof
    keys: Sequence[PublicKey]
    tags_allowed: bool
    altered: Altering | None
    witness: Witness | None
    used: set[str] = field(default_factory=set)

    @property
    def day(self) -> date:
        """The day of the release."""
        return datetime.fromisoformat(self.record.created).date()

    @property
    def manifest(self) -> str:
        """The digest of the record's manifest."""
        return of_record(self.record).manifest.digest


def examine(
    registry: Content,
    record: Record,
    *,
    tagged: Record | None,
    proof: Proof,
    keys: Sequence[PublicKey],
    tags_allowed: bool = True,
    altered: Altering | None = None,
    witness: Witness | None = None,
) -> Verification:
    """Look at everything that belongs to a release; `altered` says of each layer what is wrong with its bytes.

    Signatures and attestations that the `proof` of the git tag has count too where the registry takes no tags for them
    (`tags_allowed`). Where there is a `witness`, it is asked for both instead. Raises RegistryError if the registry
    does not answer, ToolFailed if the witness does not.
    """
    release = _Release(
        registry=registry,
        record=record,
        tagged=tagged,
        proof=proof,
        keys=keys,
        tags_allowed=tags_allowed,
        altered=altered,
        witness=witness,
    )
    calls: list[Callable[[], list[Check]]] = [lambda: list(_record(release))]
    calls += [partial(_of_service, release, service) for service in record.services]
    checks = [check for result in at_once(lambda call: call(), calls) for check in result]
    used = [witness.name] if witness else sorted(release.used)
    return Verification(line=record.line, version=record.version, checks=tuple(checks), keys=tuple(used))


def _record(release: _Release) -> Iterator[Check]:
    record = release.record
    yield _digest_check(release, "record", record.repository, record.version, release.manifest)
    if release.tagged is None:
        yield Check(subject="record", what="git tag", state="unchecked", detail=f"{record.tag} is not in this clone")
    else:
        same = release.tagged == record
        detail = "" if same else f"{record.tag} carries another record"
        yield Check(subject="record", what="git tag", state="ok" if same else "wrong", detail=detail)
    yield _signature(release, "record", record.repository, release.manifest, by_this_release=True)
    yield from _attestations(release, "record", record.repository, release.manifest, expected.of_release(record))


def _of_service(release: _Release, service: str) -> list[Check]:
    return list(_service(release, service))


def _service(release: _Release, service: str) -> Iterator[Check]:
    record, registry = release.record, release.registry
    repository, image = record.repository_of(service), record.services[service]
    yield _digest_check(release, service, repository, record.version, image.digest)
    try:
        stored = registry.manifest(repository, image.digest)
    except Altered as error:
        yield Check(subject=service, what="image", state="wrong", detail=str(error))
        return
    if stored is None:
        yield Check(subject=service, what="image", state="missing", detail=short(image.digest))
        return
    yield from _content(release, service, stored)
    built = image.origin == "built"
    for digest in (image.digest, *candidates.platform_manifests(stored.content)):
        yield _signature(release, service, repository, digest, by_this_release=built)
    bill = None
    if image.sbom:
        check, bill = _bill(release, service, image.sbom.digest)
        yield check
    stated = expected.of_image(record.commit, bill) if built else expected.of_image("", None)
    yield from _attestations(release, service, repository, image.digest, stated)


def _digest_check(release: _Release, subject: str, repository: str, tag: str, expected: str) -> Check:
    try:
        digest = release.registry.digest(repository, tag)
    except Altered as error:
        return Check(subject=subject, what=f"tag {tag}", state="wrong", detail=str(error))
    if digest is None:
        return Check(subject=subject, what=f"tag {tag}", state="missing", detail=f"{repository}:{tag}")
    detail = "" if digest == expected else f"it names {digest}, the release has {expected}"
    return Check(subject=subject, what=f"tag {tag}", state="wrong" if detail else "ok", detail=detail)


def _content(release: _Release, service: str, top: RawManifest) -> Iterator[Check]:
    """Whether the registry has all of an image, and whether the bytes are those of the digests."""
    registry, repository = release.registry, release.record.repository_of(service)
    missing, wrong = [], []

    def read(child: Descriptor) -> RawManifest | None:
        try:
            below = registry.manifest(repository, child["digest"])
        except Altered as error:
            wrong.append(str(error))
            return None
        if below is None:
            missing.append(short(child["digest"]))
        return below

    manifests = walk(top, lambda stored: json.loads(stored.content), read)
    blobs = {part["digest"] for stored in manifests for part in parts(json.loads(stored.content))}
    for digest in sorted(blobs):
        if not registry.has_blob(repository, digest):
            missing.append(short(digest))
        elif release.altered and (problem := release.altered(repository, digest)):
            wrong.append(problem)
    state: State = "wrong" if wrong else "missing" if missing else "ok"
    yield Check(subject=service, what="image", state=state, detail="; ".join([*wrong, *missing]))


def _bill(release: _Release, service: str, digest: str) -> tuple[Check, bytes]:
    """Whether the registry has a bill of materials, and its bytes: b"null" where it has not."""
    what = "bill of materials"
    try:
        bill = release.registry.blob(release.record.repository_of(service), digest)
    except Altered as error:
        return Check(subject=service, what=what, state="wrong", detail=str(error)), b"null"
    detail = "" if bill else short(digest)
    return Check(subject=service, what=what, state="ok" if bill else "missing", detail=detail), bill or b"null"


def _signature(release: _Release, subject: str, repository: str, digest: str, *, by_this_release: bool) -> Check:
    what = f"signature of {short(digest)}"
    if release.witness:
        problem = release.witness.problem(repository, digest)
        return Check(subject=subject, what=what, state="wrong" if problem else "ok", detail=problem)
    tag = attached.tag(digest, "sig")
    try:
        stored = release.registry.manifest(repository, tag)
        layers = attached.layers_of(stored.content) if stored else ()
        signed = [attest.signed_by(release.registry, repository, digest, layer, release.keys) for layer in layers]
    except Altered as error:
        return Check(subject=subject, what=what, state="wrong", detail=str(error))
    keys = [key for key in signed if key]
    if not stored and not release.tags_allowed:
        keys = [key for key in release.keys if _is_carried(release, repository, digest, key)]
    if not stored and not keys:
        return Check(subject=subject, what=what, state="missing", detail=f"{repository}:{tag}")
    valid = [key for key in keys if not by_this_release or key.is_valid_on(release.day)]
    if valid:
        release.used.add(valid[0].fingerprint)
        return Check(subject=subject, what=what, state="ok")
    retired = [f"{key.name} signs nothing after {key.until}, and this release is of {release.day}" for key in keys]
    return Check(
        subject=subject, what=what, state="wrong", detail="; ".join(retired) or f"{tag} is by none of the keys"
    )


def _is_carried(release: _Release, repository: str, digest: str, key: PublicKey) -> bool:
    """Whether the git tag has a signature of a manifest by this key."""
    name = f"{release.record.registry.partition('/')[0]}/{repository}"
    signature = release.proof.signature(repository, digest)
    return bool(signature) and key.verifies(payload.payload(name, digest), signature)


def _attestations(
    release: _Release, subject: str, repository: str, digest: str, stated_by: Expected
) -> Iterator[Check]:
    """Whether what should be attested of a manifest is, and says what the record says."""
    if release.witness:
        for kind, problem_of in stated_by.items():
            answer = release.witness.statement(repository, digest, kind)
            problem = answer if isinstance(answer, str) else problem_of(answer)
            yield Check(subject=subject, what=f"attestation {kind}", state="wrong" if problem else "ok", detail=problem)
        return
    tag = attached.tag(digest, "att")
    carried = release.proof.attestations_of(repository, digest)
    try:
        stored = release.registry.manifest(repository, tag)
        if stored is None and carried and not release.tags_allowed:
            stored = release.registry.manifest(repository, carried)
        results = (
            list(attest.statements_in(release.registry, repository, digest, stored, release.keys)) if stored else []
        )
    except Altered as error:
        yield Check(subject=subject, what="attestations", state="wrong", detail=str(error))
        return
    if stored is None:
        yield Check(subject=subject, what="attestations", state="missing", detail=f"{repository}:{tag}")
        return
    problems = [str(result) for result in results if isinstance(result, NoAttestation)]
    if problems:
        yield Check(subject=subject, what="attestations", state="wrong", detail="; ".join(dict.fromkeys(problems)))
    stated: Mapping[str, Statement] = {
        result[0].predicate_type: result[0] for result in results if not isinstance(result, NoAttestation)
    }
    for kind, problem_of in stated_by.items():
        name = f"attestation {kind}"
        if kind not in stated:
            yield Check(subject=subject, what=name, state="missing", detail=tag)
        else:
            problem = problem_of(stated[kind])
            yield Check(subject=subject, what=name, state="wrong" if problem else "ok", detail=problem)
