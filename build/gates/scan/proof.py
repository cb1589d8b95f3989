"""Proves that a vulnerability database knows what the images hold: with an empty one, Trivy finds nothing at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from typing import Any

from build import json_file
from build.errors import ScanBroken
from build.gates.scan.trivy import Scanner, trivy

# A package with a vulnerability that every real database has, by the type that Trivy reports.
_KNOWN_BAD = {
    "python-pkg": ("Python packages", "pkg:pypi/jinja2@2.10"),
    "node-pkg": ("npm packages", "pkg:npm/lodash@4.17.4"),
    "dotnet-core": ("NuGet packages", "pkg:nuget/Newtonsoft.Json@12.0.1"),
}
_PURL_TYPES = {"debian": "deb", "ubuntu": "deb", "alpine": "apk"}
_LOWEST = {"deb": "0-1", "apk": "0-r0"}


def prove(scanner: Scanner, reference: str, contents: Iterable[str]) -> list[str]:
    """Raise ScanBroken if the database does not cover the contents of the images, for which Trivy reports no findings.

    `contents` are package types (`node-pkg`) and distributions (`debian 13.1`). Returns those without a probe.
    """
    unproven = []
    for kind in sorted(set(contents) - {"python-pkg"}):
        family, _, release = kind.partition(" ")
        if kind in _KNOWN_BAD or (release and family in _PURL_TYPES):
            require(scanner, reference, kind)
        elif release:
            unproven.append(kind)
    return unproven


def require(scanner: Scanner, reference: str, kind: str) -> None:
    """Scan a bill of materials with one vulnerable package; drop the database from the cache if it has no finding."""
    cache = scanner.cache
    probe = cache / "probe.cdx.json"
    json_file.write(probe, bill(kind))
    name = f"the vulnerability database {reference}"
    try:
        outcome = trivy(
            scanner, "sbom", "--skip-db-update", "--offline-scan", "--scanners", "vuln", "--quiet", "--format", "json",
            str(probe),
        )  # fmt: skip
    except ScanBroken as error:
        shutil.rmtree(cache / "db", ignore_errors=True)
        hint = "run again to fetch it again; if that does not help, mirror it again"
        raise ScanBroken(f"{name} is broken: Trivy can't read it", hint=hint, output=error.output) from None
    if not any(result.get("Vulnerabilities") for result in json.loads(outcome.stdout).get("Results") or []):
        shutil.rmtree(cache / "db", ignore_errors=True)
        what = _KNOWN_BAD[kind][0] if kind in _KNOWN_BAD else kind
        hint = "mirror the whole of aquasec/trivy-db:2, and name it in gates.db_repository"
        raise ScanBroken(f"{name} knows nothing about {what}: a vulnerable package has no finding", hint=hint)


def bill(kind: str) -> dict[str, Any]:
    """A CycloneDX document with one certainly vulnerable package: a known one, or the oldest possible OpenSSL."""
    components: list[dict[str, Any]] = []
    if kind in _KNOWN_BAD:
        purl = _KNOWN_BAD[kind][1]
    else:
        family, _, release = kind.partition(" ")
        package = _PURL_TYPES[family]
        purl = f"pkg:{package}/{family}/openssl@{_LOWEST[package]}?distro={family}-{release}"
        components.append({"bom-ref": "os", "type": "operating-system", "name": family, "version": release})
    name, _, version = purl.partition("?")[0].rpartition("/")[2].partition("@")
    components.append({"bom-ref": "bad", "type": "library", "name": name, "version": version, "purl": purl})
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}
