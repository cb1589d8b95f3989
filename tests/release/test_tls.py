"""The registry client over TLS: a private CA is trusted where it is named, by the client and by the scan of a release."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from build.errors import RegistryError
from build.machine import supply_checks
from build.registry import tls as tls_settings
from build.registry.oci import digest_of
from tests.release.queries import BLOB, client
from tests.support.certificates import certify
from tests.support.machine import as_root
from tests.support.project import Project
from tests.support.secured import serve
from tests.support.server import free_address
from tests.support.world import World


@pytest.fixture
def tls(registry_program: str, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A registry with a certificate of a private CA: its address and the CA. The name is one that is not loopback."""
    made = certify(tmp_path, "127.1")
    port = free_address("127.0.0.1").rpartition(":")[2]
    settings = {"tls": {"certificate": str(made.certificate), "key": str(made.key)}}
    with serve(registry_program, tmp_path, f"127.0.0.1:{port}", http=settings):
        yield f"127.1:{port}", made.ca


def test_a_private_ca_is_trusted_where_it_is_named(project: Project, tls: tuple[str, Path]) -> None:
    """[registry] ca_file makes a private CA's certificate trusted; without it the connection is refused with a message."""
    address, ca = tls

    with client(project, address) as registry, pytest.raises(RegistryError, match=r"(?i)certificate verify failed"):
        registry.ping()
    with client(project, address, UC_REGISTRY_CA_FILE=str(ca)) as registry:
        registry.ping()
        assert registry.put_blob("test/web", digest_of(BLOB), BLOB)
        assert registry.blob("test/web", digest_of(BLOB)) == BLOB


def test_docker_s_own_certificates_are_trusted(project: Project, tls: tuple[str, Path]) -> None:
    """What Docker trusts for this registry in certs.d, the toolkit trusts too."""
    address, ca = tls
    folder, root = Path("/etc/docker/certs.d") / address, as_root()
    subprocess.run([*root, "install", "-D", "--mode=644", ca, folder / "ca.crt"], check=True)
    try:
        with client(project, address) as registry:
            registry.ping()
    finally:
        subprocess.run([*root, "rm", "-r", folder], check=True)


def test_r6_the_doctor_trusts_what_a_release_trusts(project: Project, tls: tuple[str, Path]) -> None:
    """The doctor's row of the registry is right where a release works, and names the certificate where it does not."""
    address, ca = tls

    trusted = supply_checks.registry(project.load(UC_REGISTRY_ADDRESS=address, UC_REGISTRY_CA_FILE=str(ca)))
    unknown = supply_checks.registry(project.load(UC_REGISTRY_ADDRESS=address))

    assert (trusted.state, unknown.state) == ("ok", "fail")
    assert "certificate verify failed" in unknown.found.lower()


def test_r6_ssl_cert_file_is_the_machine_s(
    project: Project, tls: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE stands for the machine's certificates, as for every program that is built on OpenSSL."""
    address, ca = tls
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))

    with client(project, address) as registry:
        registry.ping()


def test_r6_a_registry_that_wants_a_client_certificate(
    project: Project, registry_program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker's *.cert and *.key for a registry are shown to it; without them it ends the connection."""
    made = certify(tmp_path, "127.1")
    address = f"127.1:{free_address('127.0.0.1').rpartition(':')[2]}"
    settings = {"tls": {"certificate": str(made.certificate), "key": str(made.key), "clientcas": [str(made.ca)]}}
    folder = tmp_path / "certs.d" / address
    folder.mkdir(parents=True)
    monkeypatch.setattr(tls_settings, "CERTS_D", (tmp_path / "certs.d",))
    with serve(registry_program, tmp_path, address.replace("127.1", "127.0.0.1"), http=settings):
        with client(project, address, UC_REGISTRY_CA_FILE=str(made.ca)) as registry, pytest.raises(RegistryError):
            registry.ping()
        (folder / "client.cert").write_bytes(made.certificate.read_bytes())
        (folder / "client.key").write_bytes(made.key.read_bytes())
        with client(project, address, UC_REGISTRY_CA_FILE=str(made.ca)) as registry:
            registry.ping()


def test_another_ca_is_not_enough(project: Project, tls: tuple[str, Path], tmp_path: Path) -> None:
    """A CA that did not sign the certificate does not make it trusted."""
    other = tmp_path / "other"
    other.mkdir()

    with (
        client(project, tls[0], UC_REGISTRY_CA_FILE=str(certify(other, "127.1").ca)) as registry,
        pytest.raises(RegistryError, match=r"(?i)certificate verify failed"),
    ):
        registry.ping()


def test_a_file_that_is_not_a_certificate_is_reported(project: Project) -> None:
    """A ca_file that is not PEM is named, with the expected format, without a traceback."""
    project.write("ca.pem", "not a certificate\n")

    with pytest.raises(RegistryError, match=r"ca\.pem: no certificates can be read") as caught:
        client(project, "registry.example", UC_REGISTRY_CA_FILE="ca.pem")

    assert "BEGIN CERTIFICATE" in caught.value.hint


def test_the_scan_of_a_release_trusts_the_private_ca(
    make_world: Callable[..., World], registry_program: str, tmp_path: Path
) -> None:
    """[registry] ca_file is enough for Trivy too, where the machine does not know the CA."""
    name = socket.gethostname()
    found = ""
    with contextlib.suppress(OSError):
        found = socket.gethostbyname(name)
    if not found.startswith("127."):
        pytest.skip(f"this machine's name is at {found or 'no address'}, and registries of tests are on loopback only")
    made = certify(tmp_path, name)
    port = free_address(found).rpartition(":")[2]
    settings = {"tls": {"certificate": str(made.certificate), "key": str(made.key)}}
    with serve(registry_program, tmp_path, f"{found}:{port}", http=settings):
        world = make_world(f"{name}:{port}")

        ran = world.clone.inv("release", "--skip-smoke", UC_REGISTRY_CA_FILE=str(made.ca))

    assert ran.code == 0, ran.text
    assert world.record("v0.1.0")["gates"]["scan"]["verdict"] == "passed"
