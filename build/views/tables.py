"""Results as people and pipelines read them: a table, or with as_json one JSON document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from build import console
from build.config.manifest import Manifest
from build.config.select import chosen
from build.deploy.workflow import as_json, human_size, runnable
from build.gates.smoke.checks import Result
from build.images.bases import Resolved
from build.images.build import Built
from build.images.image import Image
from build.stack import compose, run


def built(outcome: Built, *, json: bool) -> None:
    """A build: one row a service, also for those that have no image."""
    if json:
        console.result(as_json(outcome))
        return
    rows = []
    for name, image in outcome.images.items():
        how = "unchanged" if name in outcome.reused else "built"
        shown = f"{image.name}:{image.tag}"
        rows.append((console.mark("ok"), name, shown, human_size(image.size), image.digest[:19], how, _sources(image)))
    for name, reason in outcome.missing.items():
        rows.append((console.mark("fail"), name, "not built", "", "", "", reason))
    console.table(("", "service", "image", "size", "digest", "", "base"), rows)


def _sources(image: Image) -> str:
    return ", ".join(f"{key}: {source}" for key, source in image.bases.items())


def bases(found: Mapping[str, Resolved], reasons: Mapping[str, str], *, json: bool) -> None:
    """Base images: where each one comes from, or why it can't be had."""
    if json:
        console.result({"bases": as_json(dict(found)), "unavailable": dict(reasons)})
        return
    rows = [
        (
            console.mark("ok"),
            base.reference,
            base.source,
            base.context.removeprefix("docker-image://"),
            base.digest[:19],
        )
        for base in found.values()
    ]
    rows += [(console.mark("fail"), key, "unavailable", reason, "") for key, reason in reasons.items()]
    console.table(("", "base", "source", "image", "digest"), rows)


def running(containers: Sequence[run.Running], *, json: bool) -> None:
    """Containers: state, health, digest, URL."""
    if json:
        console.result(as_json(list(containers)))
        return
    rows = [
        (
            console.mark("ok" if one.state == "running" and one.health in {"healthy", ""} else "fail"),
            one.name,
            one.state,
            one.health,
            one.image.rpartition("@")[2][:19],
            one.url,
        )
        for one in containers
    ]
    console.table(("", "container", "state", "health", "digest", "url"), rows)


def smoke(results: Sequence[Result], *, json: bool) -> None:
    """Smoke checks: what was asked of which container, and why it failed."""
    if json:
        console.result(as_json(list(results)))
        return
    rows = [
        (
            console.mark("ok" if one.passed else "fail"),
            one.container,
            one.check,
            f"{one.seconds * 1000:.0f} ms",
            one.reason,
        )
        for one in results
    ]
    console.table(("", "container", "check", "time", "reason"), rows)


def planned_start(manifest: Manifest, services: Sequence[str], *, release: str) -> None:
    """The Compose file that `up` would use."""
    found, wanted = runnable(manifest, services, release=release)
    images = {name: found[name] for name in wanted}
    model = compose.stack(manifest, images, secrets=manifest.workspace.secrets)
    console.text(compose.render(model, "What `./inv up` would start."))


def planned_checks(manifest: Manifest, services: Sequence[str]) -> None:
    """The checks that `smoke` would make."""
    names = chosen(manifest, services)
    rows = [
        (container, check.name, check.kind, f"{check.method} http://127.0.0.1:{settings.port}{check.path}")
        for container, (service, settings) in manifest.containers().items()
        if service in names
        for check in manifest.services[service].smoke
    ]
    console.table(("container", "check", "kind", "request"), rows)


def quickstart(
    manifest: Manifest, outcome: Built, scans: Mapping[str, str], smokes: Mapping[str, str], *, json: bool
) -> None:
    """The closing table: service, image, size, digest, URL of its first container, scan, smoke."""
    urls: dict[str, str] = {}
    for service, container in manifest.containers().values():
        urls.setdefault(service, f"http://127.0.0.1:{container.port}")
    if json:
        images = {name: as_json(image) for name, image in outcome.images.items()}
        console.result({"images": images, "urls": urls, "scan": scans, "smoke": smokes, "missing": outcome.missing})
        return
    rows = []
    for name in manifest.services:
        image = outcome.images.get(name)
        if image is None:
            rows.append((console.mark("fail"), name, "not built", "", "", "", "", outcome.missing.get(name, "")))
            continue
        good = smokes.get(name) == "passed" and not scans.get(name, "").startswith("refused")
        rows.append(
            (
                console.mark("ok" if good else "fail"),
                name,
                f"{image.name}:{image.tag}",
                human_size(image.size),
                image.digest[:19],
                urls[name],
                scans.get(name, "not scanned"),
                smokes.get(name, "not run"),
            )
        )
    console.table(("", "service", "image", "size", "digest", "url", "scan", "smoke"), rows)
