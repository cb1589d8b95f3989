"""Images that a service can't be deployed with, made in the registry from a good one: another configuration, no build."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from tests.support.hub import Hub

Config = dict[str, Any]
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MISSING = "sha256:" + "5" * 64  # a digest that nobody has


def _crash(config: Config) -> None:
    config["Entrypoint"] = ["/bin/sh", "-c", "echo boom; exit 3"]


def _sick(config: Config) -> None:
    config["Healthcheck"] = config["Healthcheck"] | {"Test": ["CMD-SHELL", "echo not well; exit 1"]}


def _dying(config: Config) -> None:
    config["Env"] = [*config["Env"], "DIES_AFTER=2.5"]


def _wrong(config: Config) -> None:
    config["Env"] = [*config["Env"], "BROKEN_PATH=/smoke"]


def _relabelled(config: Config) -> None:
    config["Labels"] = (config.get("Labels") or {}) | {"relabelled": "yes"}


# `crash` ends at once, `sick` never becomes healthy, `dying` dies again and again soon after it was healthy, `wrong` is
# healthy and fails its smoke check. `relabelled` is good, with another digest.
WAYS: dict[str, Callable[[Config], None]] = {
    "crash": _crash, "sick": _sick, "dying": _dying, "wrong": _wrong, "relabelled": _relabelled,
}  # fmt: skip


def spoiled(hub: Hub, repository: str, digest: str, way: str, *, mark: str = "") -> str:
    """Put an image into the registry that is spoiled in one of WAYS; return its digest, for "missing" MISSING.

    With another `mark` it is another image.
    """
    if way == "missing":
        return MISSING

    def spoil(config: Config) -> None:
        WAYS[way](config)
        if mark:
            config["Labels"] = (config.get("Labels") or {}) | {"mark": mark}

    return configured(hub, repository, digest, spoil)


def configured(hub: Hub, repository: str, digest: str, change: Callable[[Config], None]) -> str:
    """Put an image into the registry whose configuration is changed; return its digest."""
    body = hub.manifest(repository, digest)
    for child in body.get("manifests", []):
        if "vnd.docker.reference.type" not in child.get("annotations", {}):
            body = hub.manifest(repository, child["digest"])
    config = json.loads(hub.blob(repository, body["config"]["digest"]) or b"")
    change(config["config"])
    content = json.dumps(config).encode()
    body["config"] |= {"digest": hub.put_blob(repository, content), "size": len(content)}
    manifest = json.dumps(body).encode()
    name = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    assert hub.put(repository, name, manifest, body.get("mediaType", _MANIFEST)) == 201
    return name
