"""How a container runs, from what an API server says of it: every state that a pod can be in."""

from __future__ import annotations

from typing import Any

import pytest

from build.deploy.target import SPEC_LABEL, Spec
from build.deploy.targets.kubernetes import drift, state

IMAGE = "registry.example/web@sha256:" + "1" * 64
OTHER = "registry.example/web@sha256:" + "2" * 64
SPEC = Spec(service="web", image=IMAGE, document={})


def _pod(name: str = "web-new-1", template: str = "new", image: str = IMAGE, **status: Any) -> dict[str, Any]:
    usual = {"state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}, "started": True, "imageID": image}
    is_ready = status.pop("ready", True)
    conditions = status.pop("conditions", [{"type": "Ready", "status": str(is_ready)}])
    return {
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "web", "pod-template-hash": template}},
        "spec": {"nodeName": "node-1", "containers": [{"image": image}]},
        "status": {"phase": "Running", "conditions": conditions, "containerStatuses": [usual | status]},
    }


def _look(*pods: dict[str, Any], replicas: int = 1, seen: int = 2, **status: Any) -> state.Look:
    sets = [
        {"metadata": {"labels": {"pod-template-hash": template}, "annotations": {state.REVISION: revision}}}
        for template, revision in {"old": "1", "new": "2"}.items()
    ]
    workload = {
        "kind": "Deployment",
        "metadata": {"name": "web", "generation": 2, "annotations": {SPEC_LABEL: "a-hash", state.REVISION: "2"}},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"image": IMAGE}]}}},
        "status": {"observedGeneration": seen, **status},
    }
    return state.Look(workload=workload, pods=pods, replica_sets=sets)


def test_a_container_runs_when_all_its_pods_do() -> None:
    """Ready, of the present template, by the digest of the spec."""
    look = _look(_pod(), _pod("web-new-2"), replicas=2)
    now = state.observed(look, ())

    assert state.complete(look, SPEC)
    assert now.runs
    assert (now.spec, now.image, now.replicas, now.wanted) == ("a-hash", IMAGE, 2, 2)
    assert (now.nodes, now.since, now.error) == (("node-1",), "2026-01-01T00:00:00Z", "")


@pytest.mark.parametrize(
    ("look", "word", "health"),
    [
        (_look(), "stopped", ""),
        (_look(_pod(), seen=1), "updating", "healthy"),
        (_look(_pod(), _pod("web-old", "old")), "updating", "healthy"),
        (_look(_pod(ready=False, started=False)), "running", "starting"),
        (_look(_pod(ready=False)), "running", "unhealthy"),
        (_look(_pod(ready=False, state={"waiting": {"reason": "ContainerCreating"}})), "ContainerCreating", ""),
        (_look(_pod(ready=False, state={"terminated": {"exitCode": 1, "reason": "Error"}})), "Error", ""),
    ],
)
def test_a_container_does_not_run_while_a_pod_does_not(look: state.Look, word: str, health: str) -> None:
    """Each in the word that Kubernetes has for it."""
    now = state.observed(look, ())

    assert not now.runs
    assert not state.complete(look, SPEC)
    assert (now.state, now.health) == (word, health)


def test_what_another_template_runs_is_not_hidden() -> None:
    """A verification by digest must fail as long as one pod is of before."""
    look = _look(_pod(), _pod("web-old", "old", OTHER), replicas=1)

    assert state.observed(look, ()).image == OTHER


def test_a_tag_is_read_as_the_digest_that_runs() -> None:
    """An image that somebody set by hand has no digest of its own; one that has not started runs nothing."""
    digest = "sha256:" + "3" * 64
    tagged = _pod(image="registry.example/web:1")
    tagged["status"]["containerStatuses"][0]["imageID"] = f"docker-pullable://registry.example/web@{digest}"

    assert state.running_image(tagged) == f"registry.example/web:1@{digest}"
    assert state.running_image(_pod(imageID="")) == ""


