"""Releases that cosign signs: the same bytes in the same places, by a key that the toolkit itself does not reach."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from build.config.manifest import Manifest
from build.config.signing import SigningSettings
from build.errors import BuildError, ManifestError, MissingTool, SecretError, ToolFailed
from build.signing import cosign, signer
from tests.release.queries import ok
from tests.support.project import Project
from tests.support.proxy import Proxy
from tests.support.server import free_address
from tests.support.signing import CosignKeys, make_cosign_keys
from tests.support.signing import cosign as run_cosign
from tests.support.steps import begins
from tests.support.world import FAST, World

_ABSENT = "awskms://127.0.0.1:9/alias/release"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> CosignKeys:
    """A signing key of cosign, which no test changes."""
    return make_cosign_keys(tmp_path_factory.mktemp("cosign") / "keys")


@contextmanager
def _arguments_of_cosign() -> Iterator[set[bytes]]:
    """The command lines that cosign is run with meanwhile, as any user of the machine sees them."""
    seen: set[bytes] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.03):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = path.read_bytes()
                except OSError:
                    continue
                if b"sign-blob" in line and b"--key" in line:
                    seen.add(line)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def _attached(world: World) -> dict[str, str]:
    return {name: digest for name, digest in world.public().images.items() if ":sha256-" in name}


def _cosign_verifies(world: World, keys: CosignKeys, service: str, version: str) -> bool:
    digest = world.hub.digest(f"{world.namespace}/{service}", version)
    with Proxy(free_address("127.0.0.1"), world.address) as proxy:
        place = f"{proxy.address}/{world.namespace}/{service}@{digest}"
        signature = run_cosign("verify", "--key", keys.public, place)
        stated = run_cosign("verify-attestation", "--key", keys.public, "--type", "slsaprovenance1", place)
    return (signature.returncode, stated.returncode) == (0, 0)


def test_what_cosign_signs_is_finished_and_verified_without_it(world: World, keys: CosignKeys) -> None:
    """A release that cosign signed is finished where neither cosign nor the key is; cosign and we verify it.

    An image of two releases keeps its first signature, although cosign signs it otherwise the second time. The password
    is on no command line, in no output, in no file of .uc/ and in no tag.
    """
    running = world.clone.start("release", *FAST, UC_VERBOSE="1", **keys.signing)
    with _arguments_of_cosign() as arguments:
        assert running.when(begins("publish"), running.kill).wait().code == -9

    elsewhere = {"UC_SIGNING_SIGNER": "cosign", "UC_SIGNING_KEY": _ABSENT, **keys.verifying}
    ok(world.another().inv("release", "--resume", **elsewhere))

    assert ok(world.clone.inv("verify", "0.1.0", "--json", **keys.verifying)).result["verified"] is True
    assert all(_cosign_verifies(world, keys, name, "0.1.0") for name in ("one", "release"))
    assert arguments
    seen = ["\n".join(running.lines).encode(), world.record_bytes("v0.1.0"), *arguments]
    seen += [path.read_bytes() for path in (world.clone.project.root / ".uc").rglob("*") if path.is_file()]
    assert not [secret for secret in keys.secrets if any(secret in content for content in seen)]

    before = _attached(world)
    world.clone.commit("one")
    ok(world.clone.release(**keys.signing))

    assert before.items() <= _attached(world).items()
    assert ok(world.clone.inv("verify", "0.1.1", "--json", **keys.verifying)).result["verified"] is True
    assert _cosign_verifies(world, keys, "two", "0.1.1")


def test_a_key_that_does_not_sign_stops_a_release_before_anything_is_built(world: World, keys: CosignKeys) -> None:
    """Where the KMS can't be reached, the release ends in its preflight, says why, and nothing is public."""
    before = world.public()
    without = {name: value for name, value in keys.signing.items() if name.startswith(("PATH", "UC_SIGNING_S"))}

    ran = world.clone.release(UC_SIGNING_KEY=_ABSENT, **_AWS, **without)

    assert ran.code == 4, ran.text
    assert f"cosign can't sign with {_ABSENT}" in ran.text
    assert "connection refused" in ran.text
    assert world.public() == before
    assert not world.clone.project.root.joinpath(".uc", "candidates.json").exists()


_AWS = {
    "AWS_ACCESS_KEY_ID": "a-key-of-nobody",
    "AWS_SECRET_ACCESS_KEY": "a-secret-of-nobody",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "1",
}


