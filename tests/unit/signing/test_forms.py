"""Payloads, envelopes and what holds them: read back as they were written, and nothing else is taken for one."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from build.registry.oci import digest_of
from build.release import proof
from build.release.proof import Attestations, Proof, Signature
from build.signing import attached, envelope, payload
from build.signing.envelope import NoAttestation, Statement
from build.signing.keys import KeySigner

_DIGEST = f"sha256:{'ab' * 32}"
_STATEMENT = Statement({"registry/one": _DIGEST}, "https://slsa.dev/provenance/v1", {"größe": [1, None, "ü"]})


@pytest.fixture(scope="module")
def signer() -> KeySigner:
    """A key."""
    return KeySigner(ec.generate_private_key(ec.SECP256R1()))


def test_a_payload_names_an_image_and_nothing_else() -> None:
    """A payload is about a name and a digest; equal ones are equal bytes."""
    content = payload.payload("registry/one", _DIGEST)

    assert payload.subject(content) == ("registry/one", _DIGEST)
    assert content == payload.payload("registry/one", _DIGEST)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"critical": {"type": "other"}}', b'{"critical": 3}', b"\xff"]
)
def test_what_is_no_payload_is_about_nothing(content: bytes) -> None:
    """Other bytes are about no image."""
    assert payload.subject(content) == ("", "")


def test_an_envelope_gives_its_statement_back(signer: KeySigner) -> None:
    """An envelope has the statement that was sealed, and says which key did it; sealed again, it has equal bytes."""
    sealed = envelope.seal(_STATEMENT, signer.sign)

    assert envelope.unseal(sealed, [signer.public]) == (_STATEMENT, signer.public)
    assert sealed == envelope.seal(_STATEMENT, signer.sign)


def _changed(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def apply(sealed: bytes) -> bytes:
        table = json.loads(sealed)
        change(table)
        return json.dumps(table).encode()

    return apply


def _other_payload(table: dict[str, Any]) -> None:
    body = json.loads(base64.b64decode(table["payload"]))
    body["predicate"] = {}
    table["payload"] = base64.b64encode(json.dumps(body).encode()).decode()


_SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _sealed: b"",
    "a list": lambda _sealed: b"[]",
    "another payload": _changed(_other_payload),
    "another type": _changed(lambda table: table.update(payloadType="text/plain")),
    "no signature": _changed(lambda table: table.update(signatures=[])),
    "a broken signature": _changed(lambda table: table["signatures"][0].update(sig="AAAA")),
    "no base64": _changed(lambda table: table.update(payload="%")),
}


@pytest.mark.parametrize("name", _SPOILT)
def test_a_changed_envelope_is_none(signer: KeySigner, name: str) -> None:
    """Whatever is changed in an envelope, it is no attestation any more."""
    with pytest.raises(NoAttestation):
        envelope.unseal(_SPOILT[name](envelope.seal(_STATEMENT, signer.sign)), [signer.public])


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"_type": "https://in-toto.io/Statement/v1", "subject": 3}'])
def test_what_was_signed_and_is_no_statement_is_refused(signer: KeySigner, body: bytes) -> None:
    """A signature makes no statement out of something else."""
    signed = signer.sign(b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(body), body))
    table = {
        "payloadType": "application/vnd.in-toto+json",
        "payload": base64.b64encode(body).decode(),
        "signatures": [{"keyid": "", "sig": base64.b64encode(signed).decode()}],
    }

    with pytest.raises(NoAttestation, match="not an in-toto statement"):
        envelope.unseal(json.dumps(table).encode(), [signer.public])


def test_a_key_of_others_signs_nothing_for_us(signer: KeySigner) -> None:
    """An envelope of a key that is not among ours is none."""
    other = KeySigner(ec.generate_private_key(ec.SECP256R1()))

    with pytest.raises(NoAttestation, match="none of the keys"):
        envelope.unseal(envelope.seal(_STATEMENT, other.sign), [signer.public])


def test_layers_are_read_as_they_were_written(signer: KeySigner) -> None:
    """The image of attached layers names them with digests, sizes and annotations; its bytes follow from them."""
    layers = [
        attached.signature_layer("registry/one", _DIGEST, signer.sign(b"x")),
        attached.attestation_layer(b"e", "t"),
    ]
    artifact = attached.image_of(layers)

    read = attached.layers_of(artifact.manifest.content)

    assert [(layer.digest, layer.media_type, layer.size, layer.signature) for layer in read] == [
        (layer.digest, layer.media_type, len(layer.content), layer.signature) for layer in layers
    ]
    assert artifact == attached.image_of(layers)
    assert {digest_of(blob) for blob in artifact.blobs} >= {layer.digest for layer in layers}


@pytest.mark.parametrize("content", [b"", b"{}", b'{"layers": [3]}', b'{"manifests": []}', b'{"layers": null}'])
def test_what_is_no_image_has_no_layers(content: bytes) -> None:
    """Other manifests have nothing attached."""
    assert attached.layers_of(content) == ()


def test_a_proof_is_read_from_a_message_before_its_record() -> None:
    """A tag's message gives the proof back; lines after the record, and other lines, are no part of it."""
    given = Proof(
        (Signature("ns/one", _DIGEST, b"\x00\xff"), Signature("ns/release", _DIGEST, b"s")),
        (Attestations("ns/one", _DIGEST, f"sha256:{'cd' * 32}"),),
    )
    text = "\n".join(proof.lines(given))
    later = Proof(keyless=True)

    assert proof.read("\n".join(["title", "", *proof.lines(later), "", "{"])) == later
    assert proof.read(f"title\n\n{text}\n\n{{\n}}\n") == given
    assert proof.read(f"title\n\n{{\n}}\n{text}\n") == Proof()
    assert proof.read(f"signature ns/one {_DIGEST} ===\nsignature ns/one sha256:12 AA==\nsignature\n") == Proof()
