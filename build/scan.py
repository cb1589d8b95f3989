"""The gate on the built images: Trivy on their exact digests, and a verdict for each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from build import console, findings, state, trivy_db, waivers
from build.errors import ScanBroken, ScanRejected
from build.findings import Finding
from build.images import BuiltImage
from build.manifest import Manifest
from build.trivy import REFUSED, insecure, trivy

_SHOWN = 5
_KINDS = {"vuln": "vulnerability", "secret": "secret", "misconfig": "misconfiguration", "license": "license"}
# Trivy's words when it must be asked differently → the arguments to add, and what they leave out.
_SECOND_TRIES = {
    "no child with platform linux/amd64": (("--platform", "linux/arm64"), ""),
    "Java DB": (
        ("--skip-files", "**/*.jar,**/*.war,**/*.ear,**/*.par"),
        "its Java archives were NOT checked, which takes a Java database",
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What the gate says of one image: `findings` by severity, and the `gated` ones, which refuse it, worst first.

    `database` is when the vulnerability database was made, and empty where vulnerabilities were not checked.
    """

    service: str
    reference: str
    vulnerabilities_checked: bool
    database: str
    findings: dict[str, int]
    refused: bool
    gated: tuple[Finding, ...]
    waived: int
    notes: tuple[str, ...]
    reports: dict[str, Path]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """What all images of a run are scanned with: another scanner set would analyse every layer again."""

    cache: Path
    reports: Path
    scanners: tuple[str, ...]
    severity: tuple[str, ...]
    ignore_file: Path | None
    database: trivy_db.Database | None

    def paths(self, service: str) -> dict[str, Path]:
        return {kind: self.reports / f"{service}.{kind}" for kind in ("json", "sarif", "txt", "cdx.json")}


def scan(manifest: Manifest, images: Mapping[str, BuiltImage], *, reports: Path) -> tuple[Verdict, ...]:
    """Scan the images one after another; `enforce` turns the verdicts into a failure.

    `reports`/scan gets SERVICE.json (everything), .sarif, .txt (what reaches the gate) and .cdx.json (the SBOM).
    Raises MissingTool without Trivy, ManifestError for a bad waiver, ScanBroken when the gate can't be trusted.
    """
    ignore_file, waived = waivers.load(manifest)
    cache = (manifest.state / "trivy").absolute()
    database = _database(manifest, cache)
    scanners = tuple(name for name in manifest.gates.scanners if name != "vuln" or database)
    if not scanners:
        message = "nothing can be scanned for: gates.scanners has only vuln, and there is no vulnerability database"
        raise ScanBroken(message, hint='set gates.db_repository, or add "secret" to gates.scanners')
    run = _Run(
        cache=cache,
        reports=(reports / "scan").absolute(),
        scanners=scanners,
        severity=manifest.gates.severity,
        ignore_file=ignore_file,
        database=database,
    )
    run.reports.mkdir(parents=True, exist_ok=True)
    for path in [path for service in images for path in run.paths(service).values()]:
        path.unlink(missing_ok=True)
    scanned = [_scan(run, image) for image in images.values()]
    if database:
        contents = {kind for _, report in scanned for kind in findings.contents(report)}
        for kind in trivy_db.prove(cache, database, contents):
            console.warn(f"no probe can prove that the vulnerability database knows {kind}")
    _report_waivers(waived, [used for _, report in scanned for used in findings.waived(report)], scanners)
    return tuple(verdict for verdict, _ in scanned)


def _database(manifest: Manifest, cache: Path) -> trivy_db.Database | None:
    if "vuln" in manifest.gates.scanners:
        return trivy_db.provide(cache, manifest.gates)
    console.warn("vulnerabilities were NOT checked: gates.scanners leaves out vuln")
    return None


def _scan(run: _Run, image: BuiltImage) -> tuple[Verdict, dict[str, Any]]:
    paths = run.paths(image.service)
    with console.waiting(f"scanning {image.service}"):
        report, notes = _analyse(run, image, paths["json"])
        refused = _convert(run, report, paths)
    found = list(findings.read(report))
    gated = sorted((finding for finding in found if finding.severity in run.severity), key=lambda finding: finding.rank)
    # The licenses of the distribution's packages refuse by Trivy's rules, not by ours.
    if refused and not gated and "license" not in run.scanners:
        message = f"{image.service}: Trivy refuses, and its report has nothing that this toolkit can read"
        raise ScanBroken(message, hint=f"look at {paths['txt']}: has the version of Trivy changed?")
    if report.get("Metadata", {}).get("OS", {}).get("EOSL"):
        notes.append("its distribution gets no security updates any more")
    for note in notes:
        console.warn(f"{image.service}: {note}")
    verdict = Verdict(
        service=image.service,
        reference=image.reference,
        vulnerabilities_checked=run.database is not None,
        database=run.database.updated.isoformat() if run.database else "",
        findings=findings.counts(found),
        refused=bool(gated),
        gated=tuple(gated),
        waived=len(findings.waived(report)),
        notes=tuple(notes),
        reports=paths,
    )
    return verdict, report


