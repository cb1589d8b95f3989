"""The signing key, EC P-256 in an encrypted PEM file (PKCS#8, RFC 5958), and the public keys that verify.

Signatures are deterministic (RFC 6979): signing the same bytes again gives the same signature, so that a release
continued elsewhere writes what is there already.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from build.config.manifest import Manifest
from build.config.signing import place
from build.errors import ManifestError, SecretError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

KEY, PASSWORD, PUBLIC = "release.key", "release.password", "release.pub"
_CURVE = "secp256r1"
_KIND = "an EC P-256 key in PEM"
_HINT = "./inv keys.init makes a key"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies signatures: the file that it is from, and the last day of releases that it signed, if any."""

    name: str
    key: EllipticCurvePublicKey
    until: date | None = None

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the key in DER (SubjectPublicKeyInfo, RFC 5280), as sha256:…."""
        return fingerprint(self.key)

    def verifies(self, content: bytes, signature: bytes) -> bool:
        """Whether this key made the signature (ECDSA with SHA-256, DER) of the content."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.hashes import SHA256

        try:
            self.key.verify(signature, content, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True

    def is_valid_on(self, day: date) -> bool:
        """Whether a release of that day may be signed by this key."""
        return self.until is None or day <= self.until


@dataclass(frozen=True, slots=True)
class KeySigner:
    """The private key, decrypted. It never shows itself; `export` is a command that prints the public half."""

    key: EllipticCurvePrivateKey
    export: str = ""

    def __repr__(self) -> str:
        return f"KeySigner({self.public.fingerprint})"

    @property
    def public(self) -> PublicKey:
        """The key that verifies what this one signs."""
        return PublicKey("signing.key_file", self.key.public_key())

    def sign(self, content: bytes) -> bytes:
        """Return the signature of the content, in DER; the same for the same content."""
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.hashes import SHA256

        return self.key.sign(content, ec.ECDSA(SHA256(), deterministic_signing=True))


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """The three files of a key, and the fingerprint of its public half ("" before they are made)."""

    key_file: Path
    password_file: Path
    public_key: Path
    fingerprint: str = ""


def fingerprint(key: EllipticCurvePublicKey) -> str:
    """Return the SHA-256 of a public key in DER, as sha256:…."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    content = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def planned(manifest: Manifest, folder: str) -> KeyFiles:
    """The files that `create` would make: as [signing] names them, else in `folder`, else beside the user's settings.

    Raises SecretError if one of them exists, or would be in the checkout, from which images are built; ManifestError
    where cosign signs, which does not read such a key.
    """
    settings = manifest.signing
    if settings.signer == "cosign":
        message = "[signing] signer is 'cosign', and cosign makes its own keys"
        raise ManifestError(message, hint="cosign generate-key-pair   or, in a KMS, with --kms awskms:///alias/NAME")
    home = Path(folder).expanduser().absolute() if folder else _settings_folder() / manifest.project.name
    named = (settings.key_file, settings.password_file) if not folder else ("", "")
    private = [
        place(manifest.root, value) if value else home / name
        for value, name in zip(named, (KEY, PASSWORD), strict=True)
    ]
    files = KeyFiles(private[0], private[1], private[0].with_suffix(".pub"))
    for path in (files.key_file, files.password_file, files.public_key):
        if path.exists() or path.is_symlink():
            raise SecretError(
                f"{path} exists, and a key is never overwritten", hint="--folder: another place for another key"
            )
    for path in private:
        if path.resolve().is_relative_to(manifest.root.resolve()):
            raise SecretError(
                f"{path} is in the checkout, which images are built from", hint="--folder: a place outside"
            )
    return files


def create(files: KeyFiles) -> KeyFiles:
    """Make a key with a random password, open to this user alone. Raises SecretError if a file appears meanwhile."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        PublicFormat,
    )

    key, password = ec.generate_private_key(ec.SECP256R1()), secrets.token_urlsafe(32)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write(files.password_file, f"{password}\n".encode(), 0o600)
    _write(files.key_file, private, 0o600)
    _write(files.public_key, public, 0o644)
    return KeyFiles(files.key_file, files.password_file, files.public_key, fingerprint(key.public_key()))


