"""The set that a release is on a target: its specs, with images as the target's machines see the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from build.config.deploy import TargetSettings
from build.config.manifest import Manifest
from build.config.select import chosen
from build.deploy import formats
from build.deploy.released import ReleasedSet
from build.deploy.target import DeployedSet, Problem, Target
from build.engine.remote import Engine
from build.errors import DeployRefused
from build.stack import model, secret_folder
from build.stack.model import Site


def of_release(
    manifest: Manifest, target: Target, released: ReleasedSet, current: DeployedSet | None, services: Sequence[str]
) -> DeployedSet:
    """The set to deploy: the release's services, and with `services` only those; the others stay as they are.

    Raises DeployRefused for a source that the target's settings lack, and what rendering raises.
    """
    chosen(manifest, services)  # an unknown name
    images = {name: image for name, image in released.images.items() if name in manifest.services}
    if services:
        images = {name: image for name, image in images.items() if name in services}
    before = current if services else None
    staying = {name: spec for name, spec in before.specs.items() if spec.service not in images} if before else {}
    references = {
        name: _seen_by(target.settings, manifest.registry.address, image.reference) for name, image in images.items()
    }
    # Those that stay are part of the stack: who depends on them starts after them.
    others = {spec.service: spec.image for spec in staying.values()}
    _require_sources(manifest, target.settings, references)
    stack = model.stack(manifest, references | others, site(manifest, target.settings))
    specs = {
        name: staying.get(name) or spec
        for name, spec in target.render(stack, current).items()
        if name in staying or spec.service in images
    }
    replaced = formats.volumes(manifest, images)
    stated = {name: one for name, one in (before.formats if before else {}).items() if name not in replaced}
    return DeployedSet(
        versions=(before.versions if before else {}) | {name: image.version for name, image in images.items()},
        records=(before.records if before else {}) | released.records,
        specs=specs,
        formats=stated | {volume: one for image in images.values() for volume, one in image.data.items()},
    )


def site(manifest: Manifest, settings: TargetSettings) -> Site:
    """Where the stack runs on a target."""
    return Site(
        project=project(manifest, settings),
        secrets=secrets(manifest, settings),
        sources=_sources(manifest, settings),
        address=settings.address,
        published=settings.ports,
        replicas=settings.replicas,
        placement=settings.placement,
    )


def project(manifest: Manifest, settings: TargetSettings) -> str:
    """What names everything that is created on a target."""
    return settings.project or manifest.project.name


def secrets(manifest: Manifest, settings: TargetSettings) -> Path:
    """The folder of the secret files of a target. Raises SecretError as `secret_folder.locate` does."""
    return manifest.root / settings.secrets if settings.secrets else secret_folder.locate(manifest)


def _sources(manifest: Manifest, settings: TargetSettings) -> dict[str, str]:
    """Where the sources are on the target: this checkout's own are there only for an engine of this machine."""
    if settings.kind != "compose" or not Engine(context=settings.context, host=settings.host).is_local:
        return settings.sources
    return dict(model.checkout(manifest, Path()).sources) | settings.sources


def _require_sources(manifest: Manifest, settings: TargetSettings, services: Mapping[str, str]) -> None:
    present = _sources(manifest, settings)
    lacking = {
        key: name
        for name, (service, container) in manifest.containers().items()
        if service in services
        for key in container.mounts
        if key not in present and manifest.source(key)
    }
    if lacking:
        names = ", ".join(f"{key} ({container})" for key, container in lacking.items())
        hint = f'[deploy.targets.NAME.sources] {next(iter(lacking))} = "/path/on/its/machines", or "volume:NAME"'
        raise DeployRefused(f"the target's settings don't say where these sources are: {names}", hint=hint)


def _seen_by(settings: TargetSettings, address: str, reference: str) -> str:
    return settings.registry + reference.removeprefix(address) if settings.registry else reference


def problems_of(wanted: DeployedSet) -> list[Problem]:
    """What is wrong with a set whatever the target."""
    tagged = [f"{name}: {spec.image}" for name, spec in wanted.specs.items() if "@sha256:" not in spec.image]
    if tagged:
        return [Problem(f"named by a tag, not by a digest: {', '.join(tagged)}", "./inv deploy VERSION")]
    return [] if wanted.specs else [Problem("the release has no container of this manifest", "./inv releases")]
