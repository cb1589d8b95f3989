"""What forbids to deploy a set to a cluster, looked for before anything is changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from build.config.deploy import VOLUME, TargetSettings
from build.deploy.target import Problem, Spec
from build.deploy.targets.kubernetes.kubectl import Kubectl
from build.deploy.targets.kubernetes.secrets import ClusterSecrets
from build.errors import ToolFailed
from build.registry.connections import is_each_machines_own
from build.stack import kubernetes, pods

# Of a Service's name, which is the strictest (RFC 1035); it is a container's.
_DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,50}[a-z0-9])?")
_LABEL = re.compile(r"([a-z0-9.-]+/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?=[-A-Za-z0-9_.]*")
# Resource, API group, and verbs: what a deploy does, and no more.
_RIGHTS = (
    ("deployments", "apps", "get list create patch delete"),
    ("statefulsets", "apps", "get list create patch delete"),
    ("replicasets", "apps", "list"),
    ("services", "", "get list create patch delete"),
    ("networkpolicies", "networking.k8s.io", "get list create patch delete"),
    ("poddisruptionbudgets", "policy", "get list create patch delete"),
    ("pods", "", "get list delete"),
    ("pods/log", "", "get"),
    ("configmaps", "", "list create patch delete"),
    ("secrets", "", "list create patch delete"),
    ("persistentvolumeclaims", "", "get"),
    ("leases", "coordination.k8s.io", "list create delete"),
)


def of_set(specs: Mapping[str, Spec], target: str, settings: TargetSettings) -> Iterator[Problem]:
    """What is wrong with the set and the target's settings, wherever the cluster is."""
    key = f"[deploy.targets.{target}]"
    stored: dict[str, set[str]] = {}
    for name, spec in specs.items():
        if not _DNS_LABEL.fullmatch(name):
            hint = f"rename the container {name}: at most 52 of a-z, 0-9 and -, a letter first"
            yield Problem(f"{name} can't be the name of a Service", hint)
        for path in _host_paths(spec):
            hint = f'{key} sources: "{VOLUME}NAME" in place of {path}, NAME a PersistentVolumeClaim that has the files'
            yield Problem(f"{name} reads {path} of its node, which the restricted profile forbids", hint)
        for label in settings.placement.get(name, ()):
            if not _LABEL.fullmatch(label):
                yield Problem(f"{key} placement.{name}: {label} is not a label of nodes", 'as "disktype=ssd"')
        for secret in spec.secrets:
            stored.setdefault(pods.secret_name(secret), set()).add(secret)
    for name, names in stored.items():
        if len(names) > 1:
            yield Problem(f"{' and '.join(sorted(names))} would be the same Secret {name}", "rename one of them")
    registries = sorted({spec.image.partition("/")[0] for spec in specs.values()})
    for registry in registries:
        # Named as the nodes see it, it may well be their own: kind and others forward it to a registry.
        if is_each_machines_own(registry) and not settings.registry:
            hint = f'{key} registry = "HOST:PORT", as the nodes see it'
            yield Problem(f"the images are at {registry}, which on each node is the node itself", hint)


def of_cluster(specs: Mapping[str, Spec], project: str, kubectl: Kubectl, secrets: ClusterSecrets) -> Iterator[Problem]:
    """What this user may not do, claims and secrets that are not there, and names that others have.

    Raises MissingTool, ToolFailed.
    """
    denied = list(_denied(kubectl))
    if denied:
        hint = f"kubectl auth can-i --list --namespace={kubectl.namespace}   and a Role with these"
        yield Problem(f"this user may not, in namespace {kubectl.namespace}: {', '.join(denied)}", hint)
        return
    claims = {claim for spec in specs.values() for claim in _claims(spec)}
    for claim in sorted(claims):
        if not kubectl.run("get", "persistentvolumeclaim", claim, "--ignore-not-found", "--output=name").strip():
            hint = f"create the claim {claim} with the files in it: the stack only reads it"
            yield Problem(f"{VOLUME}{claim} is not a PersistentVolumeClaim of namespace {kubectl.namespace}", hint)
    lacking = secrets.lacking({secret: value for spec in specs.values() for secret, value in spec.secrets.items()})
    there = kubectl.run("get", "secrets", "--output=name").split() if lacking else []
    for name in sorted(lacking):
        if f"secret/{name}" not in there:
            hint = "deploy a release from where the files of its secrets are"
            yield Problem(f"the Secret {name}, which the set needs, is not in namespace {kubectl.namespace}", hint)
    for item in kubectl.items(["deployments.apps", "statefulsets.apps", "services"]):
        name, kind = item["metadata"]["name"], item["kind"]
        owner = item["metadata"].get("labels", {}).get(f"{pods.LABEL}/part-of")
        if name in specs and owner != project:
            hint = "another namespace for this target, or for that one"
            yield Problem(f"the {kind} {name} belongs to {owner or 'somebody else'}", hint)


def _denied(kubectl: Kubectl) -> Iterator[str]:
    """What this user may not do, in words, by one call: what `kubectl auth can-i` asks, for all of it."""
    reviews = [_review(kubectl.namespace, *right) for right in _each_right()]
    try:
        answers = kubectl.read("create", "--filename=-", objects=reviews)
    except ToolFailed:
        return  # a cluster that does not answer that: the deploy itself will see
    for (resource, _, verb), answer in zip(_each_right(), answers, strict=True):
        if not answer["status"]["allowed"]:
            yield f"{verb} {resource}"


def _each_right() -> Iterator[tuple[str, str, str]]:
    for resource, group, verbs in _RIGHTS:
        for verb in verbs.split():
            yield resource, group, verb


def _review(namespace: str, resource: str, group: str, verb: str) -> dict[str, Any]:
    resource, _, subresource = resource.partition("/")
    attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": resource}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes | ({"subresource": subresource} if subresource else {})},
    }


def _volumes(spec: Spec) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = kubernetes.workload(spec.document)["spec"]["template"]["spec"].get("volumes", [])
    return volumes


def reads_release(spec: Spec) -> bool:
    """Whether a container reads which release runs."""
    return any(volume.get("configMap", {}).get("name") == pods.RELEASE_MAP for volume in _volumes(spec))


def _host_paths(spec: Spec) -> list[str]:
    return [volume["hostPath"]["path"] for volume in _volumes(spec) if "hostPath" in volume]


def _claims(spec: Spec) -> list[str]:
    volumes = _volumes(spec)
    return [volume["persistentVolumeClaim"]["claimName"] for volume in volumes if "persistentVolumeClaim" in volume]
