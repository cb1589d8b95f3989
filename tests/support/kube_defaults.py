"""What an API server adds to objects and writes in another way: a drift must not be seen in it."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def defaulted(item: Object) -> Object:
    """The object with some of the defaults that a real server sets."""
    spec = item.get("spec", {})
    if item["kind"] == "Service":
        spec.setdefault("clusterIP", "10.96.0.17")
        spec.setdefault("sessionAffinity", "None")
    if item["kind"] in {"Deployment", "StatefulSet"}:
        if item["kind"] == "Deployment":
            spec.setdefault("progressDeadlineSeconds", 600)
        else:
            spec.setdefault("podManagementPolicy", "OrderedReady")
        pod = spec["template"]["spec"]
        pod.setdefault("dnsPolicy", "ClusterFirst")
        pod.setdefault("schedulerName", "default-scheduler")
        for container in pod["containers"]:
            container.setdefault("terminationMessagePath", "/dev/termination-log")
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                if probe in container:
                    container[probe].setdefault("successThreshold", 1)
                    container[probe]["httpGet"].setdefault("scheme", "HTTP")
            for quantities in container.get("resources", {}).values():
                if quantities.get("cpu", "").endswith("000m"):
                    quantities["cpu"] = quantities["cpu"].removesuffix("000m")
    return item
