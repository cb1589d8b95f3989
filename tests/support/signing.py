"""Keys for signed releases in tests, and the stock programs that verify them."""

from __future__ import annotations

import os
import secrets
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support import debian
from tests.support.world import Clone

# Fulcio's extension with the issuer of an identity: sigstore/fulcio, docs/oid-info.md.
_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")


@dataclass(frozen=True, slots=True)
class Keys:
    """A signing key in a folder, as `invoke keys.init` makes it."""

    folder: Path

    @property
    def public(self) -> str:
        """The file of the public key."""
        return str(self.folder / "release.pub")

    @property
    def verifying(self) -> dict[str, str]:
        """The settings of a machine that only verifies."""
        return {"UC_SIGNING_PUBLIC_KEY": self.public}

    @property
    def signing(self) -> dict[str, str]:
        """The settings of a machine that signs."""
        return self.verifying | {
            "UC_SIGNING_KEY_FILE": str(self.folder / "release.key"),
            "UC_SIGNING_PASSWORD_FILE": str(self.folder / "release.password"),
        }

    @property
    def secrets(self) -> list[bytes]:
        """What must not be seen anywhere: the password, and a line of the private key."""
        key = (self.folder / "release.key").read_bytes().splitlines()[1]
        return [(self.folder / "release.password").read_bytes().strip(), key]


@dataclass(frozen=True, slots=True)
class CosignKeys(Keys):
    """A signing key in a folder, as cosign makes it, and the program on PATH."""

    @property
    def signing(self) -> dict[str, str]:
        """The settings of a machine that signs by cosign."""
        return {**super(CosignKeys, self).signing, "UC_SIGNING_SIGNER": "cosign", "PATH": path_with_cosign()}


def path_with_cosign() -> str:
    """A PATH on which cosign is."""
    return os.pathsep.join([str(Path(_program().path).parent), os.environ["PATH"]])


def make_cosign_keys(folder: Path, password: str | None = None) -> CosignKeys:
    """Make a key by cosign, with this password, else with one that is in no other text."""
    folder.mkdir(mode=0o700)
    password = secrets.token_urlsafe(24) if password is None else password
    subprocess.run(
        [_program().path, "generate-key-pair", "--output-key-prefix", "release"],
        cwd=folder, env=_program().environment | {"COSIGN_PASSWORD": password}, capture_output=True, check=True,
    )  # fmt: skip
    (folder / "release.password").write_text(f"{password}\n")
    (folder / "release.password").chmod(0o600)
    return CosignKeys(folder)


def _program() -> debian.Program:
    return debian.program("cosign", "cosign", "usr/bin/cosign")


def make_keys(clone: Clone, folder: Path) -> Keys:
    """Make a key by the task."""
    ran = clone.inv("keys.init", "--folder", str(folder))
    assert ran.code == 0, ran.text
    return Keys(folder)


@dataclass(frozen=True, slots=True)
class Certified:
    """A key of cosign with a certificate for an identity, and the authority that gave it: files, all in one folder."""

    folder: Path

    @property
    def options(self) -> tuple[str, ...]:
        """How cosign signs by it."""
        files = {"--key": "release.key", "--certificate": "release.pem", "--certificate-chain": "authority.pem"}
        return tuple(part for option, name in files.items() for part in (option, str(self.folder / name)))

    @property
    def authority(self) -> str:
        """The certificate of the authority."""
        return str(self.folder / "authority.pem")


def certify(folder: Path, identity: str, issuer: str) -> Certified:
    """Make a key by cosign, without a password, and a certificate as Fulcio gives them, by an authority of our own."""
    public = load_pem_public_key(Path(make_cosign_keys(folder, password="").public).read_bytes())
    assert isinstance(public, ec.EllipticCurvePublicKey)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("authority", authority_key.public_key())
    authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    leaf = _certificate("release", public)
    leaf = leaf.add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)]), critical=True)
    leaf = leaf.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    leaf = leaf.add_extension(x509.UnrecognizedExtension(_ISSUER, issuer.encode()), critical=False)
    for name, builder in (("authority", authority), ("release", leaf)):
        content = builder.sign(authority_key, hashes.SHA256()).public_bytes(Encoding.PEM)
        (folder / f"{name}.pem").write_bytes(content)
    return Certified(folder)


def _certificate(name: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(minutes=10))
    )


def cosign(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Debian's cosign; the test is skipped, in CI failed, where it can't be had."""
    program = _program()
    offline = ["--insecure-ignore-tlog"] if arguments[0].startswith("verify") else []
    return subprocess.run(
        [program.path, arguments[0], *offline, *arguments[1:]],
        env=program.environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
