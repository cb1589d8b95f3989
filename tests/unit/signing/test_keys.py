"""The signing key: made once, read only with its password, deterministic, and never shown."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from build.config.manifest import Manifest
from build.config.signing import SigningSettings
from build.errors import ManifestError, SecretError
from build.signing import keys, signer
from build.signing.keys import KeyFiles
from tests.support.project import Project

_CONTENT = b"what is signed"


@pytest.fixture
def manifest(project: Project) -> Manifest:
    """The manifest of a project that has no key yet."""
    return project.load()


def _made(manifest: Manifest, folder: Path) -> tuple[Manifest, KeyFiles]:
    files = keys.create(keys.planned(manifest, str(folder)))
    settings = SigningSettings(
        key_file=str(files.key_file), password_file=str(files.password_file), public_key=str(files.public_key)
    )
    return replace(manifest, signing=settings), files


def test_a_key_that_was_made_signs_and_verifies(manifest: Manifest, tmp_path: Path) -> None:
    """The public key beside a new key verifies its signatures, and those of no other content."""
    signing, files = _made(manifest, tmp_path / "keys")
    signer = keys.signer(signing)
    assert signer is not None
    (public,) = keys.trusted(signing)

    signature = signer.sign(_CONTENT)

    assert public.verifies(_CONTENT, signature)
    assert not public.verifies(_CONTENT + b".", signature)
    assert not public.verifies(_CONTENT, signature[:-1] + bytes([signature[-1] ^ 1]))
    assert not public.verifies(_CONTENT, b"")
    assert public.fingerprint == files.fingerprint


def test_a_signature_is_the_same_each_time(manifest: Manifest, tmp_path: Path) -> None:
    """Signing the same content twice gives the same bytes (RFC 6979), so that nothing is put a second time."""
    signing, _ = _made(manifest, tmp_path / "keys")
    first, second = keys.signer(signing), keys.signer(signing)
    assert first is not None
    assert second is not None

    assert first.sign(_CONTENT) == second.sign(_CONTENT)


def test_openssl_reads_both_files(manifest: Manifest, tmp_path: Path) -> None:
    """The files are what openssl reads: an encrypted PKCS#8 key with its password, and the same public key."""
    _, files = _made(manifest, tmp_path / "keys")

    printed = subprocess.run(
        ["openssl", "pkey", "-in", str(files.key_file), "-passin", f"file:{files.password_file}", "-pubout"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip

    assert printed == files.public_key.read_text()
    assert "ENCRYPTED" in files.key_file.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_only_their_owner_reads_key_and_password(manifest: Manifest, tmp_path: Path) -> None:
    """Key and password are closed to others, in a folder that is."""
    _, files = _made(manifest, tmp_path / "keys")

    assert [stat.S_IMODE(path.stat().st_mode) for path in (files.key_file, files.password_file)] == [0o600, 0o600]
    assert stat.S_IMODE(files.key_file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("there", ["release.key", "release.password", "release.pub"])
def test_a_key_is_never_overwritten(manifest: Manifest, tmp_path: Path, there: str) -> None:
    """Where one of the three files exists, none is written."""
    (tmp_path / there).write_text("precious")

    with pytest.raises(SecretError, match="never overwritten"):
        keys.planned(manifest, str(tmp_path))

    assert (tmp_path / there).read_text() == "precious"


def test_a_key_is_not_written_into_the_checkout(manifest: Manifest) -> None:
    """Images are built from the checkout, so no key is made there."""
    with pytest.raises(SecretError, match="is in the checkout"):
        keys.planned(manifest, str(manifest.root / "keys"))


def _unencrypted(files: KeyFiles) -> None:
    command = ["openssl", "pkey", "-in", str(files.key_file), "-passin", f"file:{files.password_file}"]
    files.key_file.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)


def _other_curve(files: KeyFiles) -> None:
    command = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-aes-256-cbc"]
    command += ["-pass", f"file:{files.password_file}"]
    files.key_file.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)


_SPOILT: dict[str, tuple[Callable[[KeyFiles], object], str]] = {
    "no key": (lambda files: files.key_file.unlink(), "no such file"),
    "no password": (lambda files: files.password_file.unlink(), "no such file"),
    "an empty password": (lambda files: files.password_file.write_text("\n"), "is empty"),
    "another password": (lambda files: files.password_file.write_text("guess"), "can't be read with the password"),
    "no PEM": (lambda files: files.key_file.write_text("ENCRYPTED nonsense"), "can't be read with the password"),
    "not encrypted": (_unencrypted, "is not encrypted"),
    "another curve": (_other_curve, "is not an EC P-256 key"),
}


@pytest.mark.parametrize("name", _SPOILT)
def test_a_key_that_cannot_be_used_is_named(manifest: Manifest, tmp_path: Path, name: str) -> None:
    """Whatever is wrong with key or password, the message says which file and what, and shows neither."""
    signing, files = _made(manifest, tmp_path / "keys")
    password = files.password_file.read_text().strip()
    spoil, reason = _SPOILT[name]
    spoil(files)

    with pytest.raises(SecretError, match=reason) as caught:
        keys.signer(signing)

    assert str(tmp_path) in str(caught.value)
    assert password not in f"{caught.value} {caught.value.hint}"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_a_key_that_others_can_read_is_refused(manifest: Manifest, tmp_path: Path) -> None:
    """A key in a file and a folder that are open to everyone is refused, with the command that closes it."""
    signing, files = _made(manifest, tmp_path / "keys")
    files.key_file.parent.chmod(0o755)
    files.key_file.chmod(0o644)

    with pytest.raises(SecretError, match="open to everyone") as caught:
        keys.signer(signing)

    assert caught.value.hint == f"chmod 600 {files.key_file}"


def test_the_public_key_must_be_that_of_the_private_one(manifest: Manifest, tmp_path: Path) -> None:
    """Nothing is signed by a key whose signatures nobody would accept."""
    signing, _ = _made(manifest, tmp_path / "keys")
    _, other = _made(manifest, tmp_path / "other")
    settings = replace(signing.signing, public_key=str(other.public_key))

    with pytest.raises(ManifestError, match="is not the public half") as caught:
        signer.signer(replace(signing, signing=settings))

    assert f"openssl pkey -in {signing.signing.key_file} -pubout" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_what_is_no_public_key_is_refused(manifest: Manifest, tmp_path: Path, content: bytes) -> None:
    """A file without a public key is refused by its name."""
    (tmp_path / "release.pub").write_bytes(content)

    with pytest.raises(ManifestError, match=r"release\.pub is not the public half"):
        keys.trusted(manifest, str(tmp_path / "release.pub"))


def test_a_key_of_cosign_is_known_as_one(manifest: Manifest, tmp_path: Path) -> None:
    """A key that cosign made is refused with the setting that uses it, and where cosign signs none of ours is made."""
    signing, files = _made(manifest, tmp_path / "keys")
    files.key_file.write_text("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n")

    with pytest.raises(SecretError, match="is a key of cosign") as caught:
        keys.signer(signing)
    assert caught.value.hint == '[signing] signer = "cosign"'

    with pytest.raises(ManifestError, match="cosign makes its own keys"):
        keys.planned(replace(manifest, signing=SigningSettings(signer="cosign")), str(tmp_path / "new"))


def test_a_signer_does_not_show_its_key(manifest: Manifest, tmp_path: Path) -> None:
    """What Python prints of a signer is its fingerprint."""
    signing, files = _made(manifest, tmp_path / "keys")

    assert repr(keys.signer(signing)) == f"KeySigner({files.fingerprint})"


def test_a_retired_key_has_a_last_day(manifest: Manifest, tmp_path: Path) -> None:
    """A retired key is valid for releases up to its day, the current one for all."""
    _, new = _made(manifest, tmp_path / "new")
    _, old = _made(manifest, tmp_path / "old")
    settings = SigningSettings(public_key=str(new.public_key), retired={str(old.public_key): "2026-06-30"})

    current, retired = keys.trusted(replace(manifest, signing=settings))

    assert (current.is_valid_on(date(2030, 1, 1)), current.fingerprint) == (True, new.fingerprint)
    assert [retired.is_valid_on(date(2026, 6, 30)), retired.is_valid_on(date(2026, 7, 1))] == [True, False]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"UC_SIGNING_PUBLIC_KEY": "missing.pub"}, "signing.public_key: no such file: missing.pub"),
        ({"UC_SIGNING_KEY_FILE": "release.key"}, "signing.password_file: missing, and signing.key_file needs it"),
        ({"UC_SIGNING_PASSWORD_FILE": "password"}, "signing.key_file: missing, and signing.password_file needs it"),
        ({"UC_SIGNING_KEY": "awskms:///alias/release"}, 'signing.key: belongs to signer = "cosign"'),
        (
            {"UC_SIGNING_KEY": "k8s://ci/release", "UC_SIGNING_KEY_FILE": "a", "UC_SIGNING_PASSWORD_FILE": "b"},
            "signing.key: signing.key_file is set too",
        ),
        (
            {"UC_SIGNING_SIGNER": "cosign", "UC_SIGNING_IDENTITY": "a@b.example"},
            "signing.issuer: missing, and signing.identity needs it",
        ),
        ({"UC_SIGNING_IDENTITY": "a", "UC_SIGNING_ISSUER": "b"}, 'signing.identity: belongs to signer = "cosign"'),
        (
            {
                "UC_SIGNING_SIGNER": "cosign",
                "UC_SIGNING_IDENTITY": "a",
                "UC_SIGNING_ISSUER": "b",
                "UC_SIGNING_KEY": "k8s://ci/release",
            },
            "signing.identity: signing.key is set too",
        ),
        *(
            ({"UC_SIGNING_SIGNER": "cosign", "UC_SIGNING_KEY": key}, "signing.key: expected PROVIDER://NAME")
            for key in ("release.key", "env://KEY", "https://web.example/key", "hashivault://user:secret@release")
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(project: Project, settings: dict[str, str], problem: str) -> None:
    """Half a key, two of them, and one where nobody guards it are refused when the settings are read."""
    with pytest.raises(ManifestError, match=problem):
        project.load(**settings)
