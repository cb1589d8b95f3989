"""The gate on the built images: Trivy on their exact digests, and a verdict for each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from build import console
from build.config.manifest import Manifest
from build.errors import ScanBroken, ScanRejected
from build.gates.scan import database as gates_scan_database
from build.gates.scan import findings, waivers
from build.gates.scan.findings import Finding
from build.gates.scan.image import Scanned, Settings, analyse, convert
from build.images.image import Image

_SHOWN = 5
_KINDS = {"vuln": "vulnerability", "secret": "secret", "misconfig": "misconfiguration", "license": "license"}


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


def scan(manifest: Manifest, images: Mapping[str, Image], *, reports: Path) -> tuple[Verdict, ...]:
    """Scan the images one after another; `enforce` turns the verdicts into a failure.

    `reports`/scan gets SERVICE.json (everything), .sarif, .txt (what reaches the gate) and .cdx.json (the SBOM).
    Raises MissingTool without Trivy, ManifestError for a bad waiver, ScanBroken when the gate can't be trusted.
    """
    ignore_file, waived = waivers.load(manifest)
    cache = manifest.workspace.trivy
    database = _database(manifest, cache)
    scanners = tuple(name for name in manifest.gates.scanners if name != "vuln" or database)
    if not scanners:
        message = "nothing can be scanned for: gates.scanners has only vuln, and there is no vulnerability database"
        raise ScanBroken(message, hint='set gates.db_repository, or add "secret" to gates.scanners')
    settings = Settings(
        cache=cache,
        reports=(reports / "scan").absolute(),
        scanners=scanners,
        severity=manifest.gates.severity,
        ignore_file=ignore_file,
        database=database,
        ca_file=(manifest.root / manifest.registry.ca_file).absolute() if manifest.registry.ca_file else None,
    )
    settings.reports.mkdir(parents=True, exist_ok=True)
    for path in [path for service in images for path in settings.paths(service).values()]:
        path.unlink(missing_ok=True)
    scanned = [analyse(settings, image) for image in images.values()]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        refusals = list(pool.map(partial(convert, settings), scanned))
    if database:
        contents = {kind for one in scanned for kind in findings.contents(one.report)}
        for kind in gates_scan_database.prove(cache, database, contents):
            console.warn(f"no probe can prove that the vulnerability database knows {kind}")
    _report_waivers(waived, [used for one in scanned for used in findings.waived(one.report)], scanners)
    return tuple(_verdict(settings, one, refused=refused) for one, refused in zip(scanned, refusals, strict=True))


def _database(manifest: Manifest, cache: Path) -> gates_scan_database.Database | None:
    if "vuln" in manifest.gates.scanners:
        return gates_scan_database.provide(cache, manifest.gates)
    console.warn("vulnerabilities were NOT checked: gates.scanners leaves out vuln")
    return None


def _verdict(settings: Settings, scanned: Scanned, *, refused: bool) -> Verdict:
    service, report, notes = scanned.image.service, scanned.report, list(scanned.left_out)
    found = list(findings.read(report))
    gated = sorted((one for one in found if one.severity in settings.severity), key=lambda one: one.rank)
    # The licenses of the distribution's packages refuse by Trivy's rules, not by ours.
    if refused and not gated and "license" not in settings.scanners:
        message = f"{service}: Trivy refuses, and its report has nothing that this toolkit can read"
        raise ScanBroken(message, hint=f"look at {settings.paths(service)['txt']}: has the version of Trivy changed?")
    if report.get("Metadata", {}).get("OS", {}).get("EOSL"):
        notes.append("its distribution gets no security updates any more")
    for note in notes:
        console.warn(f"{service}: {note}")
    return Verdict(
        service=service,
        reference=scanned.image.reference,
        vulnerabilities_checked=settings.database is not None,
        database=settings.database.updated.isoformat() if settings.database else "",
        findings=findings.counts(found),
        refused=bool(gated),
        gated=tuple(gated),
        waived=len(findings.waived(report)),
        notes=tuple(notes),
        reports=settings.paths(service),
    )


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
    secrets = any(finding.kind == "secret" for verdict in refused for finding in verdict.gated)
    remedy = "take the secrets out and renew them; " if secrets else ""
    hint = f"{remedy}raise the versions, or waive with a date and a reason in the file of gates.ignore_file"
    raise ScanRejected("\n".join(lines), hint=hint)
