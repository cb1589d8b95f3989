"""Packages that an image has as plain files, where no scanner recognises them: read from the locks that pin them."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from build.config.manifest import Manifest
from build.errors import ManifestError

_ALGORITHMS = {"sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Vendored:
    """A package of npm that a service has vendored, and the lock that pins it; `hashes` by CycloneDX's algorithm."""

    name: str
    version: str
    lock: str
    license: str = ""
    hashes: tuple[tuple[str, str], ...] = ()

    @property
    def purl(self) -> str:
        """Its package URL."""
        return f"pkg:npm/{quote(self.name, safe='/')}@{quote(self.version, safe='')}"

    @property
    def component(self) -> dict[str, Any]:
        """It as a component of a CycloneDX document; the hashes are those of the archive in npm's registry."""
        licenses = {"licenses": [{"license": {"name": self.license}}]} if self.license else {}
        hashes = {"hashes": [{"alg": name, "content": value} for name, value in self.hashes]} if self.hashes else {}
        return {
            "bom-ref": self.purl, "type": "library", "name": self.name, "version": self.version, **hashes, **licenses,
            "purl": self.purl, "properties": [{"name": "vendored:lock", "value": self.lock}],
        }  # fmt: skip


def load(manifest: Manifest, service: str) -> tuple[Vendored, ...]:
    """The packages of the locks that services.SERVICE.vendored names. Raises ManifestError for a lock without them."""
    if service not in manifest.services:
        return ()
    return tuple(
        package
        for name in manifest.services[service].vendored
        for package in parse(_text(manifest.root / name, f"services.{service}.vendored"), name)
    )


def _text(path: Path, key: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text"
        raise ManifestError(f"{key}: {path.name}: {reason}", hint=f"name the lock file in {key}") from None


def parse(text: str, source: str) -> tuple[Vendored, ...]:
    """The packages that the root of a package-lock.json depends on.

    What these were made from is in the lock too, but not in the image: a bundle has the versions of its maker.
    Raises ManifestError, which names `source`, for anything else.
    """
    try:
        packages = json.loads(text)["packages"]
        wanted = packages[""]["dependencies"]
        return tuple(_package(name, packages[f"node_modules/{name}"], source) for name in sorted(wanted))
    except (ValueError, KeyError, TypeError, AttributeError):
        message = f"{source}: not a lock with the packages that are vendored"
        hint = "a package-lock.json of version 2 or 3 with dependencies: npm install --package-lock-only makes it"
        raise ManifestError(message, hint=hint) from None


def _package(name: str, entry: dict[str, Any], source: str) -> Vendored:
    if not all(isinstance(entry.get(key, ""), str) for key in ("version", "license", "integrity")):
        raise TypeError(name)
    return Vendored(
        name=name,
        version=entry["version"],
        lock=source,
        license=entry.get("license", ""),
        hashes=tuple(_hash(word) for word in entry.get("integrity", "").split()),
    )


def _hash(integrity: str) -> tuple[str, str]:
    algorithm, _, encoded = integrity.partition("-")
    try:
        return _ALGORITHMS[algorithm], base64.b64decode(encoded, validate=True).hex()
    except binascii.Error:
        raise ValueError(integrity) from None
