"""What a release attests: where each image is from, what is in it, and what its gates said. Pure.

Every statement follows from the record, the bill of materials and the image's own labels: nothing else is claimed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from build.gates.verdict import GateVerdict
from build.release.record import Record, RecordedBase, of_record
from build.signing.envelope import Statement

PROVENANCE = "https://slsa.dev/provenance/v1"  # https://slsa.dev/spec/v1.0/provenance
BILL_OF_MATERIALS = "https://cyclonedx.org/bom"
VULNERABILITIES = (
    "https://cosign.sigstore.dev/attestation/vuln/v1"  # sigstore/cosign, specs/COSIGN_VULN_ATTESTATION_SPEC.md
)
VEX = "https://openvex.dev/ns"  # as cosign names it: https://github.com/openvex/spec
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
_BUILD_TYPE = "urn:unity-claude:build-type:{}:v1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Described:
    """What is known of an image beside the record: the commit that its labels name, and its bill of materials."""

    commit: str
    bill_of_materials: bytes = b""


def of_image(record: Record, service: str, described: Described) -> Iterator[Statement]:
    """The statements about the image of a service."""
    image = record.services[service]
    subjects = {f"{record.registry}/{service}": image.digest}
    parameters = {
        "service": service,
        "version": record.version,
        "fingerprint": image.fingerprint,
        "origin": image.origin,
    }
    materials = [_commit(described.commit), *_sources(record), *_bases(image.bases)]
    yield Statement(subjects, PROVENANCE, _provenance(record, "image", parameters, materials))
    if described.bill_of_materials:
        yield Statement(subjects, BILL_OF_MATERIALS, json.loads(described.bill_of_materials))
    yield from _verdicts(record, subjects, [service])


def of_release(record: Record, vex: Iterable[Mapping[str, Any]] = ()) -> Iterator[Statement]:
    """The statements about the release as a whole: its record, and every image that the record names.

    `vex` are the documents that the scan went by.
    """
    subjects = {f"{record.registry}/{service}": image.digest for service, image in record.services.items()}
    subjects[f"{record.registry.partition('/')[0]}/{record.repository}"] = of_record(record).manifest.digest
    parameters = {"line": record.line, "version": record.version, "previous": record.previous}
    bases = {key: base for image in record.services.values() for key, base in image.bases.items()}
    materials = [_commit(record.commit), *_sources(record), *_bases(bases)]
    yield Statement(subjects, PROVENANCE, _provenance(record, "release", parameters, materials))
    yield from _verdicts(record, subjects, record.services)
    yield from (Statement(subjects, VEX, document) for document in vex)


def gates_of(record: Record) -> list[str]:
    """The types of the statements by which a release says what its gates said, and went by."""
    stated = [statement.predicate_type for statement in _verdicts(record, {}, record.services)]
    return stated + ([VEX] if any(gate.vex_documents for gate in record.gates.values()) else [])


def _provenance(record: Record, kind: str, parameters: Mapping[str, str], materials: list[Any]) -> dict[str, Any]:
    return {
        "buildDefinition": {
            "buildType": _BUILD_TYPE.format(kind),
            "externalParameters": dict(parameters),
            "internalParameters": {},
            "resolvedDependencies": materials,
        },
        "runDetails": {
            "builder": {
                "id": f"urn:unity-claude:builder:{record.authority.lower().replace(' ', '-')}",
                "version": {name: text for name, text in record.tools.items() if " " not in name},
            },
            "metadata": {"invocationId": record.tag, "finishedOn": record.created},
        },
    }


def _commit(commit: str) -> dict[str, Any]:
    return {"name": "commit", "digest": {"gitCommit": commit}}


def _sources(record: Record) -> list[dict[str, Any]]:
    """The commits of sources in other repositories, which the record has among the tools."""
    return [
        {"name": name, "digest": {"gitCommit": commit}}
        for name, commit in record.tools.items()
        if name.startswith("source ")
    ]


def _bases(bases: Mapping[str, RecordedBase]) -> list[dict[str, Any]]:
    return [
        {
            "name": f"base {key}",
            "uri": f"oci://{base.reference}",
            "digest": {"sha256": base.digest.removeprefix("sha256:")},
            "annotations": {"source": base.source},
        }
        for key, base in sorted(bases.items())
    ]


def _verdicts(record: Record, subjects: Mapping[str, str], services: Any) -> Iterator[Statement]:
    for gate, verdict in sorted(record.gates.items()):
        if verdict.verdict == "passed":
            counts = {service: verdict.findings[service] for service in services if service in verdict.findings}
            yield Statement(subjects, *_verdict(record, gate, verdict, counts))


def _verdict(record: Record, gate: str, verdict: GateVerdict, counts: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The type and the predicate of a verdict; only a scan for vulnerabilities is called one."""
    if gate == "scan" and verdict.vulnerabilities_checked:
        return VULNERABILITIES, {
            "invocation": {"uri": record.tag, "event_id": "", "builder.id": record.authority},
            "scanner": {
                "uri": "pkg:github/aquasecurity/trivy",
                "version": record.tools.get("trivy", ""),
                "db": {"uri": verdict.database_reference, "version": "", "lastUpdate": verdict.database},
                "result": {"findings": counts, "waivers": list(verdict.waivers), "notes": list(verdict.notes)},
            },
            "metadata": {"scanStartedOn": record.created, "scanFinishedOn": record.created},
        }
    unchecked = [*(["vulnerabilities"] if gate == "scan" else []), *verdict.notes]
    return TEST_RESULT, {
        "result": "WARNED" if unchecked else "PASSED",
        "configuration": [{"name": gate, "digest": {"gitCommit": record.commit}}],
        "warnedTests": unchecked,
        "annotations": {"checks": verdict.checks, "findings": counts},
    }
