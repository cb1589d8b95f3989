"""Certificates of a private CA, made by openssl for one test."""

from __future__ import annotations

import contextlib
import ipaddress
import subprocess
from dataclasses import dataclass
from pathlib import Path


def openssl(*arguments: str, data: bytes = b"") -> bytes:
    """What openssl prints for these arguments and this input."""
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


@dataclass(frozen=True, slots=True)
class Authority:
    """A private CA and one certificate that it signed."""

    folder: Path

    @property
    def ca(self) -> Path:
        """The CA's certificate."""
        return self.folder / "ca.crt"

    @property
    def certificate(self) -> Path:
        """The server's certificate."""
        return self.folder / "server.crt"

    @property
    def key(self) -> Path:
        """The server's private key."""
        return self.folder / "server.key"


def certify(folder: Path, name: str) -> Authority:
    """A CA made now, and a certificate for a host name or an address."""
    made = Authority(folder)
    elliptic = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")
    openssl(
        "req", "-x509", *elliptic, "-days", "2", "-subj", "/CN=Private CA", "-keyout", str(folder / "ca.key"),
        "-addext", "keyUsage=critical,keyCertSign", "-out", str(made.ca),
    )  # fmt: skip
    openssl(
        "req", "-x509", *elliptic, "-days", "2", "-subj", "/CN=registry", "-keyout", str(made.key),
        "-CA", str(made.ca), "-CAkey", str(folder / "ca.key"), "-addext", f"subjectAltName={_kind(name)}:{name}",
        "-addext", "basicConstraints=critical,CA:FALSE", "-out", str(made.certificate),
    )  # fmt: skip
    return made


def _kind(name: str) -> str:
    with contextlib.suppress(ValueError):
        return "IP" if ipaddress.IPv4Address(name) else ""
    return "DNS"
