"""Base images: where each one comes from (upstream by digest, a mirror, an archive, a stand-in), recorded and reused.

Dockerfiles keep the upstream name in FROM; what is resolved here reaches them as a named context of that name.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from build import console, json_file
from build.config.manifest import BASE_SOURCES, BaseImage, Manifest
from build.engine import client as docker
from build.errors import BaseUnavailable, BuildError, ToolFailed
from build.images import stand_in
from build.parallel import together

_LOOKUP_SECONDS = 25
_ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tar.xz", ".tar.zst")


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """Where a base comes from: `context` as bake takes it, `digest` of the image, `recipe` the hash of its settings."""

    key: str
    reference: str
    source: str
    context: str
    digest: str
    recipe: str

    @property
    def image(self) -> str:
        """The image's name, as the engine takes it."""
        return self.context.removeprefix("docker-image://")


def full_name(reference: str) -> str:
    """A reference with its registry, as Docker completes it: docker.io/library/python:3.12 for python:3.12."""
    if _host(reference):
        return reference
    return f"docker.io/{reference}" if "/" in reference else f"docker.io/library/{reference}"


def _host(reference: str) -> str:
    """The registry that a reference names, "" when it names none; without a slash, what a colon divides is a tag."""
    first, slash, _ = reference.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else ""


def local_name(reference: str) -> str:
    """The name of a base in the local image store: uc-base/dotnet/sdk:9.0 for mcr.microsoft.com/dotnet/sdk:9.0."""
    return f"uc-base/{reference.removeprefix(f'{_host(reference)}/')}"


def archive_name(reference: str) -> str:
    """The file name, without ending, under which an archive folder holds a base: python_3.12-slim."""
    return re.sub(r"[/:]", "_", local_name(reference).removeprefix("uc-base/"))


