"""The definition of a build: the bake file of the services, the only build graph, written from the manifest."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

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
        "args": {**service.args, **_critical(service), "SOURCE_DATE_EPOCH": str(history.committed)},
        "labels": labels,
        "annotations": [f"{key}={value}" for key, value in labels.items()],
        "tags": [f"{manifest.image(name)}:{version}"],
        "attest": ["type=provenance,mode=min"],
    }
    if service.target:
        target["target"] = service.target
    return target


def _critical(service: Service) -> dict[str, str]:
    """The build argument by which a Dockerfile gets what is critical: in the image, for the check and for /health."""
    return {"UC_CRITICAL": ",".join(service.critical)} if service.critical else {}


def _base_contexts(dockerfile: Path, bases: Sequence[Resolved]) -> dict[str, str]:
    """The contexts that stand for the upstream names in a Dockerfile's FROM lines.

    The name with the tag of versions.toml always; the name without a tag where a FROM has it so, because a context
    replaces a stage of its name, too.
    """
    contexts = {base.reference: base.context for base in bases}
    text = dockerfile.read_text(encoding="utf-8") if dockerfile.is_file() else ""
    for name in re.findall(r"^FROM\s+(?:--\S+\s+)*(\S+)", text, re.M | re.I):
        for base in bases:
            if re.fullmatch(rf"{re.escape(name)}:[^/:]+", base.reference):
                contexts[name] = base.context
    return contexts


def _common(manifest: Manifest, source: Service | Stage, bases: Mapping[str, Resolved]) -> Target:
    contexts = _base_contexts(manifest.root / source.folder / "Dockerfile", [bases[key] for key in source.bases])
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
