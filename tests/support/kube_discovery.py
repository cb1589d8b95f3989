"""What the API server of the tests has, and the documents that say so: discovery and the OpenAPI stubs kubectl reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """A kind of object that the server has."""

    group: str
    name: str
    kind: str
    namespaced: bool = True
    short: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """As `apiVersion` has it; all that are used are v1."""
        return f"{self.group}/v1" if self.group else "v1"


RESOURCES = {
    resource.name: resource
    for resource in (
        Resource(group="", name="namespaces", kind="Namespace", namespaced=False, short=("ns",)),
        Resource(group="", name="configmaps", kind="ConfigMap", short=("cm",)),
        Resource(group="", name="secrets", kind="Secret"),
        Resource(group="", name="services", kind="Service", short=("svc",)),
        Resource(group="", name="pods", kind="Pod", short=("po",)),
        Resource(group="", name="persistentvolumeclaims", kind="PersistentVolumeClaim", short=("pvc",)),
        Resource(group="apps", name="deployments", kind="Deployment", short=("deploy",)),
        Resource(group="apps", name="statefulsets", kind="StatefulSet", short=("sts",)),
        Resource(group="apps", name="replicasets", kind="ReplicaSet", short=("rs",)),
        Resource(group="networking.k8s.io", name="networkpolicies", kind="NetworkPolicy"),
        Resource(group="policy", name="poddisruptionbudgets", kind="PodDisruptionBudget", short=("pdb",)),
        Resource(group="coordination.k8s.io", name="leases", kind="Lease"),
        Resource(
            group="authorization.k8s.io",
            name="selfsubjectaccessreviews",
            kind="SelfSubjectAccessReview",
            namespaced=False,
        ),
    )
}


def document(server: str, path: str) -> Any:
    """The document by which kubectl learns what a server of this version has; None for any other path."""
    groups: dict[str, list[Resource]] = {}
    for resource in RESOURCES.values():
        groups.setdefault(resource.version, []).append(resource)
    if path == "/version":
        major, minor, _ = server.removeprefix("v").split(".")
        return {"major": major, "minor": minor, "gitVersion": server}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        named = [{"groupVersion": version, "version": "v1"} for version in groups if version != "v1"]
        listed = [
            {"name": one["groupVersion"].partition("/")[0], "versions": [one], "preferredVersion": one} for one in named
        ]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
    if path == "/openapi/v3":
        places = {version: f"/openapi/v3/{_place(version)}" for version in groups}
        return {"paths": {_place(version): {"serverRelativeURL": url} for version, url in places.items()}}
    for version, resources in groups.items():
        if path == f"/{_place(version)}":
            listed = [_listed(resource) for resource in resources]
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": listed}
        if path == f"/openapi/v3/{_place(version)}":
            return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": server},
                    "paths": {f"/{_place(version)}/{one.name}/{{name}}": {"patch": _patch(one)} for one in resources},
                    "components": {"schemas": {}}}  # fmt: skip
    return None


def _place(version: str) -> str:
    return "api/v1" if version == "v1" else f"apis/{version}"


def _listed(resource: Resource) -> Object:
    verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
    return {"name": resource.name, "singularName": resource.kind.lower(), "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": verbs, "shortNames": list(resource.short)}  # fmt: skip


def _patch(resource: Resource) -> Object:
    kind = {"group": resource.group, "version": "v1", "kind": resource.kind}
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in ("dryRun", "fieldValidation")]
    return {
        "x-kubernetes-group-version-kind": kind,
        "parameters": parameters,
        "responses": {"200": {"description": "OK"}},
    }
