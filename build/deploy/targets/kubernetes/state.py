"""How a container runs in a cluster: read from its workload, its pods and their owners, never asked from here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from build.deploy.target import SPEC_LABEL, Observed, Spec
from build.stack import kubernetes, pods

# What a pod waits for in vain: each comes after the kubelet has tried, and it goes on trying.
_HOPELESS = {
    "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CrashLoopBackOff", "CreateContainerConfigError",
    "CreateContainerError", "RunContainerError", "ImageInspectError",
}  # fmt: skip
REVISION = "deployment.kubernetes.io/revision"

Object = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """A workload, its pods that are not being removed, and the ReplicaSets of a Deployment, read at once."""

    workload: Object
    pods: Sequence[Object]
    replica_sets: Sequence[Object] = ()

    @property
    def is_stateful(self) -> bool:
        """Whether it is a StatefulSet."""
        return bool(self.workload["kind"] == "StatefulSet")

    @property
    def wanted(self) -> int:
        """How many pods there are to be."""
        return int(self.workload["spec"].get("replicas", 1))

    @property
    def is_observed(self) -> bool:
        """Whether its controller has seen the last change."""
        seen = self.workload.get("status", {}).get("observedGeneration", 0)
        return bool(seen >= self.workload["metadata"].get("generation", 0))

    @property
    def current(self) -> list[Object]:
        """The pods of the template as it is now, not of an earlier one."""
        key, value = "controller-revision-hash", self.workload.get("status", {}).get("updateRevision")
        if not self.is_stateful:
            revision = _annotations(self.workload).get(REVISION)
            key = "pod-template-hash"
            newest = [item for item in self.replica_sets if _annotations(item).get(REVISION) == revision]
            value = newest[0]["metadata"]["labels"].get(key) if newest else None
        return [pod for pod in self.pods if value and pod["metadata"]["labels"].get(key) == value]

    @property
    def outdated(self) -> list[Object]:
        """The pods of an earlier template."""
        return [pod for pod in self.pods if pod not in self.current]


def workload(live: Sequence[Object], name: str) -> Object | None:
    """The workload of a container among the objects of a namespace; None if there is none."""
    workloads = [item for item in live if item["kind"] in kubernetes.WORKLOADS]
    return next((item for item in workloads if item["metadata"]["name"] == name), None)


def look(live: Sequence[Object], name: str) -> Look | None:
    """What of the objects is the container's; None without its workload."""
    own = [item for item in live if item["metadata"].get("labels", {}).get(f"{pods.LABEL}/name") == name]
    if (found := workload(own, name)) is None:
        return None
    return Look(
        workload=found,
        pods=[item for item in own if item["kind"] == "Pod" and "deletionTimestamp" not in item["metadata"]],
        replica_sets=[item for item in own if item["kind"] == "ReplicaSet"],
    )


def observed(look: Look, drift: Sequence[str]) -> Observed:
    """A container as it is; the pods of an earlier template count as not what is wanted."""
    ready = [pod for pod in look.pods if is_ready(pod)]
    worst = next((pod for pod in (*look.current, *look.pods) if not is_ready(pod)), None)
    state, health = ("running", "healthy") if ready else ("stopped", "")
    if worst is not None:
        state, health = _state(worst), _health(worst)
    elif look.outdated or not look.is_observed:
        state = "updating"
    nodes = sorted({node for pod in look.pods if (node := pod["spec"].get("nodeName"))})
    return Observed(
        spec=_annotations(look.workload).get(SPEC_LABEL, ""),
        image=_image(look),
        state=state,
        health=health,
        since=max((_since(pod) for pod in look.pods), default=""),
        replicas=len(ready),
        wanted=look.wanted,
        nodes=tuple(nodes),
        drift=tuple(drift),
        error=failure(look) or (reason(worst) if worst is not None else ""),
    )


def complete(look: Look, spec: Spec) -> bool:
    """Whether all pods are of the template as it is now, ready, and run the image of the spec."""
    pods = look.current
    return (
        look.is_observed
        and len(pods) == look.wanted == len(look.pods)
        and all(is_ready(pod) and running_image(pod) == spec.image for pod in pods)
    )


def failure(look: Look) -> str:
    """Why the present template can't become healthy; "" as long as it may."""
    if not look.is_observed:
        return ""
    for pod in look.current:
        if _status(pod).get("state", {}).get("waiting", {}).get("reason") in _HOPELESS:
            return reason(pod)
    for condition in look.workload.get("status", {}).get("conditions", []):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}"
    return ""


def reason(pod: Object) -> str:
    """Why a pod is not ready, in its own words."""
    name = pod["metadata"]["name"]
    status = _status(pod)
    waiting = status.get("state", {}).get("waiting", {})
    last = status.get("lastState", {}).get("terminated", {}) or status.get("state", {}).get("terminated", {})
    if last and waiting.get("reason") in {"CrashLoopBackOff", None}:
        return f"{name}: ended with exit code {last.get('exitCode')} ({status.get('restartCount', 0)} restarts)"
    if waiting:
        return ": ".join(filter(None, (name, waiting.get("reason"), waiting.get("message"))))
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["status"] != "True" and condition.get("message"):
            return f"{name}: {condition.get('reason', '')}: {condition['message']}"
    return f"{name}: is not ready"


def is_ready(pod: Object) -> bool:
    """Whether it answers its readiness probe."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def restarts(look: Look) -> int:
    """How often the containers of its pods have been started again."""
    return sum(_status(pod).get("restartCount", 0) for pod in look.pods)


def running_image(pod: Object) -> str:
    """The image that a pod's container runs, as name@digest; "" before it has started.

    A runtime pulls a digest or fails, so that a pod's own digest is what runs; of a tag, the runtime says what it was.
    """
    if not (identity := _status(pod).get("imageID", "")):
        return ""
    image = str(pod["spec"]["containers"][0]["image"])
    if "@" in image:
        return image
    digest = re.search(r"sha256:[0-9a-f]{64}", identity)
    return f"{image}@{digest[0]}" if digest else image


def _image(look: Look) -> str:
    """What all pods run; if they differ, what those run that do not have the template's."""
    template = look.workload["spec"]["template"]["spec"]["containers"][0]["image"]
    images = sorted({image for pod in look.pods if (image := running_image(pod))})
    return next((image for image in images if image != template), images[0] if images else "")


def _state(pod: Object) -> str:
    state: Object = _status(pod).get("state", {})
    if "running" in state:
        return "running"
    details = [detail["reason"] for detail in state.values() if detail.get("reason")]
    return str(details[0] if details else pod.get("status", {}).get("phase", "Pending"))


def _health(pod: Object) -> str:
    status = _status(pod)
    if "running" not in status.get("state", {}):
        return ""
    return "unhealthy" if status.get("started") else "starting"


def _since(pod: Object) -> str:
    return str(_status(pod).get("state", {}).get("running", {}).get("startedAt", ""))


def _status(pod: Object) -> Object:
    """The status of a pod's container, {} before the kubelet has written one."""
    statuses: Sequence[Object] = pod.get("status", {}).get("containerStatuses", [])
    return statuses[0] if statuses else {}


def _annotations(item: Object) -> Mapping[str, str]:
    annotations: Mapping[str, str] = item["metadata"].get("annotations", {})
    return annotations
