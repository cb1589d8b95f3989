"""The proof of a release: its signatures, and which attestations belong to it, as its git tag carries them.

It stands in the tag's message before the record, a line each, so that any clone can finish a release which a machine
with the key began, and so that a registry which takes no such tags still has a release that can be verified.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

_DIGEST = "sha256:[0-9a-f]{64}"
_SIGNATURE = re.compile(rf"signature (?P<repository>\S+) (?P<digest>{_DIGEST}) (?P<value>[A-Za-z0-9+/=]+)")
_ATTESTATIONS = re.compile(rf"attestations (?P<repository>\S+) (?P<digest>{_DIGEST}) (?P<manifest>{_DIGEST})")
_KEYLESS = "signatures by cosign, without a key"


@dataclass(frozen=True, slots=True)
class Signature:
    """The signature of a manifest in a repository (without the registry's address)."""

    repository: str
    digest: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Attestations:
    """The manifest that has the attestations of another one, in the same repository."""

    repository: str
    digest: str
    manifest: str


@dataclass(frozen=True, slots=True)
class Proof:
    """The signatures and attestations of a release; an unsigned one has none.

    `keyless`: cosign makes and attaches them once the release is claimed, and they are nowhere but in the registry.
    """

    signatures: tuple[Signature, ...] = ()
    attestations: tuple[Attestations, ...] = ()
    keyless: bool = False

    def signature(self, repository: str, digest: str) -> bytes:
        """The signature of a manifest, b"" if there is none."""
        values = (one.value for one in self.signatures if (one.repository, one.digest) == (repository, digest))
        return next(values, b"")

    def attestations_of(self, repository: str, digest: str) -> str:
        """The digest of the manifest with the attestations of another one, "" if there is none."""
        manifests = (one.manifest for one in self.attestations if (one.repository, one.digest) == (repository, digest))
        return next(manifests, "")


UNSIGNED = Proof()


def lines(proof: Proof) -> Iterable[str]:
    """The proof as lines of a tag's message."""
    if proof.keyless:
        yield _KEYLESS
    for signature in proof.signatures:
        value = base64.b64encode(signature.value).decode()
        yield f"signature {signature.repository} {signature.digest} {value}"
    for attested in proof.attestations:
        yield f"attestations {attested.repository} {attested.digest} {attested.manifest}"


def read(message: str) -> Proof:
    """The proof in a tag's message; what stands after the record, or is no line of a proof, does not count."""
    signatures, attestations = [], []
    stated = message.partition("\n{")[0].splitlines()
    for line in stated:
        if match := _SIGNATURE.fullmatch(line):
            try:
                value = base64.b64decode(match["value"], validate=True)
            except binascii.Error:
                continue
            signatures.append(Signature(match["repository"], match["digest"], value))
        elif match := _ATTESTATIONS.fullmatch(line):
            attestations.append(Attestations(match["repository"], match["digest"], match["manifest"]))
    return Proof(tuple(signatures), tuple(attestations), keyless=_KEYLESS in stated)
