"""Which certificates a registry is trusted by, and which one it is shown: as Docker does it, and `ca_file`.

Docker's folders: https://docs.docker.com/engine/security/certificates/ (`*.crt` is a CA, `*.cert` with `*.key` a client
certificate; a rootless engine's are in ~/.config/docker). The system's certificates are those of OpenSSL, which
SSL_CERT_FILE and SSL_CERT_DIR replace.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

from build.errors import RegistryError

CERTS_D = (Path("/etc/docker/certs.d"), Path("~/.config/docker/certs.d"))
_PEM = "expected a PEM file, with a line -----BEGIN CERTIFICATE-----"


def trust(address: str, ca_file: Path | None, *, own: bool, certs_d: Sequence[Path] = ()) -> ssl.SSLContext:
    """Return what verifies the registry at `address` (`own`), or what it sends us to, which sees no client certificate.

    Trusted are the system's certificates, `ca_file`, and the CAs in the registry's folders. Raises RegistryError for a
    file that can't be used.
    """
    context = ssl.create_default_context()
    folders = [folder.expanduser() / address for folder in certs_d or CERTS_D]
    authorities = [path for folder in folders for path in sorted(folder.glob("*.crt"))]
    if ca_file is not None:
        authorities.insert(0, ca_file)
    for path in authorities:
        try:
            context.load_verify_locations(path)
        except OSError as error:
            raise RegistryError(f"{path}: no certificates can be read from it: {error}", hint=_PEM) from None
    for certificate in [path for folder in folders for path in sorted(folder.glob("*.cert"))] if own else []:
        _show(context, certificate)
    return context


def _show(context: ssl.SSLContext, certificate: Path) -> None:
    key = certificate.with_suffix(".key")
    if not key.is_file():
        message = f"{certificate}: its key {key.name} is not beside it"
        raise RegistryError(message, hint="put the key there; a CA's certificate is called *.crt")
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except OSError as error:
        hint = f"expected a certificate and its key, in PEM and without a password: {certificate}, {key}"
        raise RegistryError(f"{certificate}: it can't be used with {key.name}: {error}", hint=hint) from None
