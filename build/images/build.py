"""All images of the stack from ONE bake invocation; digests come from bake's metadata file, never from a tag."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from build import json_file
from build.config.manifest import Manifest, Service, Stage
from build.engine import client as docker
from build.errors import ToolFailed
from build.git.versions import History
from build.images import bake, fingerprint, secrets
from build.images.bases import Resolved
from build.parallel import alive


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltImage:
    """A built image: `reference` is name@digest, `size` compressed bytes, `fingerprint` of what it was built from.

    The fingerprint is "" when that changed meanwhile. `pushed`: the registry at the manifest's address has this digest.
    """

    service: str
    name: str
    tag: str
    digest: str
    fingerprint: str
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
    """The images of the last build, by service; empty before the first. A record of another format counts as none."""
    stored = json_file.read(manifest.state / "images.json")
    keys = {field.name for field in dataclasses.fields(BuiltImage)}
    return {
        name: BuiltImage(**record)
        for name, record in stored.items()
        if name in manifest.services and record.keys() == keys
    }


def definition(
    manifest: Manifest,
    git: History,
    versions: Mapping[str, str],
    resolved: Mapping[str, Resolved],
    services: Sequence[str],
) -> dict[str, Any]:
    """The bake file as a dictionary: a target for each service, and for each shared stage it stands on.

    `versions` has each service's own.
    """
    created = datetime.fromtimestamp(git.committed, UTC).isoformat().replace("+00:00", "Z")
    targets: dict[str, Any] = {}
    for name in services:
        service = manifest.services[name]
        labels = {
            "org.opencontainers.image.title": name,
            "org.opencontainers.image.description": service.description,
            "org.opencontainers.image.revision": git.commit,
            "org.opencontainers.image.created": created,
            "org.opencontainers.image.version": versions[name],
            **({"org.opencontainers.image.source": git.remote} if git.remote else {}),
        }
        targets[name] = {
            **_common(manifest, service, resolved),
            "args": {**service.args, "SOURCE_DATE_EPOCH": str(git.committed)},
            "labels": labels,
            "annotations": [f"{key}={value}" for key, value in labels.items()],
            "tags": [f"{manifest.image(name)}:{versions[name]}"],
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
            f"target:stage-{key}" if kind == "stage" else str(manifest.source(key) or secrets.empty_folder(manifest))
        )
    return {
        "context": str(manifest.root / built.folder),
        "dockerfile": "Dockerfile",
        "contexts": contexts,
        "secret": [f"id={name},src={secrets.path(manifest, name)}" for name in built.build_secrets],
    }


def fingerprints(
    targets: Mapping[str, Any], resolved: Mapping[str, Resolved], services: Sequence[str]
) -> dict[str, str]:
    """The fingerprint of each service, from its bake target and the digests of its bases."""
    digests = {base.context: base.digest for base in resolved.values()}
    return {name: fingerprint.of_target(targets, name, digests) for name in services}


def unchanged(manifest: Manifest, current: Mapping[str, str]) -> dict[str, BuiltImage]:
    """The recorded images whose fingerprint is that of now, and which the engine still has; one engine call.

    Provenance gives every rebuild another digest, equal content or not: what is unchanged is not built again.
    """
    candidates = {
        name: image for name, image in recorded(manifest).items()
        if image.fingerprint == current.get(name) and image.name == manifest.image(name)
    }  # fmt: skip
    there = inspect_all([image.reference for image in candidates.values()])
    return {name: image for name, image in candidates.items() if image.reference in there}


def record(manifest: Manifest, made: Mapping[str, BuiltImage]) -> None:
    """Add images to .uc/images.json, over those of the same services."""
    stored = {name: dataclasses.asdict(image) for name, image in (recorded(manifest) | dict(made)).items()}
    json_file.write(manifest.state / "images.json", stored)


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
    target_file, metadata_file = manifest.state / "bake.json", manifest.state / "metadata.json"
    json_file.write(target_file, dict(model))
    log = manifest.state / "reports" / "build.log"

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
    made: dict[str, BuiltImage] = {}
    if going:
        # Bake reads the folders: of sources that changed meanwhile nobody knows which bytes are in the image.
        still = fingerprints(model["target"], resolved, going)
        remaining = {name: current[name] if still[name] == current[name] else "" for name in going}
        made = _read_metadata(manifest, json_file.read(metadata_file), versions, remaining, resolved, push=push)
    record(manifest, made)
    return BuildResult(images=made, failed=failed)


def export(
    manifest: Manifest, model: Mapping[str, Any], services: Sequence[str], *, progress: str = "auto"
) -> dict[str, Path]:
    """Bake the services into an OCI layout each, and into no store: service → its layout, in a folder of this process.

    Either all of them or none: raises ToolFailed naming the service that could not be built, MissingTool without a
    daemon.
    """
    forget_exports(manifest)
    folder = _exports(manifest) / str(os.getpid())
    folder.mkdir(parents=True)
    targets = {name: dict(target) for name, target in model["target"].items()}
    for name in services:
        del targets[name]["tags"]
        targets[name]["output"] = [f"type=oci,dest={folder / name},tar=false"]
    target_file, metadata_file = folder / "bake.json", folder / "metadata.json"
    json_file.write(target_file, {**model, "target": targets})
    log = manifest.state / "reports" / "build.log"
    failure = bake.run(
        target_file, services, metadata=metadata_file, push=False, no_cache=False, progress=progress, log=log
    )
    if failure:
        raise ToolFailed(f"{failure.target or 'the build'} failed: {failure.reason}", hint=f"less {log}")
    metadata = json_file.read(metadata_file)
    for name in services:
        _check_layout(folder / name, metadata[name]["containerimage.digest"])
    return {name: folder / name for name in services}


def forget_exports(manifest: Manifest) -> None:
    """Remove what this process exported, and what is left of those that are gone.

    A killed release's build may outlive it and go on writing: so each has a folder, and what can't go now goes later.
    """
    for folder in _exports(manifest).glob("*"):
        owner = int(folder.name) if folder.name.isdigit() else 0
        if owner in {0, os.getpid()} or not alive(owner):
            shutil.rmtree(folder, ignore_errors=True)


def _exports(manifest: Manifest) -> Path:
    return manifest.state / "layouts"


def _check_layout(layout: Path, digest: str) -> None:
    index = json.loads((layout / "index.json").read_text(encoding="utf-8"))
    if [one["digest"] for one in index["manifests"]] != [digest]:
        raise ToolFailed(f"{layout.name}: buildx exported something else than {digest}", hint="./inv release again")


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
) -> dict[str, BuiltImage]:
    references = {name: f"{manifest.image(name)}@{metadata[name]['containerimage.digest']}" for name in fingerprints}
    inspected = inspect_all(sorted(references.values()))
    return {
        name: BuiltImage(
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


def inspect_all(references: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`docker image inspect` of all references in one call: reference → its object, absent when it is not there."""
    if not references:
        return {}
    try:
        output = docker.cli("image", "inspect", *references).stdout
    except ToolFailed as error:
        if "No such image" not in error.output:
            raise
        output = error.output[: error.output.rindex("]") + 1]
    found: dict[str, dict[str, Any]] = {}
    for entry in json.loads(output):
        for reference in entry["RepoDigests"]:
            found[reference] = entry
    return found