def _analyse(run: _Run, image: BuiltImage, output: Path) -> tuple[dict[str, Any], list[str]]:
    """Trivy's report on the image, of every severity, and what had to be left out."""
    arguments = [
        "image", *trivy_db.OFFLINE, "--skip-check-update", "--no-progress", "--format", "json", "--show-suppressed",
        "--scanners", ",".join(run.scanners), "--image-src", "remote" if image.pushed else "docker",
        "--ignorefile", str(run.ignore_file or ""), "--output", str(output), *insecure(image.reference),
    ]  # fmt: skip
    if of_configuration := [name for name in run.scanners if name in {"secret", "misconfig"}]:
        arguments += ["--image-config-scanners", ",".join(of_configuration)]
    left_out: list[str] = []
    tries = dict(_SECOND_TRIES)
    while True:
        try:
            trivy(run.cache, *arguments, image.reference, hint=f"is {image.reference} there? ./inv build makes it")
            break
        except ScanBroken as error:
            words = next((words for words in tries if words in error.output), None)
            if words is None:
                raise
            more, missed = tries.pop(words)
            arguments += more
            left_out += [missed] if missed else []
    report: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    scanned = report.get("Metadata", {}).get("RepoDigests") or []
    if image.reference not in scanned:
        other = ", ".join(scanned) or "an image without digest"
        raise ScanBroken(f"Trivy was given {image.reference} and scanned {other}")
    return report, left_out


def _convert(run: _Run, report: Mapping[str, Any], paths: Mapping[str, Path]) -> bool:
    """Write the other reports from the JSON one; whether Trivy itself would refuse the image."""
    common = ("convert", "--quiet", "--ignorefile", "")
    located = run.cache / "located.json"
    state.write(located, _located(report, paths["json"].stem))
    for kind, form, source in (("sarif", "sarif", located), ("cdx.json", "cyclonedx", paths["json"])):
        trivy(run.cache, *common, "--format", form, "--output", str(paths[kind]), str(source))
    outcome = trivy(
        run.cache, *common, "--format", "table", "--show-suppressed", "--scanners", ",".join(run.scanners),
        "--severity", ",".join(run.severity), "--exit-code", str(REFUSED),
        "--output", str(paths["txt"]), str(paths["json"]), ok_codes=(0, REFUSED),
    )  # fmt: skip
    return outcome.returncode == REFUSED


def _located(report: Mapping[str, Any], service: str) -> dict[str, Any]:
    """The report with the service's name where a finding in the image's configuration is located.

    Trivy puts the reference there, and crashes writing SARIF when that begins with an address and a port: it is no URI.
    """
    results = report.get("Results") or []
    name = report["ArtifactName"]
    return {
        **report,
        "Results": [{**result, "Target": service} if result.get("Target") == name else result for result in results],
    }


def _report_waivers(
    known: Sequence[waivers.Waiver], used: Sequence[tuple[str, str, str]], scanners: Iterable[str]
) -> None:
    today = datetime.now(UTC).date()
    for waiver in known:
        if waiver.is_expired(today):
            console.warn(f"the waiver of {waiver.id} expired on {waiver.expired_at}: its findings count again")
    for waiver in waivers.unused(known, used, [_KINDS[name] for name in scanners], today):
        console.warn(f"the waiver of {waiver.id} matches nothing in the images scanned: take it out")


def summary(verdict: Verdict) -> str:
    """The verdict in a few words, for a table."""
    unchecked = "" if verdict.vulnerabilities_checked else ", vulnerabilities NOT checked"
    return f"{'refused: ' + _counted(verdict) if verdict.refused else 'passed'}{unchecked}"


def _counted(verdict: Verdict) -> str:
    counts = findings.counts(list(verdict.gated))
    return ", ".join(f"{number} {severity}" for severity, number in counts.items() if number)


def show(verdicts: Sequence[Verdict]) -> None:
    """A table of the verdicts, and where the reports are."""
    rows = [
        (
            console.mark("fail" if verdict.refused else "ok" if verdict.vulnerabilities_checked else "warn"),
            verdict.service,
            *(str(verdict.findings[severity]) for severity in findings.SEVERITIES),
            str(verdict.waived),
            summary(verdict),
        )
        for verdict in verdicts
    ]
    console.table(("", "service", *(name.lower() for name in findings.SEVERITIES), "waived", "verdict"), rows)
    if verdicts:
        console.note(f"reports: {verdicts[0].reports['json'].parent}")


def enforce(verdicts: Sequence[Verdict]) -> None:
    """Raise ScanRejected when a verdict refuses, naming per service the counts, the worst findings and their fixes."""
    refused = [verdict for verdict in verdicts if verdict.refused]
    if not refused:
        return
    lines = [f"the scan refuses {len(refused)} of {len(verdicts)} images"]
    for verdict in refused:
        lines.append(f"  {verdict.service}: {_counted(verdict)}")
        lines += [f"    {finding}" for finding in verdict.gated[:_SHOWN]]
        if len(verdict.gated) > _SHOWN:
            lines.append(f"    … and {len(verdict.gated) - _SHOWN} more in {verdict.reports['txt']}")
    hint = "raise the versions, or waive with a date and a reason in the file of gates.ignore_file"
    raise ScanRejected("\n".join(lines), hint=hint)
