"""Sets on Kubernetes: real kubectl against an API server in memory. What no such server has is not seen here."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from build.deploy import ledger, locking
from build.deploy.changes import changes
from build.deploy.target import TARGET_LABEL
from build.errors import DeployRefused, SmokeFailed
from tests.support.kube_place import Place, digest, image


def test_a_set_arrives_and_runs(place: Place) -> None:
    """Every container is ready by its own digest, as kubectl sees it, too; what runs is read back from the pods."""
    target = place.target()
    wanted = place.set(target, "1")

    assert place.deploy(target, wanted) == ["store", "web"]

    place.kubectl("rollout", "status", "deployment/web", "--timeout=10s")
    place.kubectl("rollout", "status", "statefulset/store", "--timeout=10s")
    observed = target.observe(wanted.specs)
    assert {name: (now.image, now.spec, now.replicas, now.wanted) for name, now in observed.items()} == {
        "store": (image("store", "1"), wanted.specs["store"].hash, 1, 1),
        "web": (image("web", "1"), wanted.specs["web"].hash, 2, 2),
    }
    assert all(now.runs and not now.drift and now.nodes and now.since for now in observed.values())


def test_the_same_set_again_touches_nothing(place: Place) -> None:
    """Neither by the plan nor when it is applied all the same; kubectl sees no difference."""
    target = place.target()
    wanted = place.running(target)
    before = place.pods("web") | place.pods("store")
    documents = [item for spec in wanted.specs.values() for item in spec.document["items"]]

    assert place.deploy(target, place.set(target, "1", wanted)) == []
    for name, spec in wanted.specs.items():
        target.apply(name, spec)
        target.wait(name, spec)

    assert place.pods("web") | place.pods("store") == before
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents[:2]})
    place.kubectl("diff", "--server-side", "--field-manager=uc", "--filename=-", stdin=text)


def test_a_change_of_labels_alone_restarts_nothing(place: Place) -> None:
    """The hash of a spec is on the workload, not on its pods."""
    target = place.target()
    first = place.running(target)
    before = place.pods("web")
    spec = first.specs["web"]
    spec.document["items"][-1]["metadata"]["annotations"] = {"note": "other"}

    target.apply("web", spec)
    target.wait("web", spec)

    assert target.observe({"web": spec})["web"].spec == spec.hash
    assert place.pods("web") == before


def test_an_update_of_two_replicas_keeps_two_ready(place: Place) -> None:
    """A pod of the old template goes when one of the new is ready, so a bad image takes nothing away."""
    target = place.target()
    place.running(target)
    before = place.pods("web")
    place.cluster.images[digest("2")] = "crash"
    bad = place.set(target, "2")

    target.apply("web", bad.specs["web"])
    with pytest.raises(SmokeFailed):
        target.wait("web", bad.specs["web"])

    assert before.items() <= place.pods("web").items()
    now = target.observe(bad.specs)["web"]
    assert not now.runs
    assert now.image != bad.specs["web"].image


@pytest.mark.parametrize(
    ("becomes", "reason"),
    [
        ("missing", "ImagePullBackOff: Back-off pulling image"),
        ("crash", r"ended with exit code 3 \(2 restarts\)"),
        ("unhealthy", "is not healthy after 1 s"),
    ],
)
def test_a_bad_image_fails_with_the_pod_s_reason_and_goes(place: Place, becomes: str, reason: str) -> None:
    """As soon as it is known, with the container's last lines, and the command that shows more; then the old set is back.

    The controller of a StatefulSet never goes on while the broken pod is there (kubernetes#67250): that pod is deleted.
    """
    target = place.target(health_seconds=1)
    good = place.running(target)
    place.cluster.images[digest("2")] = becomes
    place.cluster.logs[digest("2")] = "opening /data\nno space left\n"
    for name, bad in place.set(target, "2").specs.items():
        target.apply(name, bad)
        with pytest.raises(SmokeFailed, match=reason) as caught:
            target.wait(name, bad)
        assert str(caught.value).startswith(f"{name}: ")
        assert "no space left" in caught.value.output
        assert caught.value.hint.startswith("kubectl --context=memory --namespace=shop describe pods")

    assert place.deploy(place.target(), good) == ["store", "web"]


def test_settling_removes_the_pod_that_an_interrupted_roll_back_waits_for(place: Place) -> None:
    """A process that was killed after it had applied the old spec leaves one."""
    target = place.target(health_seconds=1)
    good = place.running(target)
    place.cluster.images[digest("2")] = "missing"
    target.apply("store", place.set(target, "2").specs["store"])
    with pytest.raises(SmokeFailed):
        target.wait("store", place.set(target, "2").specs["store"])
    target.apply("store", good.specs["store"])

    target.settle(["store", "web"])

    place.kubectl("rollout", "status", "statefulset/store", "--timeout=10s")
    assert target.observe(good.specs)["store"].runs


BY_HAND = {
    "set image statefulset/store store=registry.example/other:1": "store: image: registry.example/other:1, expected",
    "set env deployment/web GREETING=hello": "web: env GREETING: hello, expected a$$b",
    "set env deployment/web DEBUG=1": "web: env DEBUG value: was added by kubectl-set",
    "scale deployment/web --replicas=1": "web: replicas: 1, expected 2",
    "set resources deployment/web --limits=memory=9Gi": "web: resources limits memory: 9Gi, expected 512Mi",
    "delete service web": "web: the Service was removed",
    "delete networkpolicy store": "store: the NetworkPolicy was removed",
    "label service/store app.kubernetes.io/managed-by=me --overwrite": "store: metadata labels app.kubernetes.io/managed-by: me",
}  # fmt: skip


def test_what_was_changed_by_hand_is_named_and_put_back(place: Place) -> None:
    """By its name and with both values; the next deploy leaves exactly what the record says."""
    target = place.target()
    wanted = place.running(target)
    before = {name: _containers(place, *of) for name, of in _WORKLOADS.items()}
    for command in BY_HAND:
        place.kubectl(*command.split())

    drift = [f"{name}: {line}" for name, now in target.observe(wanted.specs).items() for line in now.drift]

    assert sorted(words for words in BY_HAND.values() if not any(line.startswith(words) for line in drift)) == []
    assert place.deploy(target, wanted) == ["store", "web"]
    assert [now.drift for now in target.observe(wanted.specs).values()] == [(), ()]
    assert {name: _containers(place, *of) for name, of in _WORKLOADS.items()} == before


_WORKLOADS = {"web": ("deployments", "web"), "store": ("statefulsets", "store")}


def _containers(place: Place, resource: str, name: str) -> Any:
    return place.cluster.get(resource, name)["spec"]["template"]["spec"]["containers"]


def test_a_workload_that_was_removed_is_made_again(place: Place) -> None:
    """What is not there is not observed, and the plan creates it."""
    target = place.target()
    wanted = place.running(target)
    place.kubectl("delete", "deployment", "web")

    assert "web" not in target.observe(wanted.specs)
    assert place.deploy(target, wanted) == ["web"]


def test_a_restart_by_kubectl_is_no_drift(place: Place) -> None:
    """`kubectl rollout restart` changes when pods were started, and nothing that they are."""
    target = place.target()
    wanted = place.running(target)
    place.kubectl("rollout", "restart", "deployment/web")
    place.kubectl("rollout", "status", "deployment/web", "--timeout=10s")

    assert target.observe(wanted.specs)["web"].drift == ()


def test_one_of_two_gets_the_lock(place: Place) -> None:
    """The API server decides; who did not get it reads who has it, and kubectl shows it."""
    results: list[bool] = []
    stores = [place.target().store, place.target().store]
    threads = [
        threading.Thread(
            target=lambda store=store: results.append(store.create("lock", {"who": "ann"}, exclusive=True))
        )
        for store in stores
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results) == [False, True]
    assert (
        json.loads(place.kubectl("get", "lease", "shop-lock", "--output=json"))["spec"]["holderIdentity"]
        == "ann@unknown"
    )


def test_a_deploy_that_finds_a_lock_names_its_holder(place: Place) -> None:
    """And leaves it; with --break-lock it is taken, and the first one gives back nothing that is not its own."""
    store = place.target().store
    store.create("lock", {"who": "ann", "host": "far", "work": "deploy of production"}, exclusive=True)

    with pytest.raises(DeployRefused, match="deploy of production by ann on far"), locking.held(store, "deploy"):
        pass
    with locking.held(store, "deploy", break_lock=True):
        locking.require(place.target().store)
    assert store.items() == []


def test_only_the_very_item_is_removed(place: Place) -> None:
    """Another one that has got its name meanwhile stays; one that is gone is no failure."""
    store = place.target().store
    store.create("lock", {"who": "ann"}, exclusive=True)
    first = store.items()[0]
    store.remove(first)
    store.remove(first)
    store.create("lock", {"who": "bob"}, exclusive=True)

    store.remove(first)

    assert [item.content for item in store.items()] == [{"who": "bob"}]


def test_the_journal_is_in_the_namespace(place: Place) -> None:
    """Every process that reaches the cluster reads the same, and nobody else's ConfigMaps are among it."""
    target = place.target()
    wanted = place.set(target, "1")
    entry = ledger.begin(target.store, [], "deploy", None, wanted)
    with pytest.raises(DeployRefused):
        ledger.begin(target.store, [], "deploy", None, wanted)
    ledger.close(target.store, entry, "done")
    target.prepare(wanted)
    place.target(project="other").store.create("entry-000009-closed", {})

    history = ledger.entries(place.target().store)

    assert [(each.number, each.state, each.after) for each in history] == [(1, "done", wanted)]
    labels = place.cluster.get("configmaps", "shop-entry-000001-closed")["metadata"]["labels"]
    assert labels == {TARGET_LABEL: "shop"}


def test_a_roll_back_applies_the_recorded_set(place: Place) -> None:
    """What the journal has is all that it needs: the containers, their number, and what only the old set had."""
    first_target = place.target()
    first = place.running(first_target)
    ledger.close(first_target.store, ledger.begin(first_target.store, [], "deploy", None, first), "done")
    second_target = place.target(replicas={})
    second = place.set(second_target, "2")
    assert place.deploy(second_target, second) == ["store", "web"]
    assert place.cluster.names("poddisruptionbudgets") == []

    target = place.target()
    recorded = ledger.entries(target.store)[-1].after
    back = target.with_values_in_force(recorded, second)

    assert place.deploy(target, back) == ["store", "web"]
    assert place.cluster.names("poddisruptionbudgets") == ["web"]
    assert {name: now.image for name, now in target.observe(first.specs).items()} == {
        "store": image("store", "1"), "web": image("web", "1"),
    }  # fmt: skip


def test_a_plan_compares_with_what_runs(place: Place) -> None:
    """Before the namespace is there, and when only one container differs."""
    target = place.target()
    wanted = place.set(target, "1")
    assert [change.action for change in changes(wanted.specs, target.observe(wanted.specs))] == ["create", "create"]
    place.deploy(target, wanted)

    plan = changes(place.set(target, "1", web="2").specs, target.observe({}))

    assert [(change.container, change.action) for change in plan] == [("store", "keep"), ("web", "update")]
