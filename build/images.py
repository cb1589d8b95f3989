"""All images of the stack from ONE bake invocation; digests come from bake's metadata file, never from a tag."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from build import bake, build_secrets, engine, state
from build.bases import Resolved
from build.manifest import Manifest, Service, Stage
from build.version import GitState


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltImage:
    """A built image: `reference` is name@digest, `size` compressed bytes, `content` a hash of layers and configuration.

    `pushed` says whether the registry at the manifest's address has this digest.
    """

    service: str
    name: str
    tag: str
    digest: str
    content: str
    size: int
    pushed: bool
    bases: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The one name that containers, scans and tags use."""
        return f"{self.name}@{self.digest}"


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildResult:
    """What one build did: the images that are there now, and the reason for each service that has none."""

    images: dict[str, BuiltImage]
    failed: dict[str, str]


def recorded(manifest: Manifest) -> dict[str, BuiltImage]:
    """The images of the last build, by service; empty before the first."""
    stored = state.read(manifest.state / "images.json")
    return {name: BuiltImage(**record) for name, record in stored.items() if name in manifest.services}


def definition(
    manifest: Manifest, git: GitState, version: str, resolved: Mapping[str, Resolved], services: Sequence[str]
) -> dict[str, Any]:
    """The bake file as a dictionary: a target for each service, and for each shared stage it stands on."""
    created = datetime.fromtimestamp(git.committed, UTC).isoformat().replace("+00:00", "Z")
    targets: dict[str, Any] = {}
    for name in services:
        service = manifest.services[name]
        labels = {
            "org.opencontainers.image.title": name,
            "org.opencontainers.image.description": service.description,
            "org.opencontainers.image.revision": git.commit,
            "org.opencontainers.image.created": created,
            "org.opencontainers.image.version": version,
            **({"org.opencontainers.image.source": git.remote} if git.remote else {}),
        }
        targets[name] = {
            **_common(manifest, service, resolved),
            "args": {**service.args, "SOURCE_DATE_EPOCH": str(git.committed)},
            "labels": labels,
            "annotations": [f"{key}={value}" for key, value in labels.items()],
            "tags": [f"{manifest.image(name)}:{version}"],
            "attest": ["type=provenance,mode=min"],
            **({"target": service.target} if service.target else {}),
        }
        for value in service.contexts.values():
            kind, _, key = value.partition(":")
            if kind == "stage" and f"stage-{key}" not in targets:
                stage = manifest.stages[key]
                targets[f"stage-{key}"] = {
                    **_common(manifest, stage, resolved),
                    "target": stage.target,
                    "output": ["type=cacheonly"],
                }
    return {"group": {"default": {"targets": list(services)}}, "target": targets}


def _common(manifest: Manifest, built: Service | Stage, resolved: Mapping[str, Resolved]) -> dict[str, Any]:
    contexts = {resolved[key].reference: resolved[key].context for key in built.bases}
    for name, value in getattr(built, "contexts", {}).items():
        kind, _, key = value.partition(":")
        contexts[name] = (
            f"target:stage-{key}"
            if kind == "stage"
            else str(manifest.source(key) or build_secrets.empty_folder(manifest))
        )
    return {
        "context": str(manifest.root / built.folder),
        "dockerfile": "Dockerfile",
        "contexts": contexts,
        "secret": [f"id={name},src={build_secrets.path(manifest, name)}" for name in built.build_secrets],
    }


def build(
    manifest: Manifest,
    git: GitState,
    version: str,
    resolved: Mapping[str, Resolved],
    services: Sequence[str],
    *,
    push: bool = False,
    no_cache: bool = False,
    progress: str = "auto",
) -> BuildResult:
    """Bake `services` and record their digests in .uc/images.json.

    A service whose build fails does not take the others with it: they are baked again without it (from the cache) and
    keep their digests. An image whose layers and configuration are unchanged keeps the digest recorded before, because
    with provenance on every rebuild gives a new index digest for equal content.
    Raises MissingTool when the daemon does not answer, RegistryError when a push is refused.
    """
    target_file, metadata_file = manifest.state / "bake.json", manifest.state / "metadata.json"
    state.write(target_file, definition(manifest, git, version, resolved, services))
    failed: dict[str, str] = {}
    going = list(services)
    while going:
        metadata_file.unlink(missing_ok=True)
        outcome = bake.run(
            target_file, going, metadata=metadata_file, push=push, no_cache=no_cache and not failed, progress=progress,
            log=manifest.state / "reports" / "build.log",
        )  # fmt: skip
        if not outcome:
            break
        broken = dict.fromkeys(_dependents(manifest, outcome.target, going), outcome.reason)
        failed |= broken
        going = [name for name in going if name not in broken]
    before = recorded(manifest)
    made = _read_metadata(manifest, metadata_file, version, going, before, resolved, push=push) if going else {}
    state.write(
        manifest.state / "images.json", {name: dataclasses.asdict(image) for name, image in (before | made).items()}
    )
    return BuildResult(images=made, failed=failed)


def _dependents(manifest: Manifest, target: str, going: Sequence[str]) -> list[str]:
    """The services that a failed target takes with it: itself, or every service on a shared stage."""
    if target in going:
        return [target]
    stage = target.removeprefix("stage-")
    return [name for name in going if f"stage:{stage}" in manifest.services[name].contexts.values()] or list(going)


def _read_metadata(
    manifest: Manifest,
    path: Path,
    version: str,
    services: Sequence[str],
    before: Mapping[str, BuiltImage],
    resolved: Mapping[str, Resolved],
    *,
    push: bool,
) -> dict[str, BuiltImage]:
    metadata = state.read(path)
    fresh = {name: metadata[name]["containerimage.digest"] for name in services}
    references = {f"{manifest.image(name)}@{digest}" for name, digest in fresh.items()}
    references |= {before[name].reference for name in services if name in before}
    inspected = inspect_all(sorted(references))
    made = {}
    for name, digest in fresh.items():
        found = inspected[f"{manifest.image(name)}@{digest}"]
        image = BuiltImage(
            service=name,
            name=manifest.image(name),
            tag=version,
            digest=digest,
            content=content_hash(found),
            size=int(found["Size"]),
            pushed=push,
            bases={key: resolved[key].source for key in manifest.services[name].bases},
        )
        old = before.get(name)
        if old and old.reference in inspected and old.content == image.content and (old.pushed or not push):
            image = dataclasses.replace(image, digest=old.digest, pushed=old.pushed)
        made[name] = image
    return made


def inspect_all(references: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`docker image inspect` of all references in one call: reference → its object, absent when it is not there."""
    from build.errors import ToolFailed

    try:
        output = engine.cli("image", "inspect", *references).stdout
    except ToolFailed as error:
        if "No such image" not in error.output:
            raise
        output = error.output[: error.output.rindex("]") + 1]
    found: dict[str, dict[str, Any]] = {}
    for entry in json.loads(output):
        for reference in entry["RepoDigests"]:
            found[reference] = entry
    return found


def content_hash(inspected: Mapping[str, Any]) -> str:
    """A hash of what an image is made of: platform, layers, configuration and creation time; not its attestations."""
    parts = [inspected[key] for key in ("Os", "Architecture", "RootFS", "Config", "Created")]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
