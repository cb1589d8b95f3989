"""What a registry allows, probed in a scratch repository: immutable tags, floating tags, referrers, deletion.

Harbor answers 412 to every PUT of an immutable tag, even with the same digest. ProGet accepts three-part tags only and
moves X.Y and X itself. Others allow every tag to be overwritten. No API reports these rules; only a probe shows them.
"""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass
from typing import Literal

from build import json_file
from build.config.manifest import Manifest
from build.errors import RegistryError
from build.registry.client import RegistryClient
from build.registry.oci import EMPTY, RawManifest, artifact, digest_of

SCRATCH = "uc-probe"
# Statuses of a rule about tags. Any other one is a passing condition and must not be cached as a rule.
_REFUSALS = {400, 405, 409, 412, 415, 422}
_TYPE = "application/vnd.unity-claude.probe.v1+json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What the registry at `address` (with its namespace) allows.

    `immutable`: an existing tag can't be moved. `equal_put`: a PUT of a tag's own digest is accepted. `floats`: who
    moves X.Y and X, "nobody" if such tags are refused or immutable. `referrers`: it has the referrers API.
    `fallback_tags`: it accepts sha256-… tags (signatures without a referrers API). `deletes`: manifests can be deleted.
    """

    address: str
    immutable: bool
    equal_put: bool
    floats: Literal["client", "server", "nobody"]
    referrers: bool
    fallback_tags: bool
    deletes: bool


def policy(manifest: Manifest, registry: RegistryClient) -> Policy:
    """Return the policy cached by an earlier probe of this checkout, else probe now. Raises RegistryError."""
    cached = json_file.read(manifest.workspace.registry_policy)
    if cached.get("address") == manifest.home:
        try:
            return Policy(**cached)
        except TypeError:
            pass
    return _probe(manifest, registry)


def probe(manifest: Manifest) -> Policy:
    """Probe the manifest's registry in NAMESPACE/uc-probe, and cache the result. Raises RegistryError."""
    with RegistryClient(manifest) as registry:
        return _probe(manifest, registry)


def _probe(manifest: Manifest, registry: RegistryClient) -> Policy:
    repository = f"{manifest.registry.namespace}/{SCRATCH}"
    number = time.time_ns() // 1_000_000
    first, second = (_push_document(registry, repository, f"{number}-{suffix}") for suffix in ("a", "b"))
    tag = f"{number}.0.0"
    registry.put_manifest(repository, tag, first.content, first.media_type)
    server_floats = {name: registry.digest(repository, name) for name in (f"{number}.0", f"{number}")}
    equal_put = _accepts(registry, repository, tag, first)
    moved = _accepts(registry, repository, tag, second) and registry.digest(repository, tag) == second.digest
    result = Policy(
        address=manifest.home,
        immutable=not moved,
        equal_put=equal_put,
        floats="server" if any(server_floats.values()) else _floats(registry, repository, str(number), first, second),
        referrers=_has_referrers(registry, repository, first.digest),
        fallback_tags=_accepts(registry, repository, first.digest.replace(":", "-"), second),
        deletes=_delete(registry, repository, (first, second)),
    )
    json_file.write(manifest.workspace.registry_policy, dataclasses.asdict(result))
    return result


def _delete(registry: RegistryClient, repository: str, manifests: tuple[RawManifest, ...]) -> bool:
    deleted = [registry.delete_manifest(repository, manifest.digest) for manifest in manifests]
    return all(deleted)


def _floats(
    registry: RegistryClient, repository: str, tag: str, first: RawManifest, second: RawManifest
) -> Literal["client", "nobody"]:
    if not _accepts(registry, repository, tag, first):
        return "nobody"
    _accepts(registry, repository, tag, second)
    return "client" if registry.digest(repository, tag) == second.digest else "nobody"


def _push_document(registry: RegistryClient, repository: str, content: str) -> RawManifest:
    document = json.dumps({"probe": content}).encode()
    for blob in (EMPTY, document):
        if not registry.has_blob(repository, digest_of(blob)):
            registry.put_blob(repository, digest_of(blob), blob)
    return artifact(_TYPE, document, {}).manifest


def _accepts(registry: RegistryClient, repository: str, tag: str, manifest: RawManifest) -> bool:
    try:
        registry.put_manifest(repository, tag, manifest.content, manifest.media_type)
    except RegistryError as error:
        if error.status in _REFUSALS:
            return False
        raise
    return True


def _has_referrers(registry: RegistryClient, repository: str, digest: str) -> bool:
    answer = registry.request("GET", f"/v2/{repository}/referrers/{digest}", ok=(200, 400, 404, 405))
    return answer.status_code == 200 and "json" in answer.headers.get("Content-Type", "")
