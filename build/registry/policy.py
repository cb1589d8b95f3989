"""What a registry allows, learnt in a scratch repository and obeyed: its tag grammar, immutability, who moves floats.

Harbor answers 412 to every PUT of an immutable tag, an equal one too. ProGet takes three-part tags only, and moves X.Y
and X by itself. Others let anybody overwrite anything. None of them says so: it shows in what they answer.
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
from build.registry.client import Distribution
from build.registry.oci import EMPTY, Stored, artifact, digest_of

SCRATCH = "uc-probe"
# What a rule about tags answers; any other status says something of this moment, and is nothing to remember.
_REFUSALS = {400, 405, 409, 412, 415, 422}
_TYPE = "application/vnd.unity-claude.probe.v1+json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What was learnt.

    `immutable`: a tag that names something can't be pointed elsewhere. `equal_put`: whether the same digest may be put
    again. `floats`: who moves X.Y and X, "nobody" where such tags are refused or can't be moved. `fallback_tags`:
    whether sha256-… tags (for signatures without a referrers API) are taken.
    """

    address: str
    immutable: bool
    equal_put: bool
    floats: Literal["client", "server", "nobody"]
    referrers: bool
    fallback_tags: bool
    deletes: bool


def policy(manifest: Manifest, registry: Distribution) -> Policy:
    """The registry's policy, as learnt earlier from this checkout, else by a probe now."""
    known = json_file.read(manifest.workspace.registry_policy)
    if known.get("address") == manifest.home:
        try:
            return Policy(**known)
        except TypeError:
            pass
    return learn(manifest, registry)


def learn(manifest: Manifest, registry: Distribution) -> Policy:
    """Probe the registry in NAMESPACE/uc-probe and remember what was found. Raises RegistryError."""
    repository = f"{manifest.registry.namespace}/{SCRATCH}"
    number = time.time_ns() // 1_000_000
    first, second = (_tiny(registry, repository, f"{number}-{which}") for which in ("a", "b"))
    tag = f"{number}.0.0"
    registry.put_manifest(repository, tag, first.content, first.media_type)
    made_floats = {name: registry.digest(repository, name) for name in (f"{number}.0", f"{number}")}
    equal_put = _takes(registry, repository, tag, first)
    moved = _takes(registry, repository, tag, second) and registry.digest(repository, tag) == second.digest
    found = Policy(
        address=manifest.home,
        immutable=not moved,
        equal_put=equal_put,
        floats="server" if any(made_floats.values()) else _who_moves(registry, repository, str(number), first, second),
        referrers=_has_referrers(registry, repository, first.digest),
        fallback_tags=_takes(registry, repository, first.digest.replace(":", "-"), second),
        deletes=_cleaned(registry, repository, (first, second)),
    )
    json_file.write(manifest.workspace.registry_policy, dataclasses.asdict(found))
    return found


def _cleaned(registry: Distribution, repository: str, manifests: tuple[Stored, ...]) -> bool:
    deleted = [registry.delete_manifest(repository, one.digest) for one in manifests]
    return all(deleted)


def _who_moves(
    registry: Distribution, repository: str, float_tag: str, first: Stored, second: Stored
) -> Literal["client", "nobody"]:
    if not _takes(registry, repository, float_tag, first):
        return "nobody"
    _takes(registry, repository, float_tag, second)
    return "client" if registry.digest(repository, float_tag) == second.digest else "nobody"


def _tiny(registry: Distribution, repository: str, content: str) -> Stored:
    document = json.dumps({"probe": content}).encode()
    made = artifact(_TYPE, document, {})
    for blob in (EMPTY, document):
        if not registry.has_blob(repository, digest_of(blob)):
            registry.put_blob(repository, digest_of(blob), blob)
    return made.manifest


def _takes(registry: Distribution, repository: str, tag: str, stored: Stored) -> bool:
    try:
        registry.put_manifest(repository, tag, stored.content, stored.media_type)
    except RegistryError as error:
        if error.status in _REFUSALS:
            return False
        raise
    return True


def _has_referrers(registry: Distribution, repository: str, digest: str) -> bool:
    answer = registry.request("GET", f"/v2/{repository}/referrers/{digest}", ok=(200, 400, 404, 405))
    return answer.status_code == 200 and "json" in answer.headers.get("Content-Type", "")
