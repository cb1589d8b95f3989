"""Deleting manifests, always by digest; and what to do where a registry deletes none, or keeps the bytes.

Distribution answers 405 unless storage.delete.enabled is set, and so do Docker Hub and ghcr.io, which have no such API
(OCI distribution specification, "Content Management").
"""

from __future__ import annotations

from build.config.manifest import Manifest
from build.errors import RegistryError
from build.registry import embedded, responses
from build.registry.client import RegistryClient
from build.registry.connections import is_loopback

_NOT_ALLOWED = {405, 501}
_NOTHING = f"sha256:{'0' * 64}"  # no manifest has this digest
_HOSTED = {
    "ghcr.io": "on the package's page on GitHub, or by GitHub's own API: gh api --method DELETE"
    " /orgs/OWNER/packages/container/NAME/versions/ID",
    "docker.io": "on the repository's page on hub.docker.com, or by Docker Hub's own API",
}
_HUB = {"docker.io", "index.docker.io", "registry-1.docker.io"}
_RECREATE = "./inv registry.down, then ./inv registry.up   makes its container anew, which deletes; its storage stays"
_ENABLE = "Distribution: set REGISTRY_STORAGE_DELETE_ENABLED=true and restart it; others delete by an API of their own"


class DeletesNothing(RegistryError):
    """The registry deletes no manifests, whoever asks."""


def is_embedded(manifest: Manifest) -> bool:
    """Whether the registry is the embedded one."""
    return manifest.registry.embedded and is_loopback(manifest.registry.address)


def prove(manifest: Manifest, registry: RegistryClient, repository: str) -> None:
    """Ask for the deletion of what nobody has, and return if the registry deletes manifests at all.

    It proves no right to delete. Raises DeletesNothing, and RegistryError as `delete` does.
    """
    delete(manifest, registry, repository, _NOTHING)


def delete(manifest: Manifest, registry: RegistryClient, repository: str, digest: str) -> bool:
    """Delete a manifest, and with it every tag that names it; False if there was none.

    Raises DeletesNothing where the registry does not support that, RegistryError where it refuses.
    """
    path = f"/v2/{repository}/manifests/{digest}"
    answer = registry.request(
        "DELETE",
        path,
        ok={200, 202, 204, 404, *_NOT_ALLOWED},
        check=lambda answer: responses.absence(answer) if answer.status_code == 404 else "",
    )
    if answer.status_code in _NOT_ALLOWED:
        refused = registry.failure(f"deletes nothing: it answers {answer.status_code}", "DELETE", path)
        error = DeletesNothing(str(refused), hint=instead(manifest))
        error.status = answer.status_code
        raise error
    return answer.status_code != 404


def instead(manifest: Manifest) -> str:
    """Return what makes the registry delete, or who does where this API can't."""
    host = manifest.registry.address.partition("/")[0]
    if hosted := _HOSTED.get("docker.io" if host in _HUB else host):
        return f"delete there: {hosted}"
    return _RECREATE if is_embedded(manifest) else _ENABLE


def frees(manifest: Manifest) -> str:
    """Return what frees the disk after manifests were deleted: for the embedded registry the exact command.

    Distribution keeps the blobs until its garbage collection runs, and loses a layer that is pushed while it runs. With
    --delete-untagged it would delete the platforms of every image, which no tag names (distribution/distribution#3178).
    """
    if is_embedded(manifest):
        return f"docker exec {embedded.container(manifest)} {embedded.COLLECT}"
    return "registry garbage-collect /etc/docker/registry/config.yml"
