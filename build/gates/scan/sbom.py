"""The bill of materials of an image: Trivy's CycloneDX document as a function of the digest, and what Trivy can't see.

The same digest, scanned by the same Trivy with the same settings, has the same bytes: in the engine or in any registry,
with any vulnerability database or none. Trivy itself writes a fresh serial number and fresh references each time.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from build.gates.scan.vendored import Vendored
from build.images.image import Image

_FRESH = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAMESPACE = uuid.UUID("9a0c2a53-6d5b-5c0b-8f0e-6c4f5d7d1b1e")
_PREFIX = "aquasecurity:trivy:"
# Compressed again in another registry, a layer has another digest; its DiffID stays.
_OF_THE_PLACE = {f"{_PREFIX}LayerDigest"}
_OF_THE_IMAGE = {f"{_PREFIX}DiffID", f"{_PREFIX}SchemaVersion"}
_ROUNDS = 4


def bare(report: Mapping[str, Any]) -> dict[str, Any]:
    """Trivy's report with packages and without findings, for a document that no database changes."""
    results = [
        {key: value for key, value in result.items() if key in {"Target", "Class", "Type", "Packages"}}
        for result in report.get("Results") or []
        if result.get("Packages")
    ]
    return {**report, "Results": results}


def of_vendored(packages: Sequence[Vendored]) -> dict[str, Any]:
    """A document of vendored packages alone, for Trivy to scan."""
    components = [package.component for package in packages]
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}


def document(written: Mapping[str, Any], image: Image, created: str, vendored: Sequence[Vendored]) -> dict[str, Any]:
    """The document for an image, from what Trivy has `written`; `created` is the time in the image's configuration."""
    root = _root(written["metadata"]["component"], image)
    components = [_component(part, _OF_THE_PLACE) for part in written.get("components") or []]
    links = {link["ref"]: list(link.get("dependsOn") or []) for link in written.get("dependencies") or []}
    references = {written["metadata"]["component"]["bom-ref"]: root["bom-ref"], **_references(components, links)}
    parts = {references.get(part["bom-ref"], part["bom-ref"]): part for part in components}
    parts = {reference: {**part, "bom-ref": reference} for reference, part in parts.items()}
    graph = {
        references.get(ref, ref): {references.get(other, other) for other in others} for ref, others in links.items()
    }
    for package in vendored:
        parts.setdefault(package.purl, package.component)
        graph.setdefault(root["bom-ref"], set()).add(package.purl)
        graph.setdefault(package.purl, set())
    metadata = {"tools": written["metadata"]["tools"], "component": root}
    body = {
        **{key: written[key] for key in ("$schema", "bomFormat", "specVersion") if key in written},
        "version": 1,
        "metadata": {"timestamp": created, **metadata} if created and not created.startswith("0001-") else metadata,
        "components": [part for _, part in sorted(parts.items())],
        "dependencies": [{"ref": ref, "dependsOn": sorted(others)} for ref, others in sorted(graph.items())],
    }
    return {**body, "serialNumber": f"urn:uuid:{_named(body)}"}


def _root(component: Mapping[str, Any], image: Image) -> dict[str, Any]:
    """The image itself, without the address of the registry and the tags that the engine has for it."""
    arch = next((part for part in re.split("[?&]", component.get("purl", "")) if part.startswith("arch=")), "")
    name = image.repository.rpartition("/")[2]
    purl = f"pkg:oci/{name}@{image.digest}{'?' if arch else ''}{arch}"
    kept = [part for part in component.get("properties") or [] if part["name"] in _OF_THE_IMAGE]
    return {
        "bom-ref": purl, "type": "container", "name": image.repository, "version": image.digest, "purl": purl,
        "properties": kept,
    }  # fmt: skip


def _component(part: Mapping[str, Any], removed: set[str]) -> dict[str, Any]:
    properties = [entry for entry in part.get("properties") or [] if entry["name"] not in removed]
    properties.sort(key=lambda entry: (entry["name"], entry.get("value", "")))
    return {**part, "properties": properties} if "properties" in part else dict(part)


def _references(components: Sequence[Mapping[str, Any]], links: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """A lasting reference for each fresh one, from what its component is and what it is linked to.

    Components that are alike in all of that are numbered: exchanging them changes nothing.
    """
    labels = {
        part["bom-ref"]: _named({key: value for key, value in part.items() if key != "bom-ref"})
        if _FRESH.fullmatch(part["bom-ref"])
        else part["bom-ref"]
        for part in components
    }
    fresh = [reference for reference in labels if _FRESH.fullmatch(reference)]
    users: dict[str, list[str]] = {}
    for reference, others in links.items():
        for other in others:
            users.setdefault(other, []).append(reference)
    for _ in range(_ROUNDS if fresh else 0):
        labels |= {
            reference: _named(
                [
                    labels[reference],
                    *(sorted(labels.get(other, "") for other in side.get(reference, ())) for side in (links, users)),
                ]
            )
            for reference in fresh
        }
    return dict(_numbered(sorted(fresh, key=lambda reference: labels[reference]), labels))


def _numbered(fresh: Sequence[str], labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    taken: dict[str, int] = {}
    for reference in fresh:
        label = labels[reference]
        taken[label] = taken.get(label, 0) + 1
        yield reference, _named([label, taken[label]])


def _named(content: Any) -> str:
    text = json.dumps(content, sort_keys=True)
    return str(uuid.uuid5(_NAMESPACE, hashlib.sha256(text.encode()).hexdigest()))
