"""Which objects of a container stay, go or change their kind on Kubernetes; real kubectl, an API server in memory."""

from __future__ import annotations

import json

from tests.support.kube_place import Place


def test_a_container_that_is_removed_leaves_its_claims(place: Place) -> None:
    """All that is its own goes, nothing of another's, and never data."""
    target = place.target()
    place.running(target)
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim",
             "metadata": {"name": "data-store-0", "labels": {"app.kubernetes.io/name": "store"}}, "spec": {}}  # fmt: skip
    place.kubectl("create", "--filename=-", stdin=json.dumps(claim))

    target.remove("store")

    assert list(target.observe({})) == ["web"]
    assert place.pods("store") == {}
    assert place.cluster.names("services") == ["web"]
    assert place.cluster.names("networkpolicies") == ["default-deny", "web"]
    assert place.cluster.names("persistentvolumeclaims") == ["data-store-0"]


def test_a_container_that_gets_a_volume_changes_its_kind(place: Place) -> None:
    """A Deployment of its name would go on beside the StatefulSet, with the same labels."""
    place.running(place.target())
    target = place.target(replicas={})
    place.project.append('volumes = { cache = "/cache" }\n')
    wanted = place.set(target, "1")

    assert place.deploy(target, wanted) == ["web"]
    assert place.cluster.names("deployments") == []
    assert place.cluster.names("statefulsets") == ["store", "web"]


def test_a_volume_that_is_added_makes_the_stateful_set_anew(place: Place) -> None:
    """Its claims can't be changed in place; its pod goes on until the new template replaces it."""
    target = place.target()
    place.running(target)
    text = (place.project.root / "versions.toml").read_text()
    more = text.replace('{ data = "/data" }', '{ data = "/data", more = "/more" }')
    (place.project.root / "versions.toml").write_text(more)

    assert place.deploy(target, place.set(target, "1")) == ["store"]
    claims = place.cluster.get("statefulsets", "store")["spec"]["volumeClaimTemplates"]
    assert [claim["metadata"]["name"] for claim in claims] == ["data", "more"]
    events = [(event, item["metadata"]["name"]) for event, _, item in place.cluster.events]
    removed = events.index(("DELETED", "store"))
    assert events.index(("ADDED", "store"), removed) < events.index(("DELETED", "store-0"))
