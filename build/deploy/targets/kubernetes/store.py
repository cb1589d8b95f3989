"""What a target keeps in its cluster: ConfigMaps for its journal, and a Lease for what is exclusive."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from build.deploy.target import TARGET_LABEL, Item
from build.deploy.targets.kubernetes.kubectl import Kubectl
from build.errors import ToolFailed
from build.stack import kubernetes

_CONTENT = "content.json"
_ANNOTATION = "org.unity-claude.content"
Result = TypeVar("Result")
_NAME = "org.unity-claude.name"
_PATHS = {"ConfigMap": "/api/v1/namespaces/{}/configmaps/{}",
          "Lease": "/apis/coordination.k8s.io/v1/namespaces/{}/leases/{}"}  # fmt: skip


class ClusterStore:
    """Small JSON objects in the namespace of a target; see build.deploy.target.Store."""

    def __init__(self, kubectl: Kubectl, project: str) -> None:
        self._kubectl = kubectl
        self._project = project

    def items(self) -> list[Item]:
        """Everything that is kept, in no order. Raises MissingTool, ToolFailed."""
        selector = f"{TARGET_LABEL}={self._project}"
        return [_item(found) for found in self._kubectl.items(["configmaps", "leases.coordination.k8s.io"], selector)]

    def create(self, name: str, content: Mapping[str, Any], *, exclusive: bool = False) -> bool:
        """Keep an object; False if there is one of this name. The API server decides between two writers.

        Raises MissingTool, ToolFailed.
        """
        item = self._lease(name, content) if exclusive else self._map(name, content)
        return self.in_namespace(lambda: self._kubectl.create(item))

    def in_namespace(self, call: Callable[[], Result]) -> Result:
        """What the call returns; if the namespace is not there, it is created, and the call made again."""
        try:
            return call()
        except ToolFailed as error:
            if "(NotFound)" not in error.output or "namespaces" not in error.output:
                raise
        self._kubectl.create(kubernetes.namespace(self._kubectl.namespace))
        return call()

    def remove(self, item: Item) -> None:
        """Remove this very item, by its uid; no failure if it is gone. Raises MissingTool, ToolFailed."""
        kind, _, uid = item.identity.partition(" ")
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        path = _PATHS[kind].format(self._kubectl.namespace, self._object_name(item.name))
        try:
            self._kubectl.run("delete", f"--raw={path}", "--filename=-", text=json.dumps(options))
        except ToolFailed as error:
            if not any(reason in error.output for reason in ("(NotFound)", "(Conflict)")):
                raise

    def _map(self, name: str, content: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": self._metadata(name),
            "data": {_CONTENT: json.dumps(content)},
        }

    def _lease(self, name: str, content: Mapping[str, Any]) -> dict[str, Any]:
        metadata = self._metadata(name)
        metadata["annotations"][_ANNOTATION] = json.dumps(content)
        holder = "@".join(str(content.get(key, "unknown")) for key in ("who", "host"))
        acquired = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {"holderIdentity": holder, "acquireTime": acquired},
        }

    def _metadata(self, name: str) -> dict[str, Any]:
        labels = {TARGET_LABEL: self._project}
        return {"name": self._object_name(name), "labels": labels, "annotations": {_NAME: name}}

    def _object_name(self, name: str) -> str:
        return f"{self._project}-{name}"


def _item(found: Mapping[str, Any]) -> Item:
    metadata = found["metadata"]
    annotations = metadata.get("annotations", {})
    text = found.get("data", {}).get(_CONTENT) or annotations.get(_ANNOTATION) or "{}"
    return Item(
        name=annotations.get(_NAME, metadata["name"]),
        identity=f"{found['kind']} {metadata['uid']}",
        content=json.loads(text),
    )
