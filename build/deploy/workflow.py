"""Joins the single-purpose modules into what a task does."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from build import console
from build.config.manifest import Manifest
from build.config.select import chosen
from build.errors import ScanBroken, SmokeFailed
from build.gates.smoke import checks, journey
from build.images import store
from build.images.store import present_images
from build.registry.credentials import login
from build.stack import run

if TYPE_CHECKING:
    from build.gates.scan.gate import Verdict


def human_size(size: int | None) -> str:
    """Bytes as whole megabytes (10^6); "" when the size is not known."""
    return "" if size is None else f"{size / 1e6:.0f} MB"


def run_scan(manifest: Manifest, services: Sequence[str] = ()) -> tuple[Verdict, ...]:
    """Scan the recorded digests; verdicts in manifest order. Raises ScanBroken when the scan could not be made."""
    from build.gates.scan import gate

    verdicts = gate.scan(manifest, present_images(manifest, services), reports=manifest.workspace.reports)
    unchecked = [verdict.service for verdict in verdicts if not verdict.vulnerabilities_checked]
    if unchecked and manifest.gates.require_vulnerabilities:
        message = (
            f"vulnerabilities were not checked, and gates.require_vulnerabilities wants it: {', '.join(unchecked)}"
        )
        raise ScanBroken(message, hint="set [gates] db_repository to a registry that has trivy-db")
    return verdicts


def runnable(
    manifest: Manifest, services: Sequence[str] = (), *, release: str = ""
) -> tuple[dict[str, str], list[str]]:
    """What may run (service → name@digest), and which of it is wanted: what was built here, or a released set.

    Raises Incomplete when nothing is there yet, ReleaseRefused for a release that is not there or was withdrawn.
    """
    if release:
        from build.release import catalog

        found = catalog.references(manifest, release, chosen(manifest, services))
        return found, [name for name in chosen(manifest, services) if name in found]
    wanted = present_images(manifest, services)
    return {name: image.reference for name, image in store.recorded(manifest).items()}, list(wanted)


def start(
    manifest: Manifest, services: Sequence[str] = (), *, release: str = "", fluentd: bool = False
) -> list[run.Running]:
    """Bring up the services named (default: all that have an image), and what they depend on; wait for health."""
    if release:
        login(manifest)
    found, wanted = runnable(manifest, services, release=release)
    return run.up(manifest, found, wanted, fluentd=fluentd)


def run_smoke(manifest: Manifest, services: Sequence[str] = ()) -> list[checks.Result]:
    """Smoke-check the running stack; on failure the evidence of every container is kept in .uc/reports.

    Raises SmokeFailed when nothing runs.
    """
    running = {one.name for one in run.status(manifest) if one.state == "running"}
    if not running:
        raise SmokeFailed("the stack is not running", hint="./inv up")
    names = list(services) or [name for name in manifest.services if name in store.recorded(manifest)]
    for name in manifest.services:
        if name not in names and not services:
            console.warn(f"{name} has no image and is not checked")
    told = [journey.tell] if not services and running.issuperset(journey.NEEDS) else []
    results = checks.run(manifest, chosen(manifest, names), running, stories=told)
    reports = manifest.workspace.reports
    checks.junit(results, reports / "smoke.xml")
    if any(not one.passed for one in results):
        for container in {one.name for one in run.status(manifest)}:
            run.keep_evidence(manifest, container, reports)
    return results


def require_smoke(manifest: Manifest, results: Sequence[checks.Result]) -> None:
    """Raise SmokeFailed naming every failed check."""
    failed = [f"{one.container}: {one.check}" for one in results if not one.passed]
    if failed:
        hint = f"logs and inspect output are in {manifest.workspace.reports}"
        raise SmokeFailed(f"{len(failed)} of {len(results)} checks failed: {', '.join(failed)}", hint=hint)


def as_json(value: Any) -> Any:
    """Dataclasses, also inside lists and tables, as plain data."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return value
