"""The gates of a release on its candidates: scan and smoke, both on what the registry holds, each with a verdict."""

from __future__ import annotations

from collections.abc import Mapping

from build import console, json_file
from build.config.manifest import Manifest
from build.errors import ScanBroken, SmokeFailed
from build.gates.scan import findings
from build.gates.smoke import checks, journey
from build.gates.verdict import GateVerdict
from build.images.image import Image
from build.stack import run, sandbox

_UP_SECONDS = 240


def scan(manifest: Manifest, images: Mapping[str, Image]) -> GateVerdict:
    """Scan the candidates. Raises ScanRejected for findings at the gate, ScanBroken when the scan can't be trusted."""
    from build.gates.scan import gate

    reports = manifest.workspace.reports
    verdicts = gate.scan(manifest, images, reports=reports)
    checked = all(verdict.vulnerabilities_checked for verdict in verdicts)
    if not checked and manifest.gates.require_vulnerabilities:
        message = "vulnerabilities were not checked, and gates.require_vulnerabilities wants it"
        raise ScanBroken(message, hint="set [gates] db_repository to a registry that has trivy-db")
    gate.enforce(verdicts)
    waived = {
        identifier
        for verdict in verdicts
        for _, identifier, _ in findings.waived(json_file.read(verdict.reports["json"]))
    }
    return GateVerdict(
        verdict="passed",
        checks=len(verdicts),
        vulnerabilities_checked=checked,
        database=next((verdict.database for verdict in verdicts if verdict.database), ""),
        waivers=tuple(sorted(waived)),
        notes=tuple(f"{verdict.service}: {note}" for verdict in verdicts for note in verdict.notes),
    )


def ask(manifest: Manifest, images: Mapping[str, Image], beside: Mapping[str, str]) -> GateVerdict:
    """Start the candidates as a stack of their own, ask every check, take it down. Raises SmokeFailed.

    `beside` are released images of the other services (service → name@digest), started where a candidate needs them.
    """
    with sandbox.of(manifest) as own:
        references = {**beside, **{name: image.reference for name, image in images.items()}}
        run.up(own, references, list(images), timeout=_UP_SECONDS)
        running = {one.name for one in run.status(own) if one.state == "running"}
        told = [journey.tell] if running.issuperset(journey.NEEDS) else []
        results = checks.run(own, list(images), running, stories=told)
        reports = manifest.workspace.reports
        checks.junit(results, reports / "release-smoke.xml")
        failed = [one for one in results if not one.passed]
        if failed:
            for container in sorted({one.name for one in run.status(own)}):
                run.keep_evidence(own, container, reports)
    for one in failed:
        console.note(f"{one.container}: {one.check}: {one.reason}")
    if failed:
        message = f"{len(failed)} of {len(results)} checks failed; nothing was published"
        raise SmokeFailed(message, hint=f"logs and inspect output are in {reports}")
    console.note(f"{len(results)} checks passed")
    return GateVerdict(verdict="passed", checks=len(results))
