"""A build, in order: commit, bases, fingerprints, what is unchanged, ONE bake for the rest, record."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from build import console
from build.config.manifest import Manifest
from build.config.select import chosen
from build.config.workspace import Workspace
from build.engine import turns
from build.errors import Incomplete, RegistryError, ToolFailed, UsageError
from build.git import history as git_history
from build.git.status import described
from build.git.versions import History, snapshot
from build.images import bake, bake_file, bases, staging, store, support
from build.images.bake_file import BakeFile
from build.images.bake_log import Failure
from build.images.bases import Resolved
from build.images.definition import bake_file as define
from build.images.image import Image
from build.images.inspect import EngineImage, inspect, sizes
from build.images.plan import BuildPlan, built_image, plan_build
from build.parallel import alive, together
from build.typed import suggest


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """The outcome of a build: images by service, the services that were unchanged, and why a service has no image.

    `version` is that of all services; "" in independent mode, where each image's tag is its own.
    """

    version: str
    images: dict[str, Image]
    missing: dict[str, str]
    reused: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Baked:
    """The outcome of a bake: images by service, and the reason for each service whose build failed."""

    images: dict[str, Image]
    failed: dict[str, str]


def build_images(
    manifest: Manifest,
    services: Sequence[str] = (),
    *,
    push: bool = False,
    no_cache: bool = False,
    progress: str = "auto",
) -> Built:
    """Build the services that changed in one bake invocation and record their digests; the others keep theirs.

    One build runs at a time on an engine: this one waits for its turn, unless nothing is to be built.
    Raises MissingTool, RepositoryError, ManifestError, SecretError, RegistryError. A service that can't be built is in
    `missing`.
    """
    if progress not in bake.MODES:
        raise UsageError(
            f"--progress is one of {', '.join(bake.MODES)}{suggest(progress, bake.MODES)}", hint="./inv build --help"
        )
    names = chosen(manifest, services)
    history, present = _look(manifest, names)
    versions = snapshots(manifest, history)
    if history.dirty:
        console.warn(f"this is not the commit: {described(history.changed, history.differences)}")
    if push:
        _reach_registry(manifest)
    elif not no_cache:
        kept = _unchanged(manifest, history, versions, names, present)
        if len(kept) == len(names):
            store.write_images_env(manifest)
            return _built(manifest, versions, names, kept)
    with turns.building(manifest.root):
        return _build(manifest, history, versions, names, push=push, no_cache=no_cache, progress=progress)


def _reach_registry(manifest: Manifest) -> None:
    from build.registry.client import ping  # as long to import as all of this module
    from build.registry.credentials import login

    ping(manifest)
    login(manifest)


def _look(manifest: Manifest, names: Sequence[str]) -> tuple[History, list[EngineImage]]:
    """The history, and what the engine has of the recorded bases and images, read at the same time."""
    histories: list[History] = []
    present: list[EngineImage] = []

    def look() -> None:
        known = bases.recorded(manifest, _bases(manifest, names)).values()
        images = [image.reference for name, image in store.recorded(manifest).items() if name in names]
        present.extend(inspect([*bases.local(known), *images]))

    together([lambda: histories.append(git_history.read(manifest)), look])
    return histories[0], present


def _unchanged(
    manifest: Manifest,
    history: History,
    versions: Mapping[str, str],
    names: Sequence[str],
    present: Sequence[EngineImage],
) -> dict[str, Image]:
    """The images that need no build, as far as the records and the images `present` in the engine say."""
    keys = set(_bases(manifest, names))
    known = bases.holding(bases.recorded(manifest, keys), present)
    if known.keys() != keys:
        return {}
    return store.unchanged(manifest, plan_build(manifest, history, versions, known, names), present)


def _bases(manifest: Manifest, services: Sequence[str]) -> list[str]:
    return [key for name in services for key in manifest.services[name].bases]


def _built(
    manifest: Manifest,
    versions: Mapping[str, str],
    names: Sequence[str],
    reused: Mapping[str, Image],
    baked: Baked | None = None,
    missing: Mapping[str, str] | None = None,
) -> Built:
    images = {**reused, **(baked.images if baked else {})}
    return Built(
        version=versions[names[0]] if manifest.release.mode == "lockstep" else "",
        images={name: images[name] for name in names if name in images},
        missing={**(missing or {}), **(baked.failed if baked else {})},
        reused=tuple(reused),
    )


def _build(
    manifest: Manifest,
    history: History,
    versions: Mapping[str, str],
    names: Sequence[str],
    *,
    push: bool,
    no_cache: bool,
    progress: str,
) -> Built:
    _forget_metadata(manifest.workspace)
    resolved, missing = resolve_bases(manifest, names)
    plan = plan_build(manifest, history, versions, resolved, [name for name in names if name not in missing])
    unchanged = {} if no_cache else store.unchanged(manifest, plan)
    if push:
        from build.images.push import push as push_image

        unchanged = {name: push_image(manifest, image) for name, image in unchanged.items()}
        store.record(manifest, unchanged)
    changed = [name for name in plan.versions if name not in unchanged]
    used = {key: resolved[key] for name in changed for key in manifest.services[name].bases}
    if ended := support.ended(manifest.bases, used, support.today()):
        console.warn(ended)
    baked = bake_services(manifest, plan, changed, push=push, no_cache=no_cache, progress=progress)
    store.keep(manifest, baked.images)
    store.record(manifest, baked.images)
    store.write_images_env(manifest)
    return _built(manifest, versions, names, unchanged, baked, missing)


def _forget_metadata(workspace: Workspace) -> None:
    """Remove what the buildx of a killed build wrote."""
    for path in workspace.root.glob(workspace.bake_metadata(0).name.replace("0", "*")):
        owner = path.suffixes[0].removeprefix(".")
        if owner.isdigit() and not alive(int(owner)):
            path.unlink(missing_ok=True)


def preview(manifest: Manifest, services: Sequence[str]) -> BakeFile:
    """The bake file of a build; nothing is built, and a base that is not resolved yet has its upstream name.

    Raises as `build_images` does before it bakes.
    """
    history = git_history.read(manifest)
    planned = bases.planned(manifest, manifest.bases.images)
    return define(manifest, history, snapshots(manifest, history), planned, chosen(manifest, services))


def snapshots(manifest: Manifest, history: History) -> dict[str, str]:
    """The version of every service as it is checked out. Raises RepositoryError in a shallow clone."""
    git_history.require_full(history)
    return {name: snapshot(history, history.of(name), manifest.project.version) for name in manifest.services}


def resolve_bases(manifest: Manifest, services: Sequence[str]) -> tuple[dict[str, Resolved], dict[str, str]]:
    """The resolved bases of the services, and the reason for each service that can't be built for lack of a base."""
    resolved, reasons = bases.resolve(manifest, _bases(manifest, services))
    missing = {
        name: f"base {manifest.bases.images[key].reference}: {reasons[key]}"
        for name in services
        for key in manifest.services[name].bases
        if key in reasons
    }
    return resolved, missing


