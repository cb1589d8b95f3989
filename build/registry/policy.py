"""What a registry allows, probed in a scratch repository: immutable tags, floating tags, referrers, deletion.

Harbor answers 412 to every PUT of an immutable tag, even with the same digest. ProGet accepts three-part tags only and
moves X.Y and X itself. Others allow every tag to be overwritten. No API reports these rules; only a probe shows them.
"""

from __future__ import annotations

import dataclasses
import json
import random
import re
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
_SLOTS = 8  # probes that may run at once; each leaves three tags where nothing can be deleted
_FLOATS = 100
_PROBED = re.compile(rf"1\.[0-{_SLOTS - 1}](\.0)?|{_FLOATS // 10}[0-{_SLOTS - 1}]|sha256-[0-9a-f]{{64}}\.sig")


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What the registry at `address` (with its namespace) allows.

    `immutable`: an existing tag can't be moved. `equal_put`: a PUT of a tag's own digest is accepted. `floats`: who
    moves X.Y and X, "nobody" if such tags are refused or immutable. `referrers`: it has the referrers API.
    `fallback_tags`: it accepts tags such as sha256-….sig (signatures without a referrers API). `deletes`: manifests
    can be deleted.
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
    return cached(manifest) or _probe(manifest, registry)


def cached(manifest: Manifest) -> Policy | None:
    """Return the policy that an earlier probe of this checkout found; None if there was none."""
    kept = json_file.read(manifest.workspace.registry_policy)
    if kept.get("address") != manifest.home:
        return None
    try:
        return Policy(**kept)
    except TypeError:  # of another version of this class
        return None


def probe(manifest: Manifest) -> Policy:
    """Probe the manifest's registry in NAMESPACE/uc-probe, and cache the result. Raises RegistryError."""
    with RegistryClient(manifest) as registry:
        return _probe(manifest, registry)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Names:
    """The tags and documents of one probe. There are few of them, because not every registry lets us delete them."""

    repository: str
    slot: int

    @property
    def version(self) -> str:
        """A three-part tag; a registry that moves floats itself would move 1.SLOT to it."""
        return f"1.{self.slot}.0"

    @property
    def float(self) -> str:
        """A tag that no registry derives from the version."""
        return f"{_FLOATS + self.slot}"


def scratch_repository(manifest: Manifest) -> str:
    """Return the repository that probes write to."""
    return f"{manifest.registry.namespace}/{SCRATCH}"


def is_of_a_probe(tag: str) -> bool:
    """Whether a tag in the scratch repository is one that a probe leaves when it is killed, or can't delete."""
    return _PROBED.fullmatch(tag) is not None


def _probe(manifest: Manifest, registry: RegistryClient) -> Policy:
    """Probe with names that no other probe uses just now; what two of them agree about is believed."""
    repository = scratch_repository(manifest)
    slots = random.sample(range(_SLOTS), _SLOTS)
    result = _probe_with(manifest, registry, _Names(repository=repository, slot=slots[0]))
    if result.immutable or result.floats != "client":
        # Another probe may have been at the same tags: it moves them, and deletes them.
        second = _probe_with(manifest, registry, _Names(repository=repository, slot=slots[1]))
        result = dataclasses.replace(
            second,
            immutable=result.immutable and second.immutable,
            floats=second.floats if second.floats == result.floats else "client",
        )
    json_file.write(manifest.workspace.registry_policy, dataclasses.asdict(result))
    return result


def _probe_with(manifest: Manifest, registry: RegistryClient, names: _Names) -> Policy:
    repository = names.repository
    first, second = (_push_document(registry, repository, f"{names.slot}-{suffix}") for suffix in ("a", "b"))
    equal_put, moved = _moves(registry, repository, names.version, first, second)
    served = [registry.digest(repository, f"1.{names.slot}", new=True)]
    fallback = f"{first.digest.replace(':', '-')}.sig"
    result = Policy(
        address=manifest.home,
        immutable=not moved,
        equal_put=equal_put,
        floats="server" if any(served) else _floats(registry, names, first, second),
        referrers=_has_referrers(registry, repository, first.digest),
        fallback_tags=_accepts(registry, repository, fallback, second),
        deletes=False,
    )
    return dataclasses.replace(result, deletes=_delete(registry, repository, (first, second)))


def _moves(
    registry: RegistryClient, repository: str, tag: str, first: RawManifest, second: RawManifest
) -> tuple[bool, bool]:
    """Whether a tag, which an earlier probe may have left, takes the manifest that it names, and whether another."""
    there = registry.digest(repository, tag, new=True)
    if there is None:
        registry.put_manifest(repository, tag, first.content, first.media_type)
    same, other = (second, first) if there == second.digest else (first, second)
    equal_put = _accepts(registry, repository, tag, same)
    moved = _accepts(registry, repository, tag, other) and registry.digest(repository, tag) == other.digest
    return equal_put, moved


def _floats(
    registry: RegistryClient, names: _Names, first: RawManifest, second: RawManifest
) -> Literal["client", "nobody"]:
    tag = names.float
    if registry.digest(names.repository, tag, new=True) is None and not _accepts(
        registry, names.repository, tag, first
    ):
        return "nobody"
    return "client" if _moves(registry, names.repository, tag, first, second)[1] else "nobody"


def _delete(registry: RegistryClient, repository: str, manifests: tuple[RawManifest, ...]) -> bool:
    """Delete the manifests, and with them their tags."""
    deleted = [registry.delete_manifest(repository, manifest.digest) for manifest in manifests]
    return all(deleted)


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
