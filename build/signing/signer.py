"""What signs: a key that the toolkit reads itself, or one that only the program cosign reaches."""

from __future__ import annotations

from typing import Protocol

from build.config.manifest import Manifest
from build.errors import ManifestError
from build.signing import cosign, keys
from build.signing.keys import PublicKey


class Signer(Protocol):
    """Signs with a private key that it does not show; `export` is a command that prints the public half."""

    @property
    def export(self) -> str:
        """The command that prints the public half."""

    @property
    def public(self) -> PublicKey:
        """The key that verifies what this one signs."""

    def sign(self, content: bytes) -> bytes:
        """Return a signature of the content (ECDSA with SHA-256, DER); not always the same one."""


def signer(manifest: Manifest) -> Signer | None:
    """Return what signs by [signing], None if there is no key.

    Raises SecretError if a file is missing, open to others or not what it should be, or the password is wrong;
    ManifestError if signing.public_key is not the public half of the key; MissingTool and ToolFailed if cosign signs,
    and is not there or can't use the key.
    """
    settings = manifest.signing
    own: Signer | None = cosign.signer(manifest) if settings.signer == "cosign" else keys.signer(manifest)
    if own is None or not settings.public_key:
        return own
    current = keys.trusted(manifest)[0]
    if current.fingerprint != own.public.fingerprint:
        message = f"signing.public_key: {current.name} is not the public half of {own.public.name}"
        raise ManifestError(message, hint=f"{own.export}   prints it; the old one goes to [signing.retired]")
    return own
