"""What a set needs of a cluster beside its containers, and what of a cluster forbids a deploy."""

from __future__ import annotations

import base64
import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from build.deploy import ledger
from build.deploy.target import DeployedSet
from build.errors import MissingTool, SecretError, ToolFailed
from tests.support import kube_api
from tests.support.kube_place import CONTEXT, SECRET, Place, image


def _problems(place: Place, wanted: DeployedSet | None = None, **settings: object) -> list[str]:
    target = place.target(**settings)
    return [problem.message for problem in target.problems(wanted or place.set(target, "1"))]


def _write(place: Place, value: str) -> None:
    (place.project.root / ".uc/secrets/alpha").write_text(f"{value}\n", encoding="utf-8")


def _in_cluster(place: Place, name: str = "alpha") -> str:
    return base64.b64decode(place.cluster.get("secrets", name)["data"][name]).decode().strip()


def test_a_secret_s_value_is_in_its_object_and_nowhere_else(
    place: Place, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in the journal, not in a file, not in the commands that are shown, and not in any other object."""
    monkeypatch.setenv("UC_VERBOSE", "1")
    target = place.target()
    wanted = place.set(target, "1")
    ledger.begin(target.store, [], "deploy", None, wanted)
    target.prepare(wanted)
    target.apply("web", wanted.specs["web"])

    assert _in_cluster(place) == SECRET
    shown = "".join(capfd.readouterr())
    assert "kubectl" in shown
    others = [item for key, item in place.cluster.objects.items() if key[0] != "secrets"]
    hidden = (SECRET, base64.b64encode(f"{SECRET}\n".encode()).decode())
    for text in (shown, json.dumps(others), json.dumps(target.files(wanted)), *place.cluster.requests):
        assert not [value for value in hidden if value in text]


def test_a_secret_s_value_is_not_in_an_error(place: Place) -> None:
    """Whatever the server writes of what it was sent."""
    target = place.target()
    wanted = place.set(target, "1")
    place.cluster.refusals["secrets"] = f"invalid value {SECRET}"

    with pytest.raises(ToolFailed) as caught:
        target.prepare(wanted)

    assert "invalid value ***" in f"{caught.value}"
    assert SECRET not in f"{caught.value}{caught.value.output}{caught.value.hint}"


def test_another_value_is_another_set_and_restarts_nothing(place: Place) -> None:
    """The object gets it, and the kubelets refresh the file; a roll back leaves it as it is."""
    target = place.target()
    first = place.running(target)
    before = place.pods("web") | place.pods("store")
    _write(place, "another value")
    second = place.set(target, "1", first)

    assert second != first
    assert place.deploy(target, second) == []
    assert _in_cluster(place) == "another value"
    assert place.pods("web") | place.pods("store") == before
    back = place.target()
    assert back.with_values_in_force(first, second) == second
    assert place.deploy(back, back.with_values_in_force(first, second)) == []
    assert _in_cluster(place) == "another value"


def test_a_secret_is_renewed_in_place(place: Place) -> None:
    """The set in force with the new value of the one secret; without its file it can't be."""
    target = place.target()
    first = place.running(target)
    _write(place, "renewed")

    renewed = target.renewed(first, "alpha")

    assert place.deploy(target, renewed) == []
    assert _in_cluster(place) == "renewed"
    (place.project.root / ".uc/secrets/alpha").unlink()
    with pytest.raises(SecretError, match="missing"):
        target.renewed(first, "alpha")


def test_a_secret_without_a_file_keeps_its_value(place: Place) -> None:
    """If the set in force has it; otherwise it has none, and the cluster must have the object."""
    target = place.target()
    first = place.running(target)
    (place.project.root / ".uc/secrets/alpha").unlink()

    assert place.set(place.target(), "1", first) == first
    assert place.deploy(place.target(), first) == []
    assert _in_cluster(place) == SECRET
    with pytest.raises(SecretError, match="missing"):
        place.set(place.target(), "1")
    place.kubectl("delete", "secret", "alpha")
    assert _problems(place, first) == ["the Secret alpha, which the set needs, is not in namespace shop"]


def test_secrets_that_no_set_needs_are_removed(place: Place) -> None:
    """Those of the sets that may be gone back to stay, and so does what is not of this project."""
    target = place.target()
    first = place.running(target)
    other = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "other"}}
    place.kubectl("create", "--filename=-", stdin=json.dumps(other))
    without = replace(first, specs={name: replace(spec, secrets={}) for name, spec in first.specs.items()})

    target.sweep([without, first])
    assert place.cluster.names("secrets") == ["alpha", "other"]
    target.sweep([without])

    assert place.cluster.names("secrets") == ["other"]


def test_who_reads_it_learns_which_set_runs(place: Place) -> None:
    """After it runs, not before; nothing is restarted by it."""
    target = place.target()
    wanted = place.running(target)
    before = place.pods("web")

    target.announce(wanted)
    target.prepare(place.set(target, "2"))

    release = json.loads(place.cluster.get("configmaps", "release")["data"]["release.json"])
    assert release == {
        "version": "0.1.0",
        "services": {
            "store": {"version": "0.1.0", "image": image("store", "1")},
            "web": {"version": "0.1.0", "image": image("web", "1")},
        },
    }
    assert place.pods("web") == before


def test_the_namespace_is_closed_to_pods_that_are_not_hardened(place: Place) -> None:
    """One that is made here; one that is there belongs to somebody."""
    target = place.target()
    target.store.create("entry", {})
    labels = place.cluster.get("namespaces", "shop")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"

    own = place.target(namespace="own")
    place.kubectl(
        "create", "--filename=-", stdin='{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "own"}}'
    )
    own.prepare(place.set(own, "1"))

    assert "labels" not in place.cluster.get("namespaces", "own")["metadata"]


