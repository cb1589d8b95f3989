"""The bake definition of the services: the only build graph, made from the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from build.config.manifest import Manifest, Service, Stage
from build.git.versions import History
from build.images import fingerprint, secrets
from build.images.bases import Resolved


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