@pytest.fixture
def signing(project: Project, keys: CosignKeys, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """The manifest of a project that cosign signs for, with cosign on PATH."""
    for name, value in {**_AWS, "PATH": keys.signing["PATH"]}.items():
        monkeypatch.setenv(name, value)
    settings = SigningSettings(
        signer="cosign",
        key_file=str(keys.folder / "release.key"),
        password_file=str(keys.folder / "release.password"),
        public_key=keys.public,
    )
    return replace(project.load(), signing=settings)


def _set(**changes: Any) -> Callable[[Manifest, Path], Manifest]:
    def change(manifest: Manifest, _folder: Path) -> Manifest:
        return replace(manifest, signing=replace(manifest.signing, **changes))

    return change


def _elsewhere(reference: str) -> Callable[[Manifest, Path], Manifest]:
    return _set(key=reference, key_file="", password_file="")


def _another_password(manifest: Manifest, folder: Path) -> Manifest:
    (folder / "other").write_text("guess-what-it-is")
    (folder / "other").chmod(0o600)
    return _set(password_file=str(folder / "other"))(manifest, folder)


def _another_public_key(manifest: Manifest, folder: Path) -> Manifest:
    return _set(public_key=make_cosign_keys(folder / "others").public)(manifest, folder)


def _a_key_of_ours(manifest: Manifest, folder: Path) -> Manifest:
    (folder / "ours").write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    (folder / "ours").chmod(0o600)
    return _set(key_file=str(folder / "ours"))(manifest, folder)


_UNUSABLE: dict[str, tuple[Callable[[Manifest, Path], Manifest], type[BuildError], str]] = {
    "another password": (_another_password, SecretError, "can't be read with the password in signing.password_file"),
    "another public key": (_another_public_key, ManifestError, "is not the public half of signing.key_file"),
    "a key of ours": (_a_key_of_ours, SecretError, "is not a key of cosign"),
    "no such provider": (_elsewhere("nosuchkms://release"), MissingTool, "does not know the provider nosuchkms://"),
    "no cluster": (_elsewhere("k8s://ci/release"), ToolFailed, "cosign can't sign with k8s://ci/release: "),
    "no login": (_elsewhere("awskms:///alias/release"), ToolFailed, "cosign can't sign with awskms:///alias/release"),
}


@pytest.mark.parametrize("name", _UNUSABLE)
def test_a_key_that_cosign_cannot_use_is_named(
    signing: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whatever is wrong with the key, the message says which and why, with an exit code by kind and no secret."""
    spoil, kind, reason = _UNUSABLE[name]
    if name == "no login":
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    password = Path(signing.signing.password_file).read_text().strip()

    with pytest.raises(kind, match=reason) as caught:
        signer.signer(spoil(signing, tmp_path))

    shown = f"{caught.value} {caught.value.hint} {caught.value.output}"
    assert caught.value.hint
    assert not [secret for secret in (password, *_AWS.values()) if len(secret) > 12 and secret in shown]


def test_a_signature_by_another_key_is_not_taken(signing: Manifest, tmp_path: Path) -> None:
    """Where the key is replaced while a release is made, what it signs then is refused: nobody could verify it."""
    first, second = (make_cosign_keys(tmp_path / name, password="the same") for name in ("first", "second"))
    changes = {"key_file": f"{first.folder}/release.key", "password_file": f"{first.folder}/release.password"}
    own = signer.signer(_set(public_key=first.public, **changes)(signing, tmp_path))
    assert own is not None

    shutil.copyfile(second.folder / "release.key", first.folder / "release.key")

    with pytest.raises(ToolFailed, match="is not a signature by the public half of"):
        own.sign(b"what is signed")


def test_a_provider_that_says_nothing_is_not_waited_for(signing: Manifest, tmp_path: Path) -> None:
    """A KMS that takes the connection and never answers stops the release after a time, by name."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        reference = f"awskms://127.0.0.1:{silent.getsockname()[1]}/alias/release"
        with pytest.raises(ToolFailed, match=f"cosign can't sign with {reference}: timed out after 0.5 s"):
            cosign.signer(_elsewhere(reference)(signing, tmp_path), seconds=0.5)


def test_without_cosign_nothing_is_signed(signing: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where cosign is not installed, the failure is that of a missing tool, and says what else signs."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingTool, match="cosign is not installed or not on PATH") as caught:
        signer.signer(signing)

    assert 'signer = "builtin"' in caught.value.hint


def test_the_doctor_says_which_key_signs(signing: Manifest, tmp_path: Path) -> None:
    """The doctor shows the key that cosign signs with, or why it does not; nothing where cosign is not asked to."""
    works = cosign.diagnosis(signing)
    fails = cosign.diagnosis(_elsewhere("nosuchkms://release")(signing, tmp_path))

    assert works is not None
    assert (works.state, "sha256:" in works.found) == ("ok", True)
    assert fails is not None
    assert (fails.state, "nosuchkms://" in fails.found) == ("warn", True)
    without_key = SigningSettings(signer="cosign", identity="release@acme.example", issuer="https://acme.example")
    keyless = cosign.diagnosis(replace(signing, signing=without_key))
    assert keyless is not None
    assert (keyless.state, "release@acme.example" in keyless.found) == ("ok", True)
    assert cosign.diagnosis(replace(signing, signing=SigningSettings())) is None