def recipe(manifest: Manifest, base: BaseImage) -> str:
    """A hash of every setting that decides where a base comes from and what a stand-in holds."""
    bases = manifest.bases
    parts = (
        bases.source,
        bases.mirror,
        *bases.archives,
        stand_in.recipe(bases.suite, base),
        base.reference,
        base.digest,
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def recorded(manifest: Manifest, keys: Iterable[str]) -> dict[str, Resolved]:
    """What earlier runs resolved with the settings of now; no engine is asked."""
    stored = json_file.read(manifest.workspace.bases)
    found = {}
    for key in keys:
        record = stored.get(key)
        if record and record.get("recipe") == recipe(manifest, manifest.bases.images[key]):
            found[key] = Resolved(**record)
    return found


def planned(manifest: Manifest, keys: Iterable[str]) -> dict[str, Resolved]:
    """What `recorded` has, and by its upstream name each base that is not resolved yet; no engine is asked."""
    return {key: _unresolved(manifest, key) for key in keys} | recorded(manifest, keys)


def _unresolved(manifest: Manifest, key: str) -> Resolved:
    base = manifest.bases.images[key]
    pinned = f"@{base.digest}" if base.digest else ""
    return Resolved(
        key=key,
        reference=base.reference,
        source="",
        context=f"docker-image://{full_name(base.reference)}{pinned}",
        digest=base.digest,
        recipe=recipe(manifest, base),
    )


def resolve(
    manifest: Manifest, keys: Iterable[str], *, refresh: bool = False
) -> tuple[dict[str, Resolved], dict[str, str]]:
    """Resolve the bases `keys`: (what was found, by key; the reason for each that was not, by key).

    Recorded results are reused while their settings stand and their image is still there; `refresh` looks again.
    Raises MissingTool when a stand-in would have to be made and the daemon does not answer.
    """
    wanted = list(dict.fromkeys(keys))
    found = {} if refresh else recorded(manifest, wanted)
    found = {key: base for key, base in found.items() if _still_there(base)}
    missing = [key for key in wanted if key not in found]
    reasons: dict[str, str] = {}
    stand_ins: list[str] = []
    for key, outcome in zip(missing, _look(manifest, missing), strict=True):
        if isinstance(outcome, Resolved):
            found[key] = outcome
        elif manifest.bases.source in {"auto", "stand-in"}:
            stand_ins.append(key)
            reasons[key] = outcome
        else:
            reasons[key] = outcome
    found |= _make_stand_ins(manifest, stand_ins, reasons)
    if missing:
        stored = json_file.read(manifest.workspace.bases)
        json_file.write(manifest.workspace.bases, stored | {key: asdict(base) for key, base in found.items()})
    return found, {key: reason for key, reason in reasons.items() if key not in found}


def _still_there(base: Resolved) -> bool:
    """Whether a record still holds: a registry has digests for good, the engine may have made a stand-in anew."""
    return base.source in {"upstream", "mirror"} or _digest(local_name(base.reference)) == base.digest


def _look(manifest: Manifest, keys: list[str]) -> list[Resolved | str]:
    """What each key's sources answer, asked all at once: where packets are dropped, each waits out its limit."""
    if not keys:
        return []
    references = ", ".join(manifest.bases.images[key].reference for key in keys)
    with console.waiting(f"looking for {references}"):
        return together([functools.partial(_from_elsewhere, manifest, key) for key in keys])


def _make_stand_ins(manifest: Manifest, keys: list[str], reasons: dict[str, str]) -> dict[str, Resolved]:
    buildable: dict[str, Path | None] = {}
    for key in keys:
        base = manifest.bases.images[key]
        try:
            buildable[key] = find_archive(manifest, base)
        except BaseUnavailable as error:
            reasons[key] = "; ".join(part for part in (reasons[key], str(error)) if part)
    if not buildable:
        return {}
    docker.cli("version", timeout=60)  # without a daemon this is no matter of a base: MissingTool says so
    targets = {
        key: stand_in.StandIn(
            name=local_name(manifest.bases.images[key].reference), base=manifest.bases.images[key], archive=archive
        )
        for key, archive in buildable.items()
    }
    try:
        stand_in.build(manifest, targets)
    except BuildError as error:
        for key in targets:
            reasons[key] = "; ".join(part for part in (reasons[key], f"stand-in: {error}") if part)
        if error.output:
            console.error(str(error), hint=error.hint, output="\n".join(error.output.splitlines()[-15:]))
        return {}
    return {key: _local(manifest, key, "stand-in") for key in targets}


def find_archive(manifest: Manifest, base: BaseImage) -> Path | None:
    """The checked file that a stand-in of `base` is made from; None when it needs none.

    Raises BaseUnavailable when it is in no archive folder, or is not the file that the manifest names by hash.
    """
    if not base.archive:
        return None
    if not base.packages:
        raise BaseUnavailable("no stand-in recipe (packages) in versions.toml")
    for folder in manifest.bases.archives:
        path = manifest.root / folder / base.archive
        if not path.is_file():
            continue
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if base.archive_sha256 and found != base.archive_sha256:
            raise BaseUnavailable(f"{path} has sha256 {found}, versions.toml wants {base.archive_sha256}")
        return path
    searched = ", ".join(manifest.bases.archives) or "no folder is set"
    raise BaseUnavailable(f"stand-in: {base.archive} is in no archive folder (searched: {searched}; [bases] archives)")


def _from_elsewhere(manifest: Manifest, key: str) -> Resolved | str:
    """The base from upstream, mirror or archive, by the order of the setting, or why none has it."""
    base, setting = manifest.bases.images[key], manifest.bases.source
    sources = BASE_SOURCES if setting == "auto" else (setting,)
    tried: list[str] = []
    for source in sources:
        if source == "upstream":
            found = _remote(manifest, key, base.reference, "upstream")
        elif source == "mirror" and manifest.bases.mirror:
            found = _remote(
                manifest, key, f"{manifest.bases.mirror.rstrip('/')}/{local_name(base.reference)[8:]}", "mirror"
            )
        elif source == "archive":
            found = _archive(manifest, key)
        else:
            continue
        if isinstance(found, Resolved):
            return found
        tried.append(found)
    return "; ".join(part for part in tried if part) or f"[bases] source = '{setting}' has nothing to try"


def _remote(manifest: Manifest, key: str, reference: str, source: str) -> Resolved | str:
    base = manifest.bases.images[key]
    pinned = f"{reference}@{base.digest}" if base.digest else reference
    try:
        inspected = docker.cli(
            "buildx", "imagetools", "inspect", pinned, "--format", "{{json .Manifest}}", timeout=_LOOKUP_SECONDS
        )
    except ToolFailed as error:
        lines = error.output.strip().splitlines()
        return f"{source}: {lines[-1].removeprefix('ERROR: ') if lines else error}"
    digest = json.loads(inspected.stdout)["digest"]
    return Resolved(
        key=key,
        reference=base.reference,
        source=source,
        context=f"docker-image://{full_name(reference)}@{digest}",
        digest=digest,
        recipe=recipe(manifest, base),
    )


def _archive(manifest: Manifest, key: str) -> Resolved | str:
    base = manifest.bases.images[key]
    for folder in manifest.bases.archives:
        for suffix in _ARCHIVE_SUFFIXES:
            path = manifest.root / folder / (archive_name(base.reference) + suffix)
            if not path.is_file():
                continue
            loaded = docker.cli("load", "--input", str(path)).stdout.strip().splitlines()
            name = loaded[-1].rpartition(": ")[2] if loaded else base.reference
            docker.cli("tag", name, local_name(base.reference))
            return _local(manifest, key, "archive")
    return ""


def _local(manifest: Manifest, key: str, source: str) -> Resolved:
    base = manifest.bases.images[key]
    name = local_name(base.reference)
    return Resolved(
        key=key,
        reference=base.reference,
        source=source,
        context=f"docker-image://{name}",
        digest=_digest(name),
        recipe=recipe(manifest, base),
    )


def _digest(name: str) -> str:
    try:
        return docker.cli("image", "inspect", "--format", "{{.Id}}", name).stdout.strip()
    except ToolFailed:
        return ""