def _write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise SecretError(f"{path} exists, and a key is never overwritten", hint="--folder: another place") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _settings_folder() -> Path:
    """Where a user's programs keep settings (XDG Base Directory Specification; %LOCALAPPDATA% on Windows)."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def signer(manifest: Manifest) -> KeySigner | None:
    """The key of signing.key_file, None if there is none.

    Raises SecretError if a file is missing, open to others or not what it should be, or the password is wrong.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    settings = manifest.signing
    if not settings.key_file:
        return None
    path = place(manifest.root, settings.key_file)
    content = private(path, "signing.key_file")
    password = private(place(manifest.root, settings.password_file), "signing.password_file").strip()
    if is_of_cosign(content):
        message = f"signing.key_file: {path} is a key of cosign"
        raise SecretError(message, hint='[signing] signer = "cosign"')
    if b"ENCRYPTED" not in content:
        message = f"signing.key_file: {path} is not encrypted"
        hint = "openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out NEW, with the password of signing.password_file"
        raise SecretError(message, hint=hint)
    try:
        key: Any = load_pem_private_key(content, password)
    except (ValueError, TypeError):  # what it says of a wrong password differs from version to version
        message = f"signing.key_file: {path} can't be read with the password in signing.password_file"
        raise SecretError(message, hint=f"it must be {_KIND} (PKCS#8), encrypted with that password") from None
    if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name != _CURVE:
        raise SecretError(f"signing.key_file: {path} is not {_KIND}", hint=_HINT)
    return KeySigner(key, f"openssl pkey -in {path} -pubout")


def is_of_cosign(content: bytes) -> bool:
    """Whether a file is a private key as `cosign generate-key-pair` writes it."""
    return b"ENCRYPTED SIGSTORE PRIVATE KEY" in content or b"ENCRYPTED COSIGN PRIVATE KEY" in content


def private(path: Path, key: str) -> bytes:
    """Return the content of a file that only its owner and group may read. Raises SecretError for another one."""
    try:
        content = path.read_bytes()
        mode = path.stat().st_mode
    except OSError as error:
        raise SecretError(f"{key}: {path}: {str(error.strerror).lower()}", hint=_HINT) from None
    if sys.platform != "win32" and mode & stat.S_IRWXO and not _is_hidden(path):
        message = f"{key}: {path} is open to everyone (mode {stat.S_IMODE(mode):04o})"
        raise SecretError(message, hint=f"chmod 600 {path}")
    if not content.strip():
        raise SecretError(f"{key}: {path} is empty", hint=_HINT)
    return content


def _is_hidden(path: Path) -> bool:
    return not path.parent.stat().st_mode & stat.S_IRWXO


def trusted(manifest: Manifest, file: str = "") -> tuple[PublicKey, ...]:
    """The public keys that verify: the one in `file`, else the current one of [signing] and then the retired ones.

    Raises ManifestError for a file without one.
    """
    settings = manifest.signing
    if file:
        return (_public(Path(file).expanduser(), file, "--key"),)
    if not settings.public_key:
        return ()
    current = _public(place(manifest.root, settings.public_key), settings.public_key, "signing.public_key")
    retired = (
        _public(place(manifest.root, name), name, "signing.retired", date.fromisoformat(day))
        for name, day in settings.retired.items()
    )
    return (current, *retired)


def _public(path: Path, name: str, key: str, until: date | None = None) -> PublicKey:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ManifestError(
            f"{key}: {name}: {str(error.strerror).lower()}", hint="a file with the public key"
        ) from None
    if public := public_in(content, name, until):
        return public
    raise ManifestError(f"{key}: {name} is not the public half of {_KIND}", hint="./inv keys.init writes one: *.pub")


def public_in(content: bytes, name: str, until: date | None = None) -> PublicKey | None:
    """Return the public key in PEM under a name; None for anything but a key of the one kind that is used."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        public: Any = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(public, EllipticCurvePublicKey) or public.curve.name != _CURVE:
        return None
    return PublicKey(name, public, until)
