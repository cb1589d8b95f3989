"""Builds images with one bake invocation; digests come from bake's metadata file, never from a tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from build import json_file
from build.config.manifest import Manifest
from build.images import bake
from build.images.bases import Resolved
from build.images.definition import fingerprints
from build.images.image import Image
from build.images.store import inspect_all, record


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildResult:
    """What one build did: the images that are there now, and the reason for each service that has none."""

    images: dict[str, Image]
    failed: dict[str, str]


def build(
    manifest: Manifest,
    model: Mapping[str, Any],
    versions: Mapping[str, str],
    resolved: Mapping[str, Resolved],
    current: Mapping[str, str],
    *,
    push: bool = False,
    no_cache: bool = False,
    progress: str = "auto",
) -> BuildResult:
    """Bake the services of `current` (service → fingerprint) from the definition `model`, and record their digests.

    A service whose build fails does not take the others with it: they are baked again without it (from the cache).
    Raises MissingTool when the daemon does not answer, RegistryError when a push is refused.
    """
    target_file, metadata_file = manifest.workspace.bake_definition, manifest.workspace.bake_metadata
    json_file.write(target_file, dict(model))
    log = manifest.workspace.build_log

    def attempt(names: Sequence[str], *, fresh: bool) -> bake.Failure | None:
        metadata_file.unlink(missing_ok=True)
        return bake.run(
            target_file, names, metadata=metadata_file, push=push, no_cache=fresh, progress=progress, log=log
        )

    failed: dict[str, str] = {}
    going = list(current)
    while going:
        failure = attempt(going, fresh=no_cache and not failed)
        if not failure:
            break
        if failure.target:
            failed |= dict.fromkeys(_dependents(manifest, failure.target, going), failure.reason)
        else:
            found = {name: one.reason for name in going if (one := attempt([name], fresh=False))}
            failed |= found or dict.fromkeys(going, failure.reason)
        going = [name for name in going if name not in failed]
    made: dict[str, Image] = {}
    if going:
        # Bake reads the folders: of sources that changed meanwhile nobody knows which bytes are in the image.
        still = fingerprints(model["target"], resolved, going)
        remaining = {name: current[name] if still[name] == current[name] else "" for name in going}
        made = _read_metadata(manifest, json_file.read(metadata_file), versions, remaining, resolved, push=push)
    record(manifest, made)
    return BuildResult(images=made, failed=failed)


def _dependents(manifest: Manifest, target: str, going: Sequence[str]) -> list[str]:
    """The services that a failed target takes with it: itself, or every service on a shared stage."""
    if target in going:
        return [target]
    stage = target.removeprefix("stage-")
    return [name for name in going if f"stage:{stage}" in manifest.services[name].contexts.values()] or list(going)


def _read_metadata(
    manifest: Manifest,
    metadata: Mapping[str, Any],
    versions: Mapping[str, str],
    fingerprints: Mapping[str, str],
    resolved: Mapping[str, Resolved],
    *,
    push: bool,
) -> dict[str, Image]:
    references = {name: f"{manifest.image(name)}@{metadata[name]['containerimage.digest']}" for name in fingerprints}
    inspected = inspect_all(sorted(references.values()))
    return {
        name: Image(
            service=name,
            name=manifest.image(name),
            tag=versions[name],
            digest=reference.partition("@")[2],
            fingerprint=fingerprints[name],
            size=int(inspected[reference]["Size"]),
            pushed=push,
            bases={key: resolved[key].source for key in manifest.services[name].bases},
        )
        for name, reference in references.items()
    }
