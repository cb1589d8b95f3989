"""Attestations: in-toto statements in DSSE envelopes.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md and
https://github.com/secure-systems-lab/dsse/blob/master/protocol.md describe both.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from build.signing.keys import PublicKey

TYPE = "application/vnd.dsse.envelope.v1+json"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_OLDER_STATEMENTS = ("https://in-toto.io/Statement/v0.1",)


@dataclass(frozen=True, slots=True)
class Statement:
    """What is said of `subjects` (name → sha256:…): a predicate of a type."""

    subjects: Mapping[str, str]
    predicate_type: str
    predicate: Mapping[str, Any] = field(default_factory=dict)


class NoAttestation(ValueError):
    """The bytes are no attestation that one of the keys made; the message says why."""


def encode(statement: Statement) -> bytes:
    """The statement as JSON with sorted keys: equal statements are equal bytes."""
    subjects = [
        {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}
        for name, digest in sorted(statement.subjects.items())
    ]
    table = {
        "_type": _STATEMENT,
        "subject": subjects,
        "predicateType": statement.predicate_type,
        "predicate": statement.predicate,
    }
    return json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def seal(statement: Statement, sign: Callable[[bytes], bytes]) -> bytes:
    """The envelope of a statement, signed."""
    content = encode(statement)
    signature = base64.b64encode(sign(_pre_authentication(_PAYLOAD_TYPE, content))).decode()
    table = {
        "payloadType": _PAYLOAD_TYPE,
        "payload": base64.b64encode(content).decode(),
        "signatures": [{"keyid": "", "sig": signature}],
    }
    return json.dumps(table, separators=(",", ":")).encode()


def unseal(content: bytes, keys: Iterable[PublicKey]) -> tuple[Statement, PublicKey]:
    """The statement in an envelope, and the key that signed it. Raises NoAttestation if none of the keys did."""
    try:
        table = json.loads(content)
        body = base64.b64decode(table["payload"], validate=True)
        signatures = [base64.b64decode(entry["sig"], validate=True) for entry in table["signatures"]]
        kind = str(table["payloadType"])
    except (ValueError, LookupError, TypeError, binascii.Error):
        raise NoAttestation("it is not a DSSE envelope") from None
    signed = _pre_authentication(kind, body)
    key = next((key for key in keys for value in signatures if key.verifies(signed, value)), None)
    if key is None:
        raise NoAttestation("none of the keys signed it, or it was changed")
    return _statement(body, kind), key


def stated_in(content: bytes) -> Statement:
    """The statement in an envelope whose signature somebody else has verified. Raises NoAttestation for other bytes."""
    try:
        table = json.loads(content)
        return _statement(base64.b64decode(table["payload"], validate=True), str(table["payloadType"]))
    except (ValueError, LookupError, TypeError, binascii.Error):
        raise NoAttestation("it is not a DSSE envelope") from None


def _statement(body: bytes, kind: str) -> Statement:
    try:
        table = json.loads(body)
        if kind != _PAYLOAD_TYPE or table["_type"] not in (_STATEMENT, *_OLDER_STATEMENTS):
            raise NoAttestation("it is not an in-toto statement")
        subjects = {str(entry["name"]): f"sha256:{entry['digest']['sha256']}" for entry in table["subject"]}
        return Statement(subjects, str(table["predicateType"]), table["predicate"])
    except (ValueError, LookupError, TypeError, AttributeError):
        raise NoAttestation("it is not an in-toto statement") from None


def _pre_authentication(kind: str, body: bytes) -> bytes:
    """The pre-authentication encoding of DSSE, which is what is signed."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(body), body)
