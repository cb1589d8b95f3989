"""Scans one image with Trivy: a JSON report, converted to SARIF, an SBOM and a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build import json_file
from build.errors import ScanBroken
from build.gates.scan import sbom
from build.gates.scan.database import OFFLINE, Database
from build.gates.scan.trivy import REFUSED, Scanner, insecure, trivy
from build.gates.scan.vendored import Vendored
from build.gates.scan.vex import Document
from build.images.image import Image
from build.waiting import waiting

# Trivy's error message → the arguments for another attempt, and what they leave out.
_RETRIES = {
    "no child with platform linux/amd64": (("--platform", "linux/arm64"), ""),
    "Java DB": (
        ("--skip-files", "**/*.jar,**/*.war,**/*.ear,**/*.par"),
        "its Java archives were NOT checked, which takes a Java database",
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings for all images of a run: another set of scanners would analyse every layer again.

    `vendored` are the vendored packages of each service; None for no bills of materials.
    """

    scanner: Scanner
    reports: Path
    scanners: tuple[str, ...]
    severity: tuple[str, ...]
    waivers_file: Path | None
    database: Database | None
    vendored: Mapping[str, Sequence[Vendored]] | None
    ca_file: Path | None = None
    vex: tuple[Document, ...] = ()

    def paths(self, service: str) -> dict[str, Path]:
        """The report files of a service by suffix."""
        return {kind: self.reports / f"{service}.{kind}" for kind in ("json", "sarif", "txt", "cdx.json")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Scanned:
    """Trivy's report on an image, with findings of every severity, and what the scan left out."""

    image: Image
    report: dict[str, Any]
    left_out: tuple[str, ...]


def analyse(settings: Settings, image: Image) -> Scanned:
    """Scan name@digest of the image, in the registry if it was pushed, else in the engine.

    Raises ScanBroken if Trivy fails or reports that it scanned something else.
    """
    output = settings.paths(image.service)["json"]
    arguments = [
        "image", *OFFLINE, "--skip-check-update", "--no-progress", "--scanners", ",".join(settings.scanners),
        "--image-src", "remote" if image.pushed else "docker", *_decided(settings, output),
        *insecure(image.reference), *(("--cacert", str(settings.ca_file)) if settings.ca_file else ()),
    ]  # fmt: skip
    if of_configuration := [name for name in settings.scanners if name in {"secret", "misconfig"}]:
        arguments += ["--image-config-scanners", ",".join(of_configuration)]
    with waiting(f"scanning {image.service}"):
        left_out = _run(settings, arguments, image)
    report = _read(output)
    # Trivy copies the image's configuration into the report, where a token in its ENV would be readable.
    for part in ("config", "history"):
        report["Metadata"].get("ImageConfig", {}).pop(part, None)
    report["Results"] = [*(report.get("Results") or []), *_of_vendored(settings, image.service)]
    json_file.write(output, report)
    scanned = report["Metadata"].get("RepoDigests") or []
    if image.reference not in scanned:
        other = ", ".join(scanned) or "an image without digest"
        raise ScanBroken(f"Trivy was given {image.reference} and scanned {other}")
    return Scanned(image=image, report=report, left_out=left_out)


def _decided(settings: Settings, output: Path) -> list[str]:
    """What every scan has: waivers, VEX documents, and a report with what these let through."""
    documents = [word for document in settings.vex for word in ("--vex", str(document.path))]
    return [
        "--format", "json", "--show-suppressed", "--ignorefile", str(settings.waivers_file or ""), *documents,
        "--output", str(output),
    ]  # fmt: skip


def _of_vendored(settings: Settings, service: str) -> list[dict[str, Any]]:
    """The results of a scan of what the service has vendored, which Trivy does not see in the image."""
    packages = (settings.vendored or {}).get(service, ())
    if not packages or not settings.database:
        return []
    bill, output = (settings.scanner.cache / f"vendored-{service}.{kind}" for kind in ("cdx.json", "json"))
    json_file.write(bill, sbom.of_vendored(packages))
    # Trivy writes beside the output, and in a container only there.
    trivy(settings.scanner, "sbom", *OFFLINE, "--scanners", "vuln", *_decided(settings, output), str(bill))
    target = f"vendored: {', '.join(sorted({package.lock for package in packages}))}"
    # The packages themselves are in the bill of materials anyway, and with their hashes.
    parts = [{key: value for key, value in part.items() if key != "Packages"} for part in _results(output)]
    return [{**part, "Target": target} for part in parts]


def _results(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8")).get("Results") or []


def _read(path: Path) -> dict[str, Any]:
    """Trivy's report, which it has just written. Raises ScanBroken for a file that is not one."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ScanBroken(f"Trivy's report {path} can't be read: {error}", hint="./inv scan again") from None
    if not isinstance(report, dict) or not isinstance(report.get("Metadata"), dict):
        raise ScanBroken(f"{path} is not a report of Trivy", hint="has the version of Trivy changed?")
    return report


def _run(settings: Settings, arguments: Sequence[str], image: Image) -> tuple[str, ...]:
    """Run the scan, with other arguments if Trivy needs them; return what these leave out."""
    hint = f"does {image.reference} exist? ./inv build makes it"
    left_out: list[str] = []
    more: list[str] = []
    retries = dict(_RETRIES)
    while True:
        try:
            trivy(settings.scanner, *arguments, *more, image.reference, hint=hint)
        except ScanBroken as error:
            reason = next((message for message in retries if message in error.output), None)
            if reason is None:
                raise
            added, unscanned = retries.pop(reason)
            more += added
            left_out += [unscanned] if unscanned else []
        else:
            return tuple(left_out)


def convert(settings: Settings, scanned: Scanned) -> bool:
    """Write the other reports from the JSON one; return whether Trivy itself would refuse the image."""
    service = scanned.image.service
    paths, located = settings.paths(service), settings.scanner.cache / f"located-{service}.json"
    json_file.write(located, _located(scanned.report, service))
    severity, scanners = ",".join(settings.severity), ",".join(settings.scanners)
    common = ("convert", "--quiet", "--ignorefile", "")
    trivy(settings.scanner, *common, "--format", "sarif", "--output", str(paths["sarif"]), str(located))
    json_file.write(paths["sarif"], _categorised(json.loads(paths["sarif"].read_text(encoding="utf-8")), service))
    if settings.vendored is not None:
        _write_sbom(settings, scanned, common, settings.vendored.get(service, ()))
    table = trivy(
        settings.scanner, *common, "--format", "table", "--table-mode", "detailed", "--show-suppressed",
        "--severity", severity, "--exit-code", str(REFUSED), str(paths["json"]), ok_codes=(0, REFUSED),
    )  # fmt: skip
    heading = f"{scanned.image.reference}\nscanners {scanners}, gate {severity}\n"
    paths["txt"].write_text(heading + (table.stdout or "no finding at the gate\n"), encoding="utf-8")
    return table.returncode == REFUSED


def _write_sbom(settings: Settings, scanned: Scanned, common: Sequence[str], packed: Sequence[Vendored]) -> None:
    service, report = scanned.image.service, scanned.report
    path, packages = settings.paths(service)["cdx.json"], settings.scanner.cache / f"packages-{service}.json"
    json_file.write(packages, sbom.bare(report))
    trivy(settings.scanner, *common, "--format", "cyclonedx", "--output", str(path), str(packages))
    created = report["Metadata"].get("ImageConfig", {}).get("created", "")
    written = json.loads(path.read_text(encoding="utf-8"))
    json_file.write(path, sbom.document(written, scanned.image, created, packed))


def _located(report: Mapping[str, Any], service: str) -> dict[str, Any]:
    """The report with the service's name as the location of findings in the image's configuration.

    Trivy puts the reference there, and crashes writing SARIF if it starts with an address and a port, as no URI does.
    """
    results = report.get("Results") or []
    name = report["ArtifactName"]
    return {
        **report,
        "Results": [{**result, "Target": service} if result.get("Target") == name else result for result in results],
    }


def _categorised(sarif: Mapping[str, Any], service: str) -> dict[str, Any]:
    """The SARIF document with the service as the category of its runs.

    Trivy sets none, and code scanning refuses an upload in which two runs of a tool have the same category.
    """
    runs = [{**run, "automationDetails": {"id": f"{service}/"}} for run in sarif["runs"]]
    return {**sarif, "runs": runs}
