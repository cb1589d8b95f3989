"""Where a base image can be found ready-made: upstream, in a mirror, in an archive folder.

The docker CLI is used because the lookups run in threads: an interrupt ends the processes of `process.run` there, and
knows nothing of those that python-on-whales starts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from build.config.manifest import BASE_SOURCES, BaseImage, Manifest
from build.engine import client as engine
from build.errors import ToolFailed
from build.images import inspect
from build.images.references import archive_name, full_name, local_name, path

_LOOKUP_SECONDS = 25
_CREATED = "org.opencontainers.image.created"
_ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tar.xz", ".tar.zst")


@dataclass(frozen=True, kw_only=True, slots=True)
class Located:
    """A base image that a build can take: the source that has it, its context for bake, its digest.

    `created` is when the image was made (RFC 3339), "" where nobody says.
    """

    source: str
    context: str
    digest: str
    created: str = ""


def locate(manifest: Manifest, base: BaseImage) -> Located | str:
    """The base from the first source that has it, in the order of the setting; else why none has it."""
    setting = manifest.bases.source
    reasons: list[str] = []
    for source in BASE_SOURCES if setting == "auto" else (setting,):
        outcome: Located | str = ""
        if source == "upstream":
            outcome = _in_registry(base.reference, base.digest, source)
        elif source == "mirror" and manifest.bases.mirror:
            outcome = _in_registry(f"{manifest.bases.mirror.rstrip('/')}/{path(base.reference)}", base.digest, source)
        elif source == "archive":
            outcome = _in_archives(manifest, base)
        if isinstance(outcome, Located):
            return outcome
        reasons.append(outcome)
    return "; ".join(filter(None, reasons)) or f"[bases] source = '{setting}' has nothing to try"


def _in_registry(reference: str, digest: str, source: str) -> Located | str:
    pinned = f"{reference}@{digest}" if digest else reference
    try:
        inspected = engine.cli(
            "buildx",
            "imagetools",
            "inspect",
            "--builder",
            engine.BUILDER,
            pinned,
            "--format",
            "{{json .Manifest}}",
            timeout=_LOOKUP_SECONDS,
        )
    except ToolFailed as error:
        lines = error.output.strip().splitlines()
        return f"{source}: {lines[-1].removeprefix('ERROR: ') if lines else error}"
    described = json.loads(inspected.stdout)
    current = described["digest"]
    context = f"docker-image://{full_name(reference)}@{current}"
    return Located(source=source, context=context, digest=current, created=_created(described, pinned))


def _created(described: dict[str, Any], name: str) -> str:
    """When an image in a registry was made, by the annotations of its index, else by its configuration; or ""."""
    entries = [described, *(described.get("manifests") or [])]
    for entry in entries:
        if created := (entry.get("annotations") or {}).get(_CREATED):
            return str(created)
    try:
        inspected = engine.cli(
            "buildx", "imagetools", "inspect", name, "--format", "{{json .Image}}", timeout=_LOOKUP_SECONDS
        )
    except ToolFailed:
        return ""
    image = json.loads(inspected.stdout) or {}
    configurations = [image, *(entry for entry in image.values() if isinstance(entry, dict))]
    return max((str(entry.get("created") or "") for entry in configurations), default="")


def _in_archives(manifest: Manifest, base: BaseImage) -> Located | str:
    for folder in manifest.bases.archives:
        for suffix in _ARCHIVE_SUFFIXES:
            archive = manifest.root / folder / (archive_name(base.reference) + suffix)
            if archive.is_file():
                loaded = engine.cli("load", "--input", str(archive)).stdout.strip().splitlines()
                name = loaded[-1].rpartition(": ")[2] if loaded else base.reference
                engine.cli("tag", name, local_name(base.reference))
                return in_engine(local_name(base.reference), "archive")
    return ""


def in_engine(name: str, source: str) -> Located:
    """The base as the engine's image store has it under this name; the digest is "" when it does not."""
    image = next(iter(inspect.inspect([name])), None)
    context = f"docker-image://{name}"
    return Located(
        source=source, context=context, digest=image.digest if image else "", created=image.created if image else ""
    )
