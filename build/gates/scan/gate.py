"""The scan gate: Trivy on the exact digests of the images, and a verdict on each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from build import console, json_file
from build.config.manifest import Manifest
from build.errors import ScanBroken, ScanRejected
from build.gates.protocol import Dependency, Released
from build.gates.scan import database, debian, findings, gitlab, proof, summary, trivy, vendored, vex, waivers
from build.gates.scan.database import Absent, Database
from build.gates.scan.debian import Compared
from build.gates.scan.image import Scanned, Settings, analyse, convert
from build.gates.scan.verdict import ImageVerdict, counted
from build.gates.verdict import GateVerdict
from build.images.image import Image
from build.parallel import at_once

_SHOWN = 5
_KINDS = {"vuln": "vulnerability", "secret": "secret", "misconfig": "misconfiguration", "license": "license"}

name = "scan"
title = "scan the candidates"
dependencies: tuple[Dependency, ...] = (
    Dependency(name="Trivy", examine=trivy.examine, require=trivy.require),
    Dependency(name="vulnerability database", examine=database.examine, require=database.require),
    Dependency(name="Debian's security updates", examine=debian.examine, require=debian.require),
)


def run(manifest: Manifest, images: Mapping[str, Image], _released: Released) -> GateVerdict:
    """Scan the candidates. Raises ScanRejected for findings at the gate, and what `scan` raises."""
    verdicts = scan(manifest, images, needed=True)
    enforce(verdicts)
    checked = all(verdict.vulnerabilities_checked for verdict in verdicts)
    compared = [verdict.security for verdict in verdicts]
    return GateVerdict(
        verdict="passed",
        checks=len(verdicts),
        vulnerabilities_checked=checked,
        database=next((verdict.database for verdict in verdicts if verdict.database), ""),
        waivers=tuple(sorted({identifier for verdict in verdicts for identifier in verdict.waivers})),
        notes=(
            *(f"{verdict.service}: {note}" for verdict in verdicts for note in verdict.notes),
            *_uncompared(verdicts),
        ),
        database_reference=next((verdict.database_reference for verdict in verdicts if verdict.database_reference), ""),
        unchecked_by="" if checked else "setting",
        findings={verdict.service: verdict.findings for verdict in verdicts},
        vex=tuple(sorted({identifier for verdict in verdicts for identifier in verdict.vex})),
        vex_documents={document.name: document.digest for document in vex.load(manifest)} if checked else {},
        security_suites=tuple(sorted({f"{known.suite} of {known.date}" for known in compared if known.date})),
        outdated={verdict.service: verdict.security.outdated for verdict in verdicts if verdict.security.outdated},
    )


def without_vulnerabilities(manifest: Manifest) -> Manifest:
    """The manifest of a release for which the caller has said that vulnerabilities need not be checked."""
    scanners = tuple(scanner for scanner in manifest.gates.scanners if scanner != "vuln")
    return replace(manifest, gates=replace(manifest.gates, scanners=scanners, require_vulnerabilities=False))


def bills_of_materials(manifest: Manifest, services: Iterable[str]) -> dict[str, bytes]:
    """The bills of materials (CycloneDX) that the last scan wrote, by service."""
    reports = manifest.workspace.reports / "scan"
    return {service: (reports / f"{service}.cdx.json").read_bytes() for service in services}


def scan(
    manifest: Manifest, images: Mapping[str, Image], *, needed: bool = False, bill: bool = True
) -> tuple[ImageVerdict, ...]:
    """Scan the images one by one and return their verdicts; `enforce` turns refusals into a failure.

    .uc/reports/scan gets SERVICE.json (everything), .sarif, .txt (what reaches the gate) and .cdx.json (the SBOM), and
    GitLab's report of them all. Without `bill` there is no SBOM: what a release has vendored is not in this checkout.
    Raises MissingTool without Trivy, ManifestError for a bad waiver, ScanBroken when the scan can't be trusted or omits
    the vulnerabilities that gates.require_vulnerabilities demands, or that are `needed` unless it says otherwise.
    """
    started = datetime.now(UTC)
    settings, known, absent = _prepare(manifest, images, bill=bill)
    every = [path for service in images for path in settings.paths(service).values()]
    for path in (*every, settings.reports / gitlab.FILE):
        path.unlink(missing_ok=True)
    scanned = [analyse(settings, image) for image in images.values()]
    refusals = at_once(partial(convert, settings), scanned)
    if settings.database:
        contents = {kind for image in scanned for kind in findings.contents(image.report)}
        for kind in proof.prove(settings.scanner, settings.database.reference, contents):
            console.warn(f"no probe can prove that the vulnerability database knows {kind}")
    report = gitlab.report(scanned, started=started, ended=datetime.now(UTC))
    json_file.write(settings.reports / gitlab.FILE, report)
    _report_waivers(known, [used for image in scanned for used in findings.waived(image.report)], settings.scanners)
    if settings.database:
        for document, unused in vex.unused(
            settings.vex, [used for image in scanned for used in findings.stated(image.report)]
        ):
            console.warn(
                f"{document.name}: its statement on {unused.vulnerability} matches nothing in the scanned images"
            )
    verdicts = tuple(
        _verdict(settings, image, debian.compare(manifest, image.report), refused=refused)
        for image, refused in zip(scanned, refusals, strict=True)
    )
    verdicts = _with_security(manifest, verdicts)
    console.summary(summary.markdown(verdicts))
    if absent and database.is_required(manifest.gates, release=needed):
        message = f"{database.UNCHECKED}, which is required here: {absent.reason}"
        raise ScanBroken(message, hint=database.MIRROR)
    return verdicts


def _prepare(
    manifest: Manifest, services: Iterable[str], *, bill: bool
) -> tuple[Settings, tuple[waivers.Waiver, ...], Absent | None]:
    """Read the waivers and the locks, fetch the database and make the folder of the reports."""
    waivers_file, known = waivers.load(manifest)
    documents = vex.load(manifest)
    locked = {service: vendored.load(manifest, service) for service in services} if bill else None
    provided = database.provide(manifest)
    absent = provided if isinstance(provided, Absent) else None
    if absent:
        console.warn(f"{database.UNCHECKED}: {absent.reason}")
    scanners = tuple(scanner for scanner in manifest.gates.scanners if scanner != "vuln" or not absent)
    if not scanners:
        message = "there is nothing to scan for: gates.scanners has only vuln, and there is no vulnerability database"
        raise ScanBroken(message, hint='set gates.db_repository, or add "secret" to gates.scanners')
    settings = Settings(
        scanner=trivy.Scanner.of(manifest),
        reports=(manifest.workspace.reports / "scan").absolute(),
        scanners=scanners,
        severity=manifest.gates.severity,
        waivers_file=waivers_file,
        database=provided if isinstance(provided, Database) else None,
        vendored=locked,
        vex=documents,
        ca_file=(manifest.root / manifest.registry.ca_file).absolute() if manifest.registry.ca_file else None,
    )
    settings.reports.mkdir(parents=True, exist_ok=True)
    return settings, known, absent


def _with_security(manifest: Manifest, verdicts: Sequence[ImageVerdict]) -> tuple[ImageVerdict, ...]:
    """The verdicts, refused for outdated packages where that is wanted; what could not be compared is said once."""
    for problem in _uncompared(verdicts):
        console.warn(problem)
    for verdict in verdicts:
        if verdict.security.outdated:
            more = (
                f" and {len(verdict.security.outdated) - _SHOWN} more"
                if len(verdict.security.outdated) > _SHOWN
                else ""
            )
            console.warn(
                f"{verdict.service}: {verdict.security}: {'; '.join(verdict.security.outdated[:_SHOWN])}{more}"
            )
    if manifest.gates.debian_security != "refuse":
        return tuple(verdicts)
    for verdict in verdicts:
        if verdict.security.problem:
            raise debian.uncompared(verdict.security)
    return tuple(replace(verdict, refused=verdict.refused or bool(verdict.security.outdated)) for verdict in verdicts)


def _uncompared(verdicts: Sequence[ImageVerdict]) -> list[str]:
    problems = [(verdict.security.suite, verdict.security.problem) for verdict in verdicts if verdict.security.problem]
    return [f"packages were NOT compared with {suite}: {problem}" for suite, problem in dict.fromkeys(problems)]


def _verdict(settings: Settings, scanned: Scanned, security: Compared, *, refused: bool) -> ImageVerdict:
    service, report, notes = scanned.image.service, scanned.report, list(scanned.left_out)
    every = list(findings.read(report))
    gated = sorted((finding for finding in every if finding.severity in settings.severity), key=lambda each: each.rank)
    # Trivy refuses for the licenses of the distribution's packages; this gate does not.
    if refused and not gated and "license" not in settings.scanners:
        message = f"{service}: Trivy refuses, and its report has nothing that this toolkit can read"
        raise ScanBroken(message, hint=f"look at {settings.paths(service)['txt']}: has the version of Trivy changed?")
    if report.get("Metadata", {}).get("OS", {}).get("EOSL"):
        notes.append("its distribution no longer gets security updates")
    for note in notes:
        console.warn(f"{service}: {note}")
    waived, stated = findings.waived(report), findings.stated(report)
    return ImageVerdict(
        service=service,
        reference=scanned.image.reference,
        vulnerabilities_checked=settings.database is not None,
        database=settings.database.updated.isoformat() if settings.database else "",
        database_reference=settings.database.reference if settings.database else "",
        findings=findings.counts(every),
        refused=bool(gated),
        gated=tuple(gated),
        waived=len(waived) + len(stated),
        waivers=tuple(sorted({identifier for _, identifier, _ in waived})),
        vex=tuple(sorted({identifier for identifier, _ in stated})),
        security=security,
        notes=tuple(notes),
        reports={kind: path for kind, path in settings.paths(service).items() if path.exists()},
    )


def _report_waivers(
    known: Sequence[waivers.Waiver], used: Sequence[tuple[str, str, str]], scanners: Iterable[str]
) -> None:
    today = datetime.now(UTC).date()
    for waiver in known:
        if waiver.is_expired(today):
            console.warn(f"the waiver of {waiver.id} expired on {waiver.expired_at}: its findings count again")
    for waiver in waivers.unused(known, used, [_KINDS[scanner] for scanner in scanners], today):
        console.warn(f"the waiver of {waiver.id} matches nothing in the scanned images: remove it")


def enforce(verdicts: Sequence[ImageVerdict]) -> None:
    """Raise ScanRejected for refused images, with the counts, the worst findings and their fixes of each service."""
    refused = [verdict for verdict in verdicts if verdict.refused]
    if not refused:
        return
    lines = [f"the scan refuses {len(refused)} of {len(verdicts)} images"]
    for verdict in refused:
        lines.append(
            f"  {verdict.service}: {', '.join(part for part in (counted(verdict), str(verdict.security)) if part)}"
        )
        lines += [f"    {finding}" for finding in verdict.gated[:_SHOWN]]
        if len(verdict.gated) > _SHOWN:
            lines.append(f"    … and {len(verdict.gated) - _SHOWN} more in {verdict.reports['txt']}")
    secrets = any(finding.kind == "secret" for verdict in refused for finding in verdict.gated)
    remedy = "remove the secrets and renew them; " if secrets else ""
    hint = f"{remedy}upgrade the packages, or add a waiver with a date and a reason to the file of gates.waivers_file"
    raise ScanRejected("\n".join(lines), hint=hint)