@pytest.mark.parametrize(
    ("look", "words"),
    [
        (
            _look(_pod(ready=False, state={"waiting": {"reason": "CreateContainerConfigError", "message": "no secret"}})),
            "web-new-1: CreateContainerConfigError: no secret",
        ),
        (
            _look(conditions=[{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
                               "message": "violates PodSecurity"}]),
            "FailedCreate: violates PodSecurity",
        ),
        (_look(_pod(ready=False, state={"waiting": {"reason": "ErrImagePull"}})), ""),
        (_look(_pod("web-old", "old", ready=False, state={"waiting": {"reason": "CrashLoopBackOff"}})), ""),
        (_look(_pod(ready=False, state={"waiting": {"reason": "CrashLoopBackOff"}}), seen=1), ""),
    ],
)  # fmt: skip
def test_only_what_is_hopeless_ends_the_wait(look: state.Look, words: str) -> None:
    """Of the present template; what may still come right, or belongs to an earlier one, does not."""
    assert state.failure(look) == words


def test_a_pod_without_a_node_says_why() -> None:
    """A cluster may get one: it is waited for, and named at the deadline."""
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    pod = _pod(conditions=[unschedulable])
    pod["status"].pop("containerStatuses")

    assert state.failure(_look(pod)) == ""
    assert state.observed(_look(pod), ()).error == "web-new-1: Unschedulable: 0/3 nodes"


def test_a_pod_that_ends_again_and_again_has_its_exit_code() -> None:
    """Not only the word for waiting until it is started again."""
    ended = {"terminated": {"exitCode": 3}}
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    pod = _pod(ready=False, state=waiting, lastState=ended, restartCount=4)

    assert state.failure(_look(pod)) == "web-new-1: ended with exit code 3 (4 restarts)"
    assert state.restarts(_look(pod)) == 4


def _object(spec: dict[str, Any], *entries: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "web", "resourceVersion": "7", "managedFields": list(entries)}, "spec": spec}


def _entry(manager: str, fields: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "fieldsV1": fields} | more


OWN = _entry("uc", {"f:spec": {"f:replicas": {}}}, operation="Apply")


def test_what_a_server_adds_is_no_difference() -> None:
    """Versions, managed fields and status change with each write."""
    live = _object({"replicas": 1}, OWN) | {"status": {"replicas": 1}}
    applied = _object({"replicas": 1})
    applied["metadata"]["resourceVersion"] = "9"

    assert drift.differences(live, applied) == []


def test_differences_name_the_field_and_both_values() -> None:
    """Items of a list by their names; what is there alone, and what is missing, too."""
    live = _object({"template": {"spec": {"containers": [
        {"name": "web", "image": "a", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}]}}})  # fmt: skip
    applied = _object({"template": {"spec": {"containers": [
        {"name": "web", "image": "b", "env": [{"name": "A", "value": "3"}], "workingDir": "/app"}]}}})  # fmt: skip

    assert drift.differences(live, applied) == [
        "image: a, expected b",
        "env A: 1, expected 3",
        'env B: {"name": "B", "value": "2"} was added',
        "workingDir: was removed, expected /app",
    ]


def test_what_others_add_is_theirs_until_it_is_taken_over() -> None:
    """Except what an autoscaler or a restart by kubectl writes; taken over, the next apply removes it."""
    env: dict[str, Any] = {"f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {"f:env": {'k:{"name":"X"}': {
        ".": {}, "f:name": {}, "f:value": {}}}}}}}}  # fmt: skip
    restarted: dict[str, Any] = {
        "f:template": {"f:metadata": {"f:annotations": {"f:kubectl.kubernetes.io/restartedAt": {}}}}
    }
    edit = _entry("kubectl-edit", {"f:spec": env})
    scaled = _entry("kube-controller-manager", {"f:spec": {"f:replicas": {}}}, subresource="scale")
    live = _object({}, OWN, edit, scaled, _entry("kubectl-rollout", {"f:spec": restarted}))

    assert drift.added(live, live) == [
        "env X name: was added by kubectl-edit",
        "env X value: was added by kubectl-edit",
    ]
    adopted = drift.adopted(live)
    assert [entry["manager"] for entry in adopted] == ["uc", "kube-controller-manager"]
    assert adopted[0]["fieldsV1"]["f:spec"].keys() == {"f:replicas", "f:template"}


def test_what_was_never_applied_is_taken_over_as_it_is() -> None:
    """A workload that somebody made by another command becomes this target's own with the first apply."""
    live = _object({}, _entry("kubectl-create", {"f:spec": {"f:replicas": {}}, "f:metadata": {}}))

    assert drift.adopted(live) == [
        {"manager": "uc", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
    ]
