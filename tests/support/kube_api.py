"""An API server of Kubernetes for real kubectl: on loopback, in memory, with a little controller behind it.

It has discovery, get, list, watch, create, delete with preconditions, server-side apply with managed fields and
conflicts, JSON and strategic merge patches, scale, logs and access reviews. It has no admission, no schemas, no
scheduling, no networks and no nodes: what those refuse is not seen here.
"""

from __future__ import annotations

import contextlib
import copy
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support import kube_controller
from tests.support.kube_defaults import defaulted

Object = dict[str, Any]
Key = tuple[str, str, str]

_TICK_SECONDS = 0.05


@dataclass(slots=True)
class Cluster:
    """What the server keeps. `images` says what becomes of a digest, `denied` which (verb, resource) is forbidden.

    `refusals` has the words by which every change of a resource is refused.
    """

    version: str = "v1.32.3"
    objects: dict[Key, Object] = field(default_factory=dict)
    events: list[tuple[str, str, Object]] = field(default_factory=list)
    images: dict[str, str] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    denied: set[tuple[str, str]] = field(default_factory=set)
    refusals: dict[str, str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    serial: int = 0
    lock: threading.Condition = field(default_factory=threading.Condition)
    is_stopped: bool = False

    def every(self, resource: str) -> list[Object]:
        """All objects of a resource."""
        return [item for key, item in list(self.objects.items()) if key[0] == resource]

    def get(self, resource: str, name: str, namespace: str = "") -> Object:
        """The object of this name, for a test; in the only namespace that has one, if none is named."""
        with self.lock:
            return next(
                copy.deepcopy(item)
                for key, item in self.objects.items()
                if key[0] == resource and key[2] == name and namespace in {"", key[1]}
            )

    def names(self, resource: str) -> list[str]:
        """The names of all objects of a resource."""
        with self.lock:
            return sorted(item["metadata"]["name"] for item in self.every(resource))

    def put(self, resource: str, item: Object) -> Object:
        """Keep an object as a server does: with uid, resource version, generation and an event for who watches."""
        item = defaulted(copy.deepcopy(item))
        metadata = item["metadata"]
        key = (resource, metadata.get("namespace", ""), metadata["name"])
        live = self.objects.get(key)
        metadata["uid"] = live["metadata"]["uid"] if live else str(uuid.uuid4())
        metadata["creationTimestamp"] = live["metadata"]["creationTimestamp"] if live else kube_controller.now()
        generation = live["metadata"].get("generation", 0) if live else 0
        metadata["generation"] = generation + int(live is None or live.get("spec") != item.get("spec"))
        metadata["resourceVersion"] = live["metadata"]["resourceVersion"] if live else ""
        if item != live:
            self._note("MODIFIED" if live else "ADDED", resource, item)
            self.objects[key] = item
        return item

    def drop(self, resource: str, item: Object, *, cascade: bool = True) -> None:
        """Remove an object, and what it owns."""
        metadata = item["metadata"]
        self.objects.pop((resource, metadata.get("namespace", ""), metadata["name"]), None)
        self._note("DELETED", resource, item)
        if cascade:
            for owned in [key for key, other in self.objects.items() if _owner(other) == metadata["uid"]]:
                self.drop(owned[0], self.objects[owned])

    def _note(self, event: str, resource: str, item: Object) -> None:
        item["metadata"]["resourceVersion"] = str(len(self.events) + 1)
        self.events.append((event, resource, copy.deepcopy(item)))
        self.lock.notify_all()

    def run(self) -> None:
        """Let the controllers work until the cluster is stopped."""
        while not self.is_stopped:
            with self.lock:
                kube_controller.step(self)
            time.sleep(_TICK_SECONDS)


def _owner(item: Object) -> str:
    owners = item["metadata"].get("ownerReferences", [])
    return str(owners[0]["uid"]) if owners else ""


def kubeconfig(path: Path, contexts: dict[str, str], current: str = "") -> Path:
    """Write a kubeconfig with these contexts, each with the address of its server; return its path."""
    entries = {
        "clusters": [{"name": name, "cluster": {"server": address}} for name, address in contexts.items()],
        "users": [{"name": "tester", "user": {"token": "a-token"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "tester"}} for name in contexts],
    }
    content = {"apiVersion": "v1", "kind": "Config", "current-context": current, **entries}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@contextlib.contextmanager
def working(cluster: Cluster) -> Iterator[None]:
    """Run the controllers of the cluster."""
    thread = threading.Thread(target=cluster.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        cluster.is_stopped = True
        with cluster.lock:
            cluster.lock.notify_all()
        thread.join()
