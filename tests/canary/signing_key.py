"""The signing key of the audit: its password is a canary, and the key itself is searched for as well."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from build.signing.keys import KEY, PASSWORD, PUBLIC
from tests.canary.canaries import value, write


def make(folder: Path) -> dict[str, str]:
    """Make a key in a folder, as `keys.init` does but for its password; the settings of [signing]."""
    password = value("signing-password")
    key = ec.generate_private_key(ec.SECP256R1())
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {
        "key_file": write(folder, KEY, encrypted.decode()),
        "password_file": write(folder, PASSWORD, f"{password}\n"),
        "public_key": write(folder, PUBLIC, public.decode()),
    }


def secrets(folder: Path) -> dict[str, bytes]:
    """What nobody else may have of the key in a folder: lines of its PEM file, and its private number as bytes.

    Raises ValueError if the canary is not its password.
    """
    content = (folder / KEY).read_bytes()
    key = load_pem_private_key(content, value("signing-password").encode())
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    number = key.private_numbers().private_value.to_bytes(32, "big")
    lines = content.splitlines()[1:-2]  # the last one may be too short to be searched for
    return {"the private number": number, **{f"line {at} of the key": line for at, line in enumerate(lines, 2)}}
