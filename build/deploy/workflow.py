"""Joins the single-purpose modules into what a task does; L4, so it may import everything below.

The order that matters for a build stands in `build_images`: commit, bases, fingerprints, ONE bake for what changed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from build import console
from build.config.manifest import Manifest
from build.config.select import chosen
from build.errors import Incomplete, ScanBroken, SmokeFailed
from build.gates.smoke import checks, journey
from build.git import history as git_history
from build.git.versions import History, snapshot
from build.images import bases, build, definition, store
from build.images.build import BuildResult
from build.images.image import Image
from build.images.push import push as pushed
from build.registry import embedded
from build.stack import run

if TYPE_CHECKING:
    from build.gates.scan.gate import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """The outcome of a build: the images, those not built again, and why a service has none.

    `version` is that of all services; "" in independent mode, where each image's tag is its own.
    """

    version: str
    images: dict[str, Image]
    missing: dict[str, str]
    reused: tuple[str, ...] = ()


def buildable(
    manifest: Manifest, services: Sequence[str]
) -> tuple[dict[str, bases.Resolved], list[str], dict[str, str]]:
    """Resolved bases, the services that can be built on them, and the reason for each that can't."""
    needed = [key for name in services for key in manifest.services[name].bases]
    resolved, reasons = bases.resolve(manifest, needed)
    missing: dict[str, str] = {}
    for name in services:
        for key in manifest.services[name].bases:
            if key in reasons:
                missing[name] = f"base {manifest.bases.images[key].reference}: {reasons[key]}"
    return resolved, [name for name in services if name not in missing], missing


def snapshots(manifest: Manifest, git: History) -> dict[str, str]:
    """The version of every service as it is checked out. Raises RepositoryError in a shallow clone."""
    git_history.require_full(git)
    return {name: snapshot(git, git.of(name), manifest.project.version) for name in manifest.services}


def plan_build(manifest: Manifest, services: Sequence[str]) -> dict[str, Any]:
    """The bake definition of a build; nothing is built, and a base that is not resolved yet has its upstream name."""
    names = chosen(manifest, services)
    git = git_history.read(manifest)
    planned = bases.planned(manifest, manifest.bases.images)
    return definition.definition(manifest, git, snapshots(manifest, git), planned, names)


def build_images(
    manifest: Manifest,
    services: Sequence[str] = (),
    *,
    push: bool = False,
    no_cache: bool = False,
    progress: str = "auto",
) -> Built:
    """Build the services that changed in one bake invocation and record their digests; the others keep theirs.

    Raises MissingTool, RepositoryError, ManifestError, RegistryError; a service that can't be built is in `missing`.
    """
    names = chosen(manifest, services)
    git = git_history.read(manifest)
    versions = snapshots(manifest, git)
    if git.strays:
        console.warn(f"not in git, and still in the images: {', '.join(git.strays)}")
    if push:
        embedded.ping(manifest)
        embedded.login(manifest)
    resolved, able, missing = buildable(manifest, names)
    model = definition.definition(manifest, git, versions, resolved, able)
    current = definition.fingerprints(model["target"], resolved, able)
    reused = {} if no_cache else store.unchanged(manifest, current)
    if push:
        reused = {name: pushed(manifest, image) for name, image in reused.items()}
        store.record(manifest, reused)
    changed = {name: mark for name, mark in current.items() if name not in reused}
    result = BuildResult(images={}, failed={})
    if changed:
        result = build.build(
            manifest, model, versions, resolved, changed, push=push, no_cache=no_cache, progress=progress
        )
    _write_images_env(manifest)
    found = reused | result.images
    return Built(
        version=versions[names[0]] if manifest.release.mode == "lockstep" else "",
        images={name: found[name] for name in names if name in found},
        missing=missing | result.failed,
        reused=tuple(reused),
    )


def _write_images_env(manifest: Manifest) -> None:
    """The variables of docker/compose.yaml: `docker compose --env-file .uc/images.env -f docker/compose.yaml up`."""
    lines = [
        f"{name.upper().replace('-', '_')}_IMAGE={image.reference}" for name, image in store.recorded(manifest).items()
    ]
    (manifest.workspace.images_env).write_text("\n".join(lines) + "\n", encoding="utf-8")


def human_size(size: int) -> str:
    """Bytes as whole megabytes (10^6)."""
    return f"{size / 1e6:.0f} MB"


def require_complete(missing: dict[str, str], done: str) -> None:
    """Raise Incomplete naming every service in `missing`."""
    if missing:
        raise Incomplete(f"not {done}: " + "; ".join(f"{name} ({reason})" for name, reason in missing.items()))


def present_images(manifest: Manifest, services: Sequence[str] = ()) -> dict[str, Image]:
    """The recorded images of the services. Raises Incomplete when none of them was built yet."""
    names = chosen(manifest, services)
    found = {name: image for name, image in store.recorded(manifest).items() if name in names}
    if not found:
        raise Incomplete(f"no image yet of {', '.join(names)}", hint="./inv build")
    for name in names:
        if name not in found:
            console.warn(f"{name} has no image and is left out")
    return found


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
        embedded.login(manifest)
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
