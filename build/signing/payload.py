"""What the signature of an image is over: sigstore/cosign, specs/SIGNATURE_SPEC.md ("simple signing")."""

from __future__ import annotations

import json

TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
_KIND = "cosign container image signature"


def payload(name: str, digest: str) -> bytes:
    """Return the bytes that are signed for a manifest: the image's name without a tag, and the digest.

    Nothing else is in them, so that an image of two releases has one signature.
    """
    critical = {"identity": {"docker-reference": name}, "image": {"docker-manifest-digest": digest}, "type": _KIND}
    return json.dumps({"critical": critical, "optional": None}, separators=(",", ":")).encode()


def subject(content: bytes) -> tuple[str, str]:
    """Return the name and the digest that a payload is about; ("", "") for something else."""
    try:
        critical = json.loads(content)["critical"]
        if critical["type"] != _KIND:
            return "", ""
        return str(critical["identity"]["docker-reference"]), str(critical["image"]["docker-manifest-digest"])
    except (ValueError, LookupError, TypeError):
        return "", ""
