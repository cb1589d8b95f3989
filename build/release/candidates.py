"""Candidates: images that are in the registry under their digest and under no tag, and were read back from there.

BuildKit leaves each image as an OCI layout (OCI image specification, image-layout.md); its blobs and manifests are sent
from there as they are. The engine's own push needs a tag, and a tag is public.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build import json_file
from build.errors import BuildError, RegistryError
from build.parallel import at_once
from build.registry.client import Distribution
from build.registry.oci import Stored, digest_of
from build.release.publish import load

_ATTESTATION = "vnd.docker.reference.type"


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """An image in the registry without a version: its manifest as read back, its platforms, the bytes sent for it."""

    service: str
    stored: Stored
    platforms: tuple[str, ...]
    sent: int = 0


def push(registry: Distribution, namespace: str, folders: Mapping[str, Path]) -> dict[str, Candidate]:
    """Send the layouts (service → its folder) and read each back.

    One after another: what one has sent, the next has mounted. Raises RegistryError, BuildError for a broken layout.
    """
    homes: dict[str, str] = {}
    return {service: _push(registry, namespace, service, folder, homes) for service, folder in folders.items()}


def _push(registry: Distribution, namespace: str, service: str, folder: Path, homes: dict[str, str]) -> Candidate:
    repository = f"{namespace}/{service}"
    top = json.loads((folder / "index.json").read_text(encoding="utf-8"))["manifests"][0]
    manifests = list(_manifests(folder, top))
    blobs = {
        one["digest"]: one["size"]
        for _, body in manifests
        for one in [body.get("config"), *body.get("layers", [])]
        if one
    }

    def send(digest: str) -> int:
        if registry.has_blob(repository, digest):
            return 0
        sent = registry.put_blob(repository, digest, _file(folder, digest), mount_from=homes.get(digest, ""))
        return int(blobs[digest]) if sent else 0

    total = sum(at_once(send, blobs))
    homes |= dict.fromkeys(blobs, repository)
    for descriptor, _ in manifests:
        content = _file(folder, descriptor["digest"]).read_bytes()
        registry.put_manifest(repository, descriptor["digest"], content, descriptor["mediaType"])
        total += len(content)
    return read_back(registry, repository, service, top["digest"], sent=total)


def _manifests(folder: Path, descriptor: dict[str, Any]) -> Iterable[tuple[dict[str, Any], dict[str, Any]]]:
    """A manifest and all below it, children first: no registry takes an index before what it names."""
    body = json.loads(_file(folder, descriptor["digest"]).read_bytes())
    for child in body.get("manifests", []):
        yield from _manifests(folder, child)
    yield descriptor, body


def _file(folder: Path, digest: str) -> Path:
    path = folder / "blobs" / digest.replace(":", "/")
    if not path.is_file():
        raise BuildError(f"{folder.name}: the exported image lacks {digest}", hint="./inv release again")
    return path


def read_back(registry: Distribution, repository: str, service: str, digest: str, *, sent: int = 0) -> Candidate:
    """The candidate as the registry holds it, with every manifest that it names.

    Raises RegistryError when something is missing or is not what its digest says.
    """
    stored = load(registry, repository, digest)
    body = json.loads(stored.content)
    children = body.get("manifests", [])
    missing = [one["digest"] for one in children if registry.digest(repository, one["digest"]) is None]
    if missing:
        raise RegistryError(
            f"{repository}@{digest} names {', '.join(missing)}, which the registry lacks", hint="./inv release again"
        )
    images = [one for one in children if _ATTESTATION not in one.get("annotations", {})]
    platforms = tuple(_platform(one.get("platform", {})) for one in images) or (
        _own_platform(registry, repository, body),
    )
    return Candidate(service=service, stored=stored, platforms=platforms, sent=sent)


def keep(path: Path, staged: Mapping[str, Candidate], fingerprints: Mapping[str, str]) -> None:
    """Remember in a file what was staged, manifests included; what it has of other services stays."""
    found = {
        name: {
            "digest": one.stored.digest,
            "fingerprint": fingerprints[name],
            "media_type": one.stored.media_type,
            "manifest": one.stored.content.decode(),
        }
        for name, one in staged.items()
    }
    json_file.write(path, json_file.read(path) | found)


def kept(path: Path) -> dict[str, Stored]:
    """The manifests that were staged last from this checkout, by service.

    A registry whose disk was full may have lost a manifest that it had: what is under a tag is put from here then.
    """
    found = {}
    for name, one in json_file.read(path).items():
        if content := one.get("manifest", "").encode():
            found[name] = Stored(content=content, media_type=one["media_type"], digest=digest_of(content))
    return found


def _platform(described: Mapping[str, str]) -> str:
    return "/".join(filter(None, (described.get("os"), described.get("architecture"), described.get("variant"))))


def _own_platform(registry: Distribution, repository: str, body: Mapping[str, Any]) -> str:
    config = registry.blob(repository, body["config"]["digest"])
    return _platform(json.loads(config)) if config else ""