def require_complete(built: Built) -> None:
    """Raise Incomplete naming every service that has no image, with its reason."""
    if built.missing:
        reasons = "; ".join(f"{name} ({reason})" for name, reason in built.missing.items())
        raise Incomplete(f"not built: {reasons}")


def bake_services(
    manifest: Manifest,
    plan: BuildPlan,
    services: Collection[str],
    *,
    push: bool = False,
    no_cache: bool = False,
    progress: str = "auto",
) -> Baked:
    """Bake services of the plan in one invocation; without services, bake nothing.

    A service whose build fails does not take the others with it: they are baked again without it (from the cache).
    Raises MissingTool when the daemon does not answer, RegistryError when a push is refused.
    """
    workspace = manifest.workspace
    if services:
        staging.report(manifest, plan.left_out)
        bake_file.write(workspace.bake_definition, staging.staged(manifest, plan.bake_file, plan.left_out))

    def attempt(names: Sequence[str], *, fresh: bool) -> dict[str, str] | Failure:
        try:
            return bake.run(
                workspace.bake_definition, names, metadata=workspace.bake_metadata(os.getpid()),
                log=workspace.build_log, push=push, no_cache=fresh, progress=progress,
            )  # fmt: skip
        except RegistryError:
            if push:
                _reach_registry(manifest)  # one that is gone by now has an error of its own
            raise

    failed: dict[str, str] = {}
    remaining = list(services)
    while remaining:
        outcome = attempt(remaining, fresh=no_cache and not failed)
        if not isinstance(outcome, Failure):
            return Baked(images=_images(manifest, plan, outcome, pushed=push), failed=failed)
        if outcome.target:
            failed |= dict.fromkeys(_dependents(manifest, outcome.target, remaining), outcome.reason)
        else:
            alone = {name: attempt([name], fresh=False) for name in remaining}
            reasons = {name: each.reason for name, each in alone.items() if isinstance(each, Failure)}
            failed |= reasons or dict.fromkeys(remaining, outcome.reason)
        remaining = [name for name in remaining if name not in failed]
    return Baked(images={}, failed=failed)


def _dependents(manifest: Manifest, target: str, services: Sequence[str]) -> list[str]:
    """The services that fail with a target: itself, or every service on a shared stage."""
    if target in services:
        return [target]
    stage = f"stage:{target.removeprefix('stage-')}"
    return [name for name in services if stage in manifest.services[name].contexts.values()] or list(services)


def _images(manifest: Manifest, plan: BuildPlan, digests: dict[str, str], *, pushed: bool) -> dict[str, Image]:
    # Bake reads the folders: when sources changed meanwhile, nobody knows which bytes are in the image.
    current = plan.current_fingerprints(digests)
    size_of = sizes(inspect(f"{manifest.image(name)}@{digest}" for name, digest in digests.items()))
    lost = [name for name, digest in digests.items() if f"{manifest.image(name)}@{digest}" not in size_of]
    if lost:
        message = f"built, and gone from the engine already: {', '.join(lost)}; another program moved the tag"
        raise ToolFailed(message, hint="./inv build again")
    return {
        name: built_image(
            plan, manifest, name, digest,
            fingerprint=current[name] if current[name] == plan.fingerprints[name] else "",
            size=size_of[f"{manifest.image(name)}@{digest}"],
            pushed=pushed,
        )
        for name, digest in digests.items()
    }  # fmt: skip
