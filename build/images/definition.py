"""The definition of a build: the bake file of the services, the only build graph, written from the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from build.config.manifest import Manifest, Service, Stage
from build.git.versions import History
from build.images import secrets
from build.images.bake_file import BakeFile, Target
from build.images.bases import Resolved


def bake_file(
    manifest: Manifest,
    history: History,
    versions: Mapping[str, str],
    bases: Mapping[str, Resolved],
    services: Sequence[str],
) -> BakeFile:
    """The bake file with a target for each service, and one for each shared stage that a service stands on.

    `versions` and `bases` (by key) must have what the services need. Raises SecretError for a build secret that is
    configured and not there.
    """
    targets: dict[str, Target] = {}
    for name in services:
        targets[name] = _service_target(manifest, history, name, versions[name], bases)
        for value in manifest.services[name].contexts.values():
            kind, _, key = value.partition(":")
            if kind == "stage" and f"stage-{key}" not in targets:
                stage = manifest.stages[key]
                targets[f"stage-{key}"] = {
                    **_common(manifest, stage, bases),
                    "target": stage.target,
                    "output": ["type=cacheonly"],
                }
    return {"group": {"default": {"targets": list(services)}}, "target": targets}


def _service_target(
    manifest: Manifest, history: History, name: str, version: str, bases: Mapping[str, Resolved]
) -> Target:
    service = manifest.services[name]
    labels = {
        "org.opencontainers.image.title": name,
        "org.opencontainers.image.description": service.description,
        "org.opencontainers.image.revision": history.commit,
        "org.opencontainers.image.created": datetime.fromtimestamp(history.committed, UTC)
        .isoformat()
        .replace("+00:00", "Z"),
        "org.opencontainers.image.version": version,
        **({"org.opencontainers.image.source": history.remote} if history.remote else {}),
    }
    target: Target = {
        **_common(manifest, service, bases),
        "args": {**service.args, "SOURCE_DATE_EPOCH": str(history.committed)},
        "labels": labels,
        "annotations": [f"{key}={value}" for key, value in labels.items()],
        "tags": [f"{manifest.image(name)}:{version}"],
        "attest": ["type=provenance,mode=min"],
    }
    if service.target:
        target["target"] = service.target
    return target


def _common(manifest: Manifest, source: Service | Stage, bases: Mapping[str, Resolved]) -> Target:
    contexts = {bases[key].reference: bases[key].context for key in source.bases}
    for name, value in getattr(source, "contexts", {}).items():
        kind, _, key = value.partition(":")
        contexts[name] = (
            f"target:stage-{key}"
            if kind == "stage"
            else str(manifest.source(key) or secrets.empty_folder(manifest.workspace))
        )
    return {
        "context": str(manifest.root / source.folder),
        "dockerfile": "Dockerfile",
        "contexts": contexts,
        "secret": [f"id={name},src={secrets.path(manifest, name)}" for name in source.build_secrets],
    }
