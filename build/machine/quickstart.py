"""From a fresh machine to a smoke-tested stack: the steps in order are the tuple STEPS, at the foot."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from build import console, steps
from build.config.manifest import Manifest
from build.deploy import start as deploy
from build.engine import install, ownership
from build.errors import BuildError, ScanBroken, ScanRejected, SmokeFailed
from build.gates.scan import gate as scan
from build.gates.scan.verdict import described
from build.gates.smoke import gate as smoke
from build.gates.smoke import journey
from build.gates.smoke.checks import CheckResult
from build.images import build
from build.images.build import Built
from build.machine import prepare
from build.registry.client import ping
from build.sources import examine as sources
from build.stack import secret_folder, secrets
from build.steps import Skip, Step, Stop
from build.views import quickstart as view
from build.views import sources as sources_view


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """The results of the steps so far: `scans` and `smokes` by service, `problems` that did not stop the rest."""

    manifest: Manifest
    built: Built = field(default_factory=lambda: Built(version="", images={}, missing={}))
    scans: dict[str, str] = field(default_factory=dict)
    smokes: dict[str, str] = field(default_factory=dict)
    problems: tuple[BuildError, ...] = ()


def _engine(progress: Progress) -> Progress:
    versions = install.ensure(progress.manifest.tools, os.environ, yes=True, interactive=False)
    console.note(", ".join(f"{name} {version}" for name, version in versions.items()))
    ownership.require_stack(progress.manifest)  # minutes before the step that would be refused
    return progress


def _bases(progress: Progress) -> Progress:
    prepare.base_images(progress.manifest)
    return progress


def _sources(progress: Progress) -> Progress:
    examined = sources.examine(progress.manifest)
    console.note(sources_view.line(examined))
    for each in examined:
        for problem in each.problems:
            if problem.stops:
                console.warn(f"{each.key}: {problem.text}")
    return progress


def _registry(progress: Progress) -> Progress:
    settings = progress.manifest.registry
    if not settings.embedded:
        ping(progress.manifest)
        raise Skip(f"{settings.address} is not embedded, and it answers")
    prepare.registry(progress.manifest)
    return progress


def _build(progress: Progress) -> Progress:
    return replace(progress, built=build.build_images(progress.manifest, push=True))


def _scan(progress: Progress) -> Progress:
    images = progress.built.images
    if not images:
        raise Stop("no service could be built: there is nothing to scan, start or check")
    try:
        verdicts = scan.scan(progress.manifest, images)
    except ScanBroken as error:
        return replace(progress, scans=dict.fromkeys(images, "could not scan"), problems=(*progress.problems, error))
    scans = {verdict.service: described(verdict) for verdict in verdicts}
    for service, summary in scans.items():
        console.note(f"{service}: {summary}")
    try:
        scan.enforce(verdicts)
    except ScanRejected as error:
        return replace(progress, scans=scans, problems=(*progress.problems, error))
    return replace(progress, scans=scans)


def _secrets(progress: Progress) -> Progress:
    created = [name for name, outcome in secrets.initialise(progress.manifest).items() if outcome == "made"]
    if not created:
        raise Skip("every secret file exists")
    console.note(f"made {', '.join(created)} in {secret_folder.locate(progress.manifest)}")
    return progress


def _up(progress: Progress) -> Progress:
    for container in deploy.start(progress.manifest, list(progress.built.images)):
        console.note(f"{container.name}: {container.health or container.state}, {container.url}")
    return progress


def _smoke(progress: Progress) -> Progress:
    expected = {*progress.built.images, journey.SERVICE}
    results = [result for result in smoke.check(progress.manifest) if result.service in expected]
    for result in results:
        kind = "fail" if not result.passed else "ok" if result.applies else "skip"
        console.note(f"{result.container}: {result.check}  {result.reason or result.note}", kind=kind)
    smokes = {service: _summary(service, results) for service in progress.built.images}
    try:
        smoke.enforce(progress.manifest, results)
    except SmokeFailed as error:
        return replace(progress, smokes=smokes, problems=(*progress.problems, error))
    return replace(progress, smokes=smokes)


def _summary(service: str, results: Sequence[CheckResult]) -> str:
    failed = [result.check for result in results if result.service == service and not result.passed]
    return f"failed: {', '.join(failed)}" if failed else "passed"


def _built(progress: Progress) -> str:
    """The mark of the build: some services, or the push of all, may have failed."""
    return "fail" if progress.built.missing else "ok"


def _after(*kinds: type[BuildError]) -> Callable[[Progress], str]:
    """The mark of a step that leaves a problem of one of these kinds behind when it fails."""
    return lambda progress: "fail" if any(isinstance(each, kinds) for each in progress.problems) else "ok"


STEPS: tuple[Step[Progress], ...] = (
    Step("engine", "engine, buildx and Compose", _engine),
    Step("bases", "base images", _bases),
    Step("sources", "your own folders", _sources),
    Step("registry", "private registry", _registry),
    Step("build", "build and push all images", _build, _built),
    Step("scan", "scan what was pushed", _scan, _after(ScanRejected, ScanBroken)),
    Step("secrets", "runtime secrets", _secrets),
    Step("up", "start the stack", _up),
    Step("smoke", "smoke checks", _smoke, _after(SmokeFailed)),
)


def run(manifest: Manifest, *, json: bool = False, dry_run: bool = False) -> None:
    """Run STEPS and print the closing table, also after a problem that did not stop the run.

    Raises the first such problem (a refused scan, a failed check), or Incomplete if a service could not be built.
    """
    if dry_run:
        view.planned([step.title for step in STEPS], json=json)
        return
    done = steps.execute(STEPS, Progress(manifest=manifest))
    view.summary(manifest, done.built, done.scans, done.smokes, json=json)
    for problem in done.problems[1:]:
        console.error(str(problem), hint=problem.hint)
    if done.problems:
        raise done.problems[0]
    build.require_complete(done.built)
