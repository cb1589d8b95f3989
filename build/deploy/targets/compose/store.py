"""The store of a Compose target: labels of volumes, which `docker volume prune` leaves alone; the lock is a container.

A volume of a name that exists is no error to the engine, so only the name of a container is safe from a second writer.
Neither carries the label of the Compose project: `docker compose down --remove-orphans` must not take it along.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from build.deploy.target import TARGET_LABEL, Item
from build.deploy.targets.compose import containers
from build.engine.api import Api, ApiError

_NAME_LABEL = f"{TARGET_LABEL}.item"
_PART_LABEL = f"{TARGET_LABEL}.part"
_PART = 60_000  # characters: Linux takes arguments of 128 KiB
_EMPTY_TAR = bytes(10240)  # two blocks of zeros end an archive, in a record of ten kilobytes
_VOLUMES, _CONTAINERS = "volume", "container"


class ComposeStore:
    """Small JSON objects of a project on an engine."""

    def __init__(self, api: Api, project: str) -> None:
        self._api, self._project = api, project

    def items(self) -> list[Item]:
        """Everything that is kept."""
        only = {"label": [f"{TARGET_LABEL}={self._project}"]}
        volumes = self._api.get("/volumes", filters=only)["Volumes"] or []
        holders = self._api.get("/containers/json", filters=only, all="true")
        kept = [(_VOLUMES, each["Name"], each["Labels"]) for each in volumes]
        kept += [(_CONTAINERS, each["Id"], each["Labels"]) for each in holders]
        return [
            Item(name=labels[_NAME_LABEL], identity=f"{kind} {identity}", content=_unpacked(labels))
            for kind, identity, labels in kept
            if _NAME_LABEL in labels
        ]

    def create(self, name: str, content: Mapping[str, Any], *, exclusive: bool = False) -> bool:
        """Keep an object; False if there is one of this name."""
        labels = {TARGET_LABEL: self._project, _NAME_LABEL: name, **_packed(content)}
        full = f"{self._project}-deploy-{name}"
        if exclusive:
            return self._create_container(full, labels)
        if self._api.find(f"/volumes/{full}") is not None:
            return False
        self._api.post("/volumes/create", {"Name": full, "Labels": labels})
        return True

    def _create_container(self, name: str, labels: Mapping[str, str]) -> bool:
        """Create a container that never runs, from an image without anything in it."""
        image = f"{name}:empty"
        if self._api.find(f"/images/{image}/json") is None:
            self._api.engine.raw("import", "-", image, stdin=_EMPTY_TAR)
        body = {"Image": image, "Cmd": ["held"], "Labels": labels, "HostConfig": {"NetworkMode": "none"}}
        try:
            self._api.post("/containers/create", body, name=name)
        except ApiError as error:
            if error.status == HTTPStatus.CONFLICT:
                return False
            raise
        return True

    def remove(self, item: Item) -> None:
        """Remove this very item."""
        kind, _, identity = item.identity.partition(" ")
        if kind == _CONTAINERS:
            containers.remove(self._api, identity)
        else:
            self._api.delete(f"/volumes/{identity}")


def _packed(content: Mapping[str, Any]) -> dict[str, str]:
    text = base64.b64encode(zlib.compress(json.dumps(content).encode(), 9)).decode()
    parts = [text[start : start + _PART] for start in range(0, len(text), _PART)]
    return {f"{_PART_LABEL}.{number}": part for number, part in enumerate(parts)}


def _unpacked(labels: Mapping[str, str]) -> dict[str, Any]:
    parts: list[str] = []
    while (part := labels.get(f"{_PART_LABEL}.{len(parts)}")) is not None:
        parts.append(part)
    content: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode("".join(parts))))
    return content
