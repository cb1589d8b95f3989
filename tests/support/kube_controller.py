"""What a cluster's controllers and kubelets do with Deployments and StatefulSets, as far as a deploy can see it.

A pod becomes what `images` says of its digest: `ready` (by default), `missing`, `crash` or `unhealthy`.
"""

from __future__ import annotations

import copy
import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.kube_api import Cluster

Object = dict[str, Any]
_REVISION = "deployment.kubernetes.io/revision"


def step(cluster: Cluster) -> None:
    """Let everything happen once that happens next; the cluster is locked meanwhile."""
    for pod in cluster.every("pods"):
        _start(cluster, pod)
    for item in cluster.every("deployments"):
        _deployment(cluster, item)
    for item in cluster.every("statefulsets"):
        _stateful_set(cluster, item)


def now() -> str:
    """The time as Kubernetes writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _hash(template: Object) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]


def _ready(pod: Object) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", []))


def _start(cluster: Cluster, pod: Object) -> None:
    """The kubelet: a pod without a status of its container gets one, by the rule for its image."""
    if "containerStatuses" in pod["status"] or not _has_secrets(cluster, pod):
        return
    container = pod["spec"]["containers"][0]
    rule = cluster.images.get(container["image"].partition("@")[2], "ready")
    running = {"running": {"startedAt": now()}}
    crashed = {"terminated": {"exitCode": 3, "reason": "Error"}}
    states: dict[str, Object] = {
        "ready": {"state": running, "started": True},
        "unhealthy": {"state": running, "started": False},
        "crash": {"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed"}},
                  "lastState": crashed, "restartCount": 2},
        "missing": {"state": {"waiting": {"reason": "ImagePullBackOff",
                                          "message": f'Back-off pulling image "{container["image"]}"'}}},
    }  # fmt: skip
    status = {"name": container["name"], "image": container["image"], "restartCount": 0, **states[rule]}
    status["imageID"] = "" if rule == "missing" else container["image"]
    status["ready"] = rule == "ready"
    ready = {"type": "Ready", "status": "True" if rule == "ready" else "False", "reason": "ContainersNotReady"}
    phase = "Running" if rule in {"ready", "unhealthy", "crash"} else "Pending"
    cluster.put("pods", pod | {"status": {"phase": phase, "conditions": [ready], "containerStatuses": [status]}})


def _has_secrets(cluster: Cluster, pod: Object) -> bool:
    sources = [
        source["secret"]["name"]
        for volume in pod["spec"].get("volumes", [])
        for source in volume.get("projected", {}).get("sources", [])
    ]
    namespace = pod["metadata"]["namespace"]
    return all(("secrets", namespace, name) in cluster.objects for name in sources)


def _pods(cluster: Cluster, owner: Object) -> list[Object]:
    uid = owner["metadata"]["uid"]
    return [pod for pod in cluster.every("pods") if pod["metadata"]["ownerReferences"][0]["uid"] == uid]


def _pod(cluster: Cluster, owner: Object, name: str, labels: Object) -> None:
    template = copy.deepcopy(owner["spec"]["template"])
    metadata = owner["metadata"]
    cluster.put("pods", {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": metadata["namespace"], "labels": template["metadata"]["labels"] | labels,
            "ownerReferences": [{"kind": owner["kind"], "name": metadata["name"], "uid": metadata["uid"]}],
        },
        "spec": template["spec"] | {"nodeName": f"node-{len(cluster.every('pods')) % 3}"},
        "status": {"phase": "Pending"},
    })  # fmt: skip


def _deployment(cluster: Cluster, item: Object) -> None:
    """A rolling update with maxSurge 1 and maxUnavailable 0."""
    key, digest = "pod-template-hash", _hash(item["spec"]["template"])
    replica_set = _replica_set(cluster, item, digest)
    wanted = item["spec"]["replicas"]
    pods = _pods(cluster, item)
    new = [pod for pod in pods if pod["metadata"]["labels"][key] == digest]
    old = [pod for pod in pods if pod not in new]
    broken = [pod for pod in old if not _ready(pod)]
    ready = [pod for pod in pods if _ready(pod)]
    if broken or (old and len(ready) > wanted):
        cluster.drop("pods", (broken or old)[0])
    elif len(new) < wanted and len(pods) < wanted + 1:
        cluster.serial += 1
        _pod(cluster, item, f"{replica_set['metadata']['name']}-{cluster.serial:05d}", {key: digest})
    elif len(new) > wanted:
        cluster.drop("pods", new[-1])
    count = len([pod for pod in new if _ready(pod)])
    complete = count == len(new) == len(pods) == wanted
    _status(cluster, "deployments", item, replica_set["metadata"]["annotations"], {
        "replicas": len(pods), "updatedReplicas": len(new), "readyReplicas": len(ready),
        "availableReplicas": len(ready), "unavailableReplicas": max(0, wanted - len(ready)),
        "conditions": [{"type": "Progressing", "status": "True",
                        "reason": "NewReplicaSetAvailable" if complete else "ReplicaSetUpdated"}],
    })  # fmt: skip


def _replica_set(cluster: Cluster, item: Object, digest: str) -> Object:
    """The ReplicaSet of a template; it has the highest revision of its Deployment."""
    metadata = item["metadata"]
    own = [
        one for one in cluster.every("replicasets") if one["metadata"]["ownerReferences"][0]["uid"] == metadata["uid"]
    ]
    newest = max((int(one["metadata"]["annotations"][_REVISION]) for one in own), default=0)
    name = f"{metadata['name']}-{digest}"
    for one in own:
        if one["metadata"]["name"] == name and int(one["metadata"]["annotations"][_REVISION]) == newest:
            return one
    labels = item["spec"]["template"]["metadata"]["labels"] | {"pod-template-hash": digest}
    return cluster.put("replicasets", {
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": name, "namespace": metadata["namespace"], "labels": labels,
            "annotations": {_REVISION: str(newest + 1)},
            "ownerReferences": [{"kind": "Deployment", "name": metadata["name"], "uid": metadata["uid"]}],
        },
    })  # fmt: skip


def _stateful_set(cluster: Cluster, item: Object) -> None:
    """One pod, replaced in place; a broken one of an earlier template is waited for (kubernetes#67250)."""
    key, name = "controller-revision-hash", f"{item['metadata']['name']}-0"
    revision = f"{item['metadata']['name']}-{_hash(item['spec']['template'])}"
    pod = next((one for one in _pods(cluster, item) if one["metadata"]["name"] == name), None)
    orphan = cluster.objects.get(("pods", item["metadata"]["namespace"], name))
    if pod is None and orphan is not None:
        orphan["metadata"]["ownerReferences"][0]["uid"] = item["metadata"]["uid"]
        pod = orphan
    if pod is None and item["spec"]["replicas"]:
        _pod(cluster, item, name, {key: revision})
    elif pod is not None:
        is_outdated = pod["metadata"]["labels"][key] != revision and _ready(pod)
        if is_outdated or not item["spec"]["replicas"]:
            cluster.drop("pods", pod)
    current = pod["metadata"]["labels"][key] if pod else revision
    ready = int(pod is not None and _ready(pod))
    _status(cluster, "statefulsets", item, {}, {
        "replicas": int(pod is not None), "readyReplicas": ready, "availableReplicas": ready,
        "updatedReplicas": int(pod is not None and current == revision),
        "currentReplicas": int(pod is not None and current != revision),
        "currentRevision": current, "updateRevision": revision,
    })  # fmt: skip


def _status(cluster: Cluster, resource: str, item: Object, annotations: Object, status: Object) -> None:
    key = (resource, item["metadata"]["namespace"], item["metadata"]["name"])
    live = cluster.objects.get(key)
    if live is None:
        return
    status["observedGeneration"] = live["metadata"]["generation"]
    metadata = live["metadata"] | {"annotations": {**live["metadata"].get("annotations", {}), **annotations}}
    if live.get("status") != status or metadata != live["metadata"]:
        cluster.put(resource, live | {"metadata": metadata, "status": status})
