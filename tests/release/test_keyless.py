"""Releases that cosign signs without a key, as far as they go without its public services."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from build.errors import ReleaseRefused, ToolFailed
from build.git.versions import lines
from build.registry.client import RegistryClient
from build.registry.policy import Policy
from build.release import keyless, preflight, verification, verify
from build.release.keyless import Witness
from build.release.proof import UNSIGNED
from build.release.record import Record
from build.release.stored import fetch
from build.signing.keyless import Keyless, configured
from tests.release.queries import ok
from tests.support import world as worlds
from tests.support.hub import Hub
from tests.support.project import Project
from tests.support.server import Registry, free_address
from tests.support.signing import certify, path_with_cosign
from tests.support.world import SERVICES, World

_NOWHERE = "http://127.0.0.1:9"
_IDENTITY = {
    "UC_SIGNING_SIGNER": "cosign",
    "UC_SIGNING_IDENTITY": "https://git.example/acme/app/.github/workflows/release.yml@refs/heads/main",
    "UC_SIGNING_ISSUER": "https://token.git.example",
    "HTTPS_PROXY": _NOWHERE,
    "NO_PROXY": "127.0.0.0/8",
    "SIGSTORE_ID_TOKEN": "",
}


def test_a_release_without_a_certificate_stops_before_its_version(world: World) -> None:
    """Where no certificate can be had, X.Y.Z is not published, and the release says what finishes it.

    It is never finished without a signature. What cosign can't examine has another exit code than what it refuses.
    """
    settings = {**_IDENTITY, "PATH": path_with_cosign(), "UC_SIGNING_REQUIRED": "true"}

    refused = world.clone.release(**settings)
    again = world.another().inv("release", "--resume", **settings)
    unsigned = world.another().inv("release", "--resume")

    for ran in (refused, again):
        assert ran.code == 4, ran.text
        assert "v0.1.0 is claimed and not published: cosign sign " in ran.text
        assert "getting key from Fulcio" in ran.text
        assert "./inv release --resume" in ran.text
    assert unsigned.code == 14, unsigned.text
    assert "[signing] here has no identity" in unsigned.text
    assert list(world.git_tags()) == ["v0.1.0"]
    assert world.public().images == {}
    unexamined = world.clone.inv("verify", "0.1.0", **settings)
    assert unexamined.code == 4, unexamined.text
    assert "cosign can't verify " in unexamined.text


def test_a_registry_that_refuses_the_names_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no tag of a signature may be written, a release without a key is refused before anything is built."""
    monkeypatch.setenv("PATH", path_with_cosign())
    settings = project.load(**{name: value for name, value in _IDENTITY.items() if name[:3] == "UC_"})
    rules = Policy(
        address=settings.home,
        immutable=False,
        equal_put=True,
        floats="server",
        referrers=False,
        fallback_tags=False,
        deletes=False,
    )

    with pytest.raises(ReleaseRefused, match="this registry takes no tags for signatures"):
        preflight.signer(settings, rules)
    assert preflight.signer(settings, replace(rules, fallback_tags=True)) is None


@pytest.fixture
def loopback(registry_program: str, tmp_path: Path) -> Iterator[World]:
    """A world whose registry has the address to which cosign speaks plain HTTP."""
    registry = Registry(registry_program, tmp_path / "registry", free_address("127.0.0.1"), tmp_path / "storage")
    registry.start()
    hub = Hub(registry.address)
    yield worlds.make(tmp_path / "world", f"w{os.getpid()}-keyless", registry.address, hub)
    hub.close()
    registry.stop()


def test_cosign_signs_attests_and_verifies_each_image_once(
    loopback: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything of a release is signed and attested by cosign, once; only the identity that is trusted verifies.

    The certificate is by an authority of the test, because a public service gives the others; no log has its entry.
    """
    ok(loopback.clone.release())
    for name, value in {"PATH": path_with_cosign(), "HTTPS_PROXY": _NOWHERE, "NO_PROXY": "127.0.0.0/8"}.items():
        monkeypatch.setenv(name, value)
    first, second = (
        certify(tmp_path / name, _IDENTITY["UC_SIGNING_IDENTITY"], _IDENTITY["UC_SIGNING_ISSUER"])
        for name in ("first", "second")
    )
    (tmp_path / "roots.pem").write_text(Path(first.authority).read_text() + Path(second.authority).read_text())
    settings = loopback.clone.project.load(**{name: value for name, value in _IDENTITY.items() if name[:3] == "UC_"})
    cosign = configured(settings)
    assert cosign is not None
    unlogged = ("--ca-roots", f"{tmp_path}/roots.pem", "--insecure-ignore-tlog", "--insecure-ignore-sct")
    cosign = replace(
        cosign, signing=(*first.options, "--tlog-upload=false"), trust=(*cosign.trust, *unlogged)
    )  # fmt: skip

    with RegistryClient(settings) as registry:
        record = fetch(registry, f"{loopback.namespace}/release", "0.1.0")
        assert record is not None
        assert _problems(registry, loopback, record, cosign)
        with pytest.raises(ToolFailed, match="cosign can't verify "):  # what a deploy asks for, before it is one
            verification.require(settings, registry, lines(settings)[0], record)

        keyless.attach(registry, cosign, record)
        attached = loopback.public().images
        keyless.attach(registry, replace(cosign, signing=(*second.options, "--tlog-upload=false")), record)

        assert loopback.public().images == attached
        assert {name.partition(":")[0] for name in attached if name.endswith(".att")} == {*SERVICES, "release"}
        assert _problems(registry, loopback, record, cosign) == set()
        changed = replace(record, commit="f" * 40)
        assert "attestation https://slsa.dev/provenance/v1" in _problems(registry, loopback, changed, cosign)
        for value in ("UC_SIGNING_IDENTITY", "UC_SIGNING_ISSUER"):
            others = tuple("https://other.example" if each == _IDENTITY[value] else each for each in cosign.trust)
            problems = _problems(registry, loopback, record, replace(cosign, trust=others))
            assert any(what.startswith("signature of") for what in problems)


def _problems(registry: RegistryClient, world: World, record: Record, cosign: Keyless) -> set[str]:
    witness = Witness(cosign, world.address, str)
    examined = verify.examine(registry, record, tagged=record, proof=UNSIGNED, keys=(), witness=witness)
    return {check.what for check in examined.problems}
