"""The HTTP side of the API server that tests give to kubectl; what it keeps is in kube_api."""

from __future__ import annotations

import contextlib
import copy
import http.server
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

import yaml

from tests.support import kube_discovery, kube_fields
from tests.support.kube_api import Cluster, Object, working
from tests.support.kube_controller import now
from tests.support.kube_defaults import defaulted
from tests.support.kube_discovery import RESOURCES, Resource

_PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[^/]+)/v1)(?:/namespaces/(?P<namespace>[^/]+))?/(?P<resource>[a-z]+)"
    r"(?:/(?P<name>[^/]+))?(?:/(?P<subresource>[a-z]+))?"
)
_OWN_NAMESPACE = re.compile(r"/api/v1/namespaces(?:/(?P<name>[^/]+))?")
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_FREE = {"replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "minReadySeconds"}


class Refused(Exception):
    """A request is answered by a Status: its code, its reason and its message."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason


@contextlib.contextmanager
def serving(cluster: Cluster) -> Iterator[str]:
    """Serve a cluster on loopback; yields its address."""

    class Handler(_Handler):
        pass

    Handler.cluster = cluster
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        with working(cluster):
            yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    cluster: Cluster
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Print nothing."""

    def __getattr__(self, name: str) -> Any:
        """One answer for every method."""
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        body = self._body()
        self.cluster.requests.append(f"{self.command} {url.path}")
        try:
            if (document := kube_discovery.document(self.cluster.version, url.path)) is not None:
                self._send(200, document)
            else:
                self._resource(url.path, query, body)
        except Refused as error:
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": str(error),
                      "reason": error.reason, "code": error.code}  # fmt: skip
            self._send(error.code, status)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send(self, code: int, document: Any) -> None:
        content = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain" if isinstance(document, str) else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _resource(self, path: str, query: dict[str, str], body: bytes) -> None:
        match = _OWN_NAMESPACE.fullmatch(path) or _PATH.fullmatch(path)
        if match is None:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        parts = match.groupdict()
        resource = RESOURCES.get(parts.get("resource", "namespaces"))
        if resource is None or resource.group != (parts.get("group") or ""):
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        name, namespace = parts["name"] or "", parts.get("namespace") or ""
        verb = "list" if self.command == "GET" and not name else _VERBS[self.command]
        subresource = parts.get("subresource") or ""
        if (verb, f"{resource.name}/{subresource}".rstrip("/")) in self.cluster.denied:
            raise Refused(
                403, "Forbidden", f'{resource.name} is forbidden: User "tester" cannot {verb} {resource.name}'
            )
        if query.get("watch") in {"true", "1"}:
            self._watch(resource, namespace, query)
            return
        call = _Call(self.cluster, resource, namespace, name, query, self.headers.get("Content-Type", ""))
        with self.cluster.lock:
            code, document = call.carry_out(self.command, subresource, body)
        self._send(code, document)

    def _watch(self, resource: Resource, namespace: str, query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        seen = int(query.get("resourceVersion") or 0)
        with contextlib.suppress(OSError):
            while not self.cluster.is_stopped:
                with self.cluster.lock:
                    if len(self.cluster.events) <= seen:
                        self.cluster.lock.wait(1)
                    events, seen = self.cluster.events[seen:], max(seen, len(self.cluster.events))
                for event, kind, item in events:
                    if kind == resource.name and _selected(item, namespace, query):
                        line = json.dumps({"type": event, "object": item}).encode() + b"\n"
                        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                self.wfile.flush()


class _Call:
    """A request for objects of a resource; the cluster is locked meanwhile."""

    def __init__(
        self, cluster: Cluster, resource: Resource, namespace: str, name: str, query: dict[str, str], media: str
    ) -> None:
        self.cluster, self.resource, self.name = cluster, resource, name
        self.namespace, self.query, self.media = namespace, query, media
        self.manager = query.get("fieldManager") or "unknown"

    def carry_out(self, method: str, subresource: str, body: bytes) -> tuple[int, Any]:
        """The code and the document of the answer. Raises Refused."""
        if method == "GET" and not self.name:
            return 200, self._list()
        if method == "POST":
            return 201, self._create(json.loads(body))
        if method == "PATCH" and self.media.startswith("application/apply-patch"):
            return self._apply(yaml.safe_load(body))
        live = self._live()
        if subresource == "log":
            return 200, self.cluster.logs.get(live["spec"]["containers"][0]["image"].partition("@")[2], "")
        if subresource == "scale":
            return 200, self._scale(live, json.loads(body or b"{}"))
        if method == "GET":
            return 200, live
        if method == "DELETE":
            return 200, self._delete(live, json.loads(body or b"{}"))
        return 200, self._keep(
            kube_fields.updated(live, self._patched(live, json.loads(body)), self.manager, now=now())
        )

    def _key(self) -> tuple[str, str, str]:
        return self.resource.name, self.namespace, self.name

    def _live(self) -> Object:
        if (item := self.cluster.objects.get(self._key())) is None:
            raise Refused(404, "NotFound", f'{self._qualified()} "{self.name}" not found')
        return copy.deepcopy(item)

    def _qualified(self) -> str:
        return f"{self.resource.name}.{self.resource.group}".rstrip(".")

    def _list(self) -> Object:
        items = [item for item in self.cluster.every(self.resource.name) if _selected(item, self.namespace, self.query)]
        metadata = {"resourceVersion": str(len(self.cluster.events))}
        kind = f"{self.resource.kind}List"
        return {"kind": kind, "apiVersion": self.resource.version, "metadata": metadata, "items": copy.deepcopy(items)}

    def _require_namespace(self) -> None:
        if self.resource.namespaced and ("namespaces", "", self.namespace) not in self.cluster.objects:
            raise Refused(404, "NotFound", f'namespaces "{self.namespace}" not found')

    def _create(self, item: Object) -> Object:
        if self.resource.kind == "SelfSubjectAccessReview":
            asked = item["spec"]["resourceAttributes"]
            what = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
            return item | {"status": {"allowed": (asked["verb"], what) not in self.cluster.denied}}
        self._require_namespace()
        self.name = item["metadata"]["name"]
        if self._key() in self.cluster.objects:
            raise Refused(409, "AlreadyExists", f'{self._qualified()} "{self.name}" already exists')
        return self._keep(item)

    def _keep(self, item: Object) -> Object:
        if words := self.cluster.refusals.get(self.resource.name):
            raise Refused(422, "Invalid", words)
        if self.resource.namespaced:
            item["metadata"]["namespace"] = self.namespace
        live = self.cluster.objects.get(self._key())
        if live and self.resource.kind == "StatefulSet":
            specs = [{key: value for key, value in defaulted(one)["spec"].items() if key not in _FREE}
                     for one in (live, item)]  # fmt: skip
            if specs[0] != specs[1]:
                message = "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'template' …"
                raise Refused(422, "Invalid", f'StatefulSet.apps "{self.name}" is invalid: {message} are forbidden')
        if self.query.get("dryRun") == "All":
            return defaulted(item)
        return self.cluster.put(self.resource.name, item)

    def _apply(self, wanted: Object) -> tuple[int, Object]:
        self._require_namespace()
        live = self.cluster.objects.get(self._key())
        force = self.query.get("force") == "true"
        try:
            item = kube_fields.applied(live, wanted, self.manager, force=force, now=now())
        except kube_fields.Conflict as error:
            raise Refused(409, "Conflict", f"Apply failed with 1 conflict: {error}") from None
        return (200 if live else 201), self._keep(item)

    def _patched(self, live: Object, patch: Any) -> Object:
        if not self.media.startswith("application/json-patch"):
            item: Object = kube_fields.strategic(live, patch)
            return item
        item = copy.deepcopy(live)
        for operation in patch:
            *parents, last = operation["path"].strip("/").split("/")
            place: Any = item
            for key in parents:
                place = place[int(key) if isinstance(place, list) else key]
            if operation["op"] == "test":
                if place.get(last) != operation["value"]:
                    raise Refused(422, "Invalid", f"the server rejected our request: testing path {operation['path']}")
            else:
                place[last] = operation["value"]
        return item

    def _scale(self, live: Object, patch: Object) -> Object:
        if "spec" in patch:
            changed = copy.deepcopy(live)
            changed["spec"]["replicas"] = patch["spec"]["replicas"]
            live = self._keep(
                kube_fields.updated(live, changed, self.manager, now=now(), subresource="scale")
            )  # fmt: skip
        metadata = {key: live["metadata"][key] for key in ("name", "namespace", "resourceVersion", "uid")}
        spec = {"replicas": live["spec"]["replicas"]}
        return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec}

    def _delete(self, live: Object, options: Object) -> Object:
        wanted = options.get("preconditions", {}).get("uid")
        if wanted and wanted != live["metadata"]["uid"]:
            raise Refused(409, "Conflict", f"the UID in the precondition ({wanted}) does not match the UID in record")
        self.cluster.drop(self.resource.name, live, cascade=options.get("propagationPolicy") != "Orphan")
        details = {"name": self.name, "kind": self.resource.name, "uid": live["metadata"]["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "status": "Success", "details": details}


def _selected(item: Object, namespace: str, query: dict[str, str]) -> bool:
    metadata = item["metadata"]
    if namespace and metadata.get("namespace") != namespace:
        return False
    labels = [part.partition("=") for part in query.get("labelSelector", "").split(",") if part]
    if any(metadata.get("labels", {}).get(key) != value for key, _, value in labels):
        return False
    fields = [part.partition("=") for part in query.get("fieldSelector", "").split(",") if part]
    return all(key == "metadata.name" and metadata["name"] == value for key, _, value in fields)
