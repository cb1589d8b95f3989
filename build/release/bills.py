"""The bills of materials of a release: read from the registry, as one document or one for each service."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from build.config.manifest import Manifest
from build.config.select import chosen
from build.errors import ReleaseRefused, UsageError
from build.gates.scan.trivy import Scanner, trivy
from build.git.versions import lines
from build.registry.client import RegistryClient
from build.release.names import release_repository, service_repository
from build.release.record import Record
from build.release.stored import ImageGone, fetch
from build.typed import suggest

FORMATS = ("cyclonedx", "spdx")


def document(manifest: Manifest, version: str, services: Sequence[str], *, format: str) -> Any:  # noqa: A002  (its flag)
    """The bill of materials of a release in one of the FORMATS: of a single service, or of all as its parts.

    Raises UsageError for another format, and as `read` and `spdx` do.
    """
    if format not in FORMATS:
        raise UsageError(f"--format {format}: unknown format{suggest(format, FORMATS)}", hint=" or ".join(FORMATS))
    bills, versions = read(manifest, version, services)
    single = next(iter(bills.values())) if len(bills) == 1 else None
    whole = single or merged(bills, manifest.project.name, ", ".join(dict.fromkeys(versions.values())))
    return spdx(manifest, whole) if format == "spdx" else whole


def read(manifest: Manifest, version: str, services: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The bill of materials of each image of a release (CycloneDX), and the release's version, by service.

    `version` may be a float such as 1.4. Raises ReleaseRefused for a release or a bill that does not exist, ImageGone
    for one that the registry has lost.
    """
    bills: dict[str, Any] = {}
    versions: dict[str, str] = {}
    with RegistryClient(manifest) as registry:
        for line in lines(manifest):
            wanted = [name for name in chosen(manifest, services) if name in line.services]
            if wanted and (record := fetch(registry, release_repository(manifest, line.name), version)):
                has = [name for name in wanted if name in record.services]
                bills |= {name: bill(manifest, registry, record, name) for name in has}
                versions |= dict.fromkeys(has, record.version)
    if not bills:
        raise ReleaseRefused(
            f"there is no release {version} of {', '.join(services) or 'any service'}", hint="./inv releases"
        )
    return bills, versions


def bill(manifest: Manifest, registry: RegistryClient, record: Record, service: str) -> Any:
    """The bill of materials of one image of a release (CycloneDX).

    Raises ReleaseRefused for a release that has none, ImageGone for one that the registry has lost.
    """
    sbom = record.services[service].sbom
    if sbom is None:
        message = (
            f"{record.tag} has no bill of materials of {service}: its scan was skipped, or it is of an older toolkit"
        )
        raise ReleaseRefused(message, hint="./inv releases shows which releases skipped a gate")
    content = registry.blob(service_repository(manifest, service), sbom.digest)
    if content is None:
        raise ImageGone(f"the registry has lost the bill of materials of {service} {record.version}", hint="restore it")
    return json.loads(content)


def merged(bills: Mapping[str, Any], name: str, version: str) -> dict[str, Any]:
    """One document of several: each image a component that contains its own (CycloneDX 1.6, "components").

    References are unique in a document, so each has its service in front.
    """
    first = next(iter(bills.values()))
    root = f"{name}@{version}"
    document: dict[str, Any] = {
        "bomFormat": first["bomFormat"],
        "specVersion": first["specVersion"],
        "version": 1,
        "metadata": {"component": {"bom-ref": root, "type": "application", "name": name, "version": version}},
        "components": [],
        "dependencies": [{"ref": root, "dependsOn": []}],
    }
    for service, bill in bills.items():
        own = _prefixed(bill, f"{service}/")
        image = {**own["metadata"]["component"], "name": service, "components": own.get("components", [])}
        document["components"].append(image)
        document["dependencies"][0]["dependsOn"].append(image["bom-ref"])
        document["dependencies"] += own.get("dependencies", [])
    return document


def _prefixed(value: Any, prefix: str) -> Any:
    """The document with a prefix before every reference, and before what refers to one."""
    if isinstance(value, list):
        return [_prefixed(item, prefix) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _reference(key, item, prefix) for key, item in value.items()}


def _reference(key: str, item: Any, prefix: str) -> Any:
    if key in {"bom-ref", "ref"} and isinstance(item, str):
        return f"{prefix}{item}"
    if key in {"dependsOn", "provides"}:
        return [f"{prefix}{each}" for each in item]
    return _prefixed(item, prefix)


def spdx(manifest: Manifest, bill: Mapping[str, Any]) -> Any:
    """The same as an SPDX document, by Trivy. Raises MissingTool without Trivy, ScanBroken if it fails."""
    scanner = Scanner.of(manifest)
    scanner.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scanner.cache) as folder:
        source = Path(folder) / "bill.cdx.json"
        source.write_text(json.dumps(bill), encoding="utf-8")
        outcome = trivy(scanner, "sbom", "--quiet", "--format", "spdx-json", str(source))
    return json.loads(outcome.stdout)
