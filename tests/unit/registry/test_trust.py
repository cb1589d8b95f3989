"""Which certificates a registry is trusted by, and that the doctor says what a release would."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from build.config.manifest import Manifest
from build.errors import RegistryError
from build.machine import supply_checks
from build.registry.client import RegistryClient
from build.registry.tls import trust
from tests.support.answers import JSON, PAGE, always
from tests.support.certificates import certify
from tests.support.proxy import Answer, Proxy

# R6 Certificates ------------------------------------------------------------------------------------------------------


def test_r6_docker_s_certificates(tmp_path: Path) -> None:
    """Every *.crt of Docker's folder for the registry is trusted, and SSL_CERT_FILE replaces the system's."""
    folder = tmp_path / "registry.example:5000"
    folder.mkdir()
    made = certify(folder, "registry.example")
    made.ca.rename(folder / "company.crt")
    made.certificate.unlink()

    with_folder = trust("registry.example:5000", None, own=True, certs_d=[tmp_path])
    without = trust("registry.example", None, own=True, certs_d=[tmp_path])

    assert len(with_folder.get_ca_certs()) == len(without.get_ca_certs()) + 1


def test_r6_a_client_certificate_needs_its_key(tmp_path: Path) -> None:
    """*.cert with *.key is shown to the registry and to nobody else; a missing or wrong key is named."""
    folder = tmp_path / "registry.example"
    folder.mkdir()
    made = certify(tmp_path, "registry.example")
    made.certificate.rename(folder / "client.cert")

    assert isinstance(trust("registry.example", None, own=False, certs_d=[tmp_path]), ssl.SSLContext)
    with pytest.raises(RegistryError, match=r"client\.cert: its key client\.key is not beside it"):
        trust("registry.example", None, own=True, certs_d=[tmp_path])
    (folder / "client.key").write_bytes((tmp_path / "ca.key").read_bytes())
    with pytest.raises(RegistryError, match=r"can't be used with client\.key"):
        trust("registry.example", None, own=True, certs_d=[tmp_path])
    made.key.rename(folder / "client.key")
    trust("registry.example", None, own=True, certs_d=[tmp_path])


@pytest.mark.parametrize(
    "answer", [PAGE, Answer(403), Answer(404), Answer(502), Answer(302, {"Location": "/v2/"}), Answer(200, JSON, b"{}")]
)
def test_r6_the_doctor_says_what_a_release_would(
    registry: RegistryClient, manifest: Manifest, proxy: Proxy, answer: Answer
) -> None:
    """The doctor asks by the client of a release: it finds the same error with the same remedy, or none."""
    proxy.rules = [always("", answer)]

    row = supply_checks.registry(manifest)

    try:
        registry.ping()
    except RegistryError as error:
        remedy = error.hint.replace("docker login", f"docker login {proxy.address}")
        assert (row.state, row.found, row.remedy) == ("fail", str(error), remedy)
    else:
        assert (row.state, row.found) == ("ok", f"{proxy.address} answers")
