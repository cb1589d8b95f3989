"""The smoke gate: real requests to the services as they run, and one journey across them.

`./inv smoke` asks the stack that is up. A release starts its candidates in a sandbox and asks those.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from build import console
from build.config.manifest import Manifest
from build.config.select import chosen
from build.engine import ownership
from build.errors import SmokeFailed
from build.gates.protocol import Dependency, Released
from build.gates.smoke import checks, journey, summary
from build.gates.smoke.checks import CheckResult
from build.gates.verdict import GateVerdict
from build.images import store
from build.images.image import Image
from build.stack import evidence, sandbox, secrets, status
from build.stack import run as stack

_UP_SECONDS = 240

name = "smoke"
title = "smoke-test the candidates"
# The engine and Compose, which every build needs too: the doctor and the preflight examine them anyway.
dependencies: tuple[Dependency, ...] = ()


def run(manifest: Manifest, images: Mapping[str, Image], released: Released) -> GateVerdict:
    """Start the candidates in a sandbox, with released images of what they depend on, and run every check.

    Raises SmokeFailed when a container does not become healthy or a check fails.
    """
    references = {**released(), **{service: image.reference for service, image in images.items()}}
    reports = manifest.workspace.reports
    with sandbox.of(manifest, references.values()) as own:
        stack.up(own, references, list(images), timeout=_UP_SECONDS)
        running = status.running(own)
        results = _ask(own, list(images), running, travel=True, report=reports / "release-smoke.xml")
    for result in results:
        if not result.passed:
            console.note(f"{result.container}: {result.check}: {result.reason}", kind="fail")
    enforce(manifest, results)
    taken = [result for result in results if result.applies]
    for result in results:
        if result.note:
            console.note(f"{result.container}: {result.check}: {result.note}")
    console.note(f"{len(taken)} checks passed")
    return GateVerdict(verdict="passed", checks=len(taken))


def check(manifest: Manifest, services: Sequence[str] = ()) -> list[CheckResult]:
    """Check the services on the running stack; without names, all that have an image, and take the journey.

    Results go to .uc/reports/smoke.xml as well. Raises SmokeFailed when nothing runs, StackTaken when it is
    another checkout's, ManifestError for an unknown service.
    """
    ownership.require_stack(manifest)
    running = status.running(manifest)
    if not running:
        raise SmokeFailed("the stack is not running", hint="./inv up")
    selected = list(services) or [service for service in manifest.services if service in store.recorded(manifest)]
    for service in manifest.services:
        if service not in selected and not services:
            console.warn(f"{service} has no image and is not checked")
    report = manifest.workspace.reports / "smoke.xml"
    return _ask(manifest, chosen(manifest, selected), running, travel=not services, report=report)


def enforce(manifest: Manifest, results: Sequence[CheckResult]) -> None:
    """Raise SmokeFailed naming every failed check."""
    failed = [f"{result.container}: {result.check}" for result in results if not result.passed]
    if failed:
        hint = f"logs and inspect output are in {manifest.workspace.reports}"
        taken = sum(result.applies for result in results)
        raise SmokeFailed(f"{len(failed)} of {taken} checks failed: {', '.join(failed)}", hint=hint)


def _ask(
    manifest: Manifest, services: Sequence[str], running: Collection[str], *, travel: bool, report: Path
) -> list[CheckResult]:
    """Run the checks, and the journey if all its services run; after a failure keep evidence of every container."""
    absent = [name for name in journey.NEEDS if name not in running]
    wanted = travel and manifest.smoke.journey != "" and set(journey.NEEDS) <= manifest.containers().keys()
    addresses = {
        name: f"http://127.0.0.1:{settings.published}"
        for name, (_, settings) in manifest.containers().items()
        if name in running
    }
    journeys = [journey.run] if wanted and not absent else []
    results = checks.run(manifest, services, addresses, partial(secrets.value, manifest), journeys=journeys)
    if wanted and absent:
        results.append(journey.not_taken(f"not taken: {', '.join(absent)} not running"))
    checks.junit(results, report)
    console.summary(summary.markdown(results))
    if all(result.passed for result in results):
        evidence.forget(manifest, {result.container for result in results})
    else:
        for container in sorted({container.name for container in status.containers(manifest)}):
            evidence.keep(manifest, container, report.parent)
    return results
