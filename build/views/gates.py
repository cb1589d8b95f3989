"""What the gates say: a row for each scanned image, a row for each smoke check, and what either would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from build import console
from build.columns import Column
from build.config.manifest import Manifest
from build.config.select import chosen
from build.gates.scan import findings
from build.gates.scan.verdict import ImageVerdict, described
from build.gates.smoke.checks import CheckResult
from build.images.image import Image, short


def scan(verdicts: Sequence[ImageVerdict], *, json: bool = False) -> None:
    """Print the verdict on each image, with its findings by severity, and where the reports are."""
    if json:
        console.result(verdicts)
        return
    rows = [
        (
            console.mark("fail" if verdict.refused else "ok" if verdict.vulnerabilities_checked else "warn"),
            verdict.service,
            *(str(verdict.findings[severity]) for severity in findings.SEVERITIES),
            str(verdict.waived),
            described(verdict),
        )
        for verdict in verdicts
    ]
    console.table(("", "service", *(name.lower() for name in findings.SEVERITIES), "waived", "verdict"), rows)
    if verdicts:
        console.note(f"reports: {verdicts[0].reports['json'].parent}")


def planned_scan(images: Mapping[str, Image]) -> None:
    """Print which images `scan` would scan."""
    planned = {name: image.reference for name, image in images.items()}
    if console.collects():
        console.result(planned)
    else:
        rows = [(name, image.name, short(image.digest)) for name, image in images.items()]
        console.table(("service", Column("would scan", yields=1), "digest"), rows)


def smoke(results: Sequence[CheckResult], *, json: bool = False) -> None:
    """Print the result of each check, with its time and the reason of a failure."""
    if json:
        console.result(results)
        return
    rows = [
        (
            console.mark("fail" if not result.passed else "ok" if result.applies else "skip"),
            result.container,
            result.check,
            f"{result.seconds * 1000:.0f} ms",
            result.reason or result.note,
        )
        for result in results
    ]
    console.table(("", "container", "check", "time", Column("result", yields=1, prose=True)), rows)


def planned_checks(manifest: Manifest, services: Sequence[str]) -> None:
    """Print the requests that `smoke` would send. Raises ManifestError for an unknown service."""
    names = chosen(manifest, services)
    columns = ("container", "check", "kind", "request")
    rows = [
        (container, check.name, check.kind, f"{check.method} http://127.0.0.1:{settings.published}{check.path}")
        for container, (service, settings) in manifest.containers().items()
        if service in names
        for check in manifest.services[service].smoke
    ]
    if console.collects():
        console.result([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        console.table((*columns[:3], Column(columns[3], yields=1, prose=True)), rows)