def test_nothing_is_wrong_with_a_sound_set(place: Place) -> None:
    """Before the first deploy, and later."""
    target = place.target()
    place.running(target)

    assert _problems(place) == []


def test_missing_rights_are_named_all_at_once(place: Place) -> None:
    """Before anything is changed, by what the API server itself says."""
    place.cluster.denied |= {("patch", "statefulsets"), ("get", "pods/log")}

    assert _problems(place) == ["this user may not, in namespace shop: patch statefulsets, get pods/log"]


def test_a_path_of_a_node_is_refused(place: Place) -> None:
    """The restricted profile forbids it; a claim is named, and must be there."""
    path = place.project.root / "versions.toml"
    path.write_text(path.read_text().replace('watched = ""', 'watched = "tree"'))
    (place.project.root / "tree").mkdir()
    place.project.append('mounts = { watched = "/workspace" }\n')
    place.running(place.target(sources={"watched": "volume:tree"}))

    refused = "web reads /srv/tree of its node, which the restricted profile forbids"
    assert _problems(place, sources={"watched": "/srv/tree"}) == [refused]
    absent = "volume:tree is not a PersistentVolumeClaim of namespace shop"
    assert _problems(place, sources={"watched": "volume:tree"}) == [absent]
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "tree"}, "spec": {}}
    place.kubectl("create", "--filename=-", stdin=json.dumps(claim))
    assert _problems(place, sources={"watched": "volume:tree"}) == []


def test_a_registry_on_loopback_is_refused(place: Place) -> None:
    """On a node it is the node itself; who names it as the nodes see it knows better."""
    wanted = place.running(place.target())
    specs = {
        name: replace(spec, image=f"127.0.0.1:5000/{spec.image.partition('/')[2]}")
        for name, spec in wanted.specs.items()
    }
    loopback = replace(wanted, specs=specs)

    assert _problems(place, loopback) == ["the images are at 127.0.0.1:5000, which on each node is the node itself"]
    assert _problems(place, loopback, registry="127.0.0.1:5000") == []


def test_names_that_kubernetes_does_not_take_are_refused(place: Place) -> None:
    """A Service has a DNS label for a name, a node selector is a label."""
    selector = "node.labels.disk == ssd"
    refused = f"[deploy.targets.production] placement.web: {selector} is not a label of nodes"
    assert _problems(place, placement={"web": (selector,)}) == [refused]
    assert _problems(place, placement={"web": ("disktype=ssd", "topology.kubernetes.io/zone=a")}) == []
    place.project.service("a_b", 18985)

    assert _problems(place) == ["a_b can't be the name of a Service"]


def test_what_belongs_to_another_project_is_not_replaced(place: Place) -> None:
    """Two targets with one namespace would take each other's Services."""
    place.running(place.target())

    assert _problems(place, project="other") == [
        "the Deployment web belongs to shop", "the StatefulSet store belongs to shop",
        "the Service store belongs to shop", "the Service web belongs to shop",
    ]  # fmt: skip


def test_a_cluster_that_does_not_answer_is_a_missing_tool(place: Place, tmp_path: Path) -> None:
    """Whatever is asked of the target, with the command that shows why."""
    empty = DeployedSet(versions={}, records={}, specs={})
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        target = place.target(kubeconfig=str(kube_api.kubeconfig(tmp_path / "closed", {CONTEXT: address})))

        for call in (
            target.store.items,
            lambda: target.observe({}),
            lambda: list(target.problems(empty)),
        ):
            with pytest.raises(
                MissingTool, match=r"context memory, namespace shop can't be reached: .*refused"
            ) as caught:
                call()
            assert caught.value.hint.endswith("--context=memory cluster-info")


@pytest.mark.parametrize("settings", [{"context": "other"}, {"kubeconfig": "/does/not/exist"}, {"context": ""}])
def test_a_cluster_that_is_not_configured_is_a_missing_tool(place: Place, settings: dict[str, str]) -> None:
    """A context or a file that is not there, and no context at all."""
    with pytest.raises(MissingTool):
        place.target(**settings).store.items()


def test_the_cluster_is_the_one_that_was_named(place: Place, tmp_path: Path) -> None:
    """The current context is taken where the settings name none; it is named, and a switch of it changes nothing."""
    contexts = {CONTEXT: place.address, "nowhere": "http://127.0.0.1:9"}
    path = kube_api.kubeconfig(tmp_path / "contexts", contexts, current=CONTEXT)
    target = place.target(kubeconfig=str(path), context="")
    assert target.place == "Kubernetes, context memory (the current one), namespace shop"

    kube_api.kubeconfig(path, contexts, current="nowhere")

    assert target.store.items() == []
    assert place.target().place == "Kubernetes, context memory, namespace shop"


def test_a_cluster_that_is_too_old_is_refused(place: Place) -> None:
    """Before 1.27 it would drop fields that it does not know, without a word."""
    place.cluster.version = "v1.26.9"

    with pytest.raises(MissingTool, match=r"the cluster is v1\.26\.9, expected 1\.27 or later"):
        _problems(place)


def test_without_kubectl_it_is_named(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With where to get it."""
    target = place.target()
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingTool, match="kubectl is not installed") as caught:
        target.store.items()
    assert caught.value.hint.startswith("https://kubernetes.io/")


def test_a_container_has_no_address_of_its_own(place: Place) -> None:
    """How a Service is reached from outside is the cluster's: no check claims to have asked it."""
    target = place.target()

    assert target.address("web", place.set(target, "1").specs["web"]) == ""
