"""`./inv deploy`, `rollback`, `status` and `manifests` on Kubernetes: released sets, by real kubectl, end to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.support import kube_api, kube_server
from tests.support.deploying import CONTAINERS, FIRST, STORE_CHANGED, WEB_CHANGED, Releases, Site
from tests.support.kube_api import Cluster

NAMESPACE = "uct"


@dataclass(slots=True)
class Deployed:
    """A site that is a namespace, and the cluster that it is in."""

    site: Site
    cluster: Cluster

    def runs(self) -> dict[str, str]:
        """The digests that the ready pods of each container run."""
        with self.cluster.lock:
            return {
                pod["metadata"]["labels"]["app.kubernetes.io/name"]: pod["spec"]["containers"][0]["image"].partition(
                    "@"
                )[2]
                for pod in self.cluster.every("pods")
                if pod["status"]["conditions"][0]["status"] == "True"
            }

    def uid(self, container: str) -> str:
        """The pod of a container, by its uid."""
        with self.cluster.lock:
            return next(
                str(pod["metadata"]["uid"])
                for pod in self.cluster.every("pods")
                if pod["metadata"]["labels"]["app.kubernetes.io/name"] == container
            )


@pytest.fixture
def deployed(
    make_site: Callable[..., Site], tmp_path: Path, kubectl_folder: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deployed]:
    """A namespace that nothing was deployed to yet."""
    cluster = Cluster()
    with kube_server.serving(cluster) as address:
        path = kube_api.kubeconfig(tmp_path / "kubeconfig", {"memory": address})
        site = make_site(
            kind='"kubernetes"', kubeconfig=f'"{path}"', context='"memory"', namespace=f'"{NAMESPACE}"',
            registry='"127.0.0.1:5000"',
        )  # fmt: skip
        file = site.root / "versions.local.toml"
        text = "".join(line for line in file.read_text().splitlines(keepends=True) if not line.startswith("notes = "))
        file.write_text(f'{text}notes = "volume:notes"\n')
        site.variables = {"KUBECACHEDIR": str(tmp_path / "cache")}
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "notes", "namespace": NAMESPACE},
        }
        with cluster.lock:
            cluster.put("persistentvolumeclaims", claim)
        yield Deployed(site, cluster)


def _digests(releases: Releases, version: str) -> dict[str, str]:
    digests = releases.digests(version)
    return {name: digests[service] for name, service in CONTAINERS.items()}


def test_a_release_arrives_changes_and_goes_back(deployed: Deployed, releases: Releases, tmp_path: Path) -> None:
    """Only what changed is touched; what runs is that of the record, and so is what is printed as files."""
    site = deployed.site
    ran = site.deploy(FIRST)
    assert ran.code == 0, ran.text
    assert deployed.runs() == _digests(releases, FIRST)
    assert "not smoke-tested, because this machine has no way to them" in ran.text
    assert "checks passed" not in ran.text
    store = deployed.uid("store")

    ran = site.deploy(WEB_CHANGED)
    assert ran.code == 0, ran.text
    assert deployed.runs() == _digests(releases, WEB_CHANGED)
    assert deployed.uid("store") == store

    status = site.another().status()
    assert (status["release"], status["drift"], status["place"]) == (
        WEB_CHANGED, [], f"Kubernetes, context memory, namespace {NAMESPACE}",
    )  # fmt: skip
    assert all(container["health"] == "healthy" for container in status["containers"])

    ran = site.inv("manifests", WEB_CHANGED, "--out", str(tmp_path / "manifests"))
    assert ran.code == 0, ran.text
    written = [*yaml.safe_load_all((tmp_path / "manifests/base/web.yaml").read_text())][-1]
    assert written["spec"]["template"]["spec"]["containers"][0]["image"].endswith(
        _digests(releases, WEB_CHANGED)["web"]
    )

    ran = site.rollback()
    assert ran.code == 0, ran.text
    assert deployed.runs() == _digests(releases, FIRST)
    assert deployed.uid("store") == store


def test_a_release_that_does_not_run_is_put_back(deployed: Deployed, releases: Releases) -> None:
    """The pod's own reason is the failure; the set of before runs whole, and the journal says how it ended."""
    site = deployed.site
    assert site.deploy(FIRST).code == 0
    deployed.cluster.images[_digests(releases, STORE_CHANGED)["store"]] = "missing"

    ran = site.deploy(STORE_CHANGED)

    assert ran.code == 16, ran.text
    assert "ImagePullBackOff" in ran.text
    assert deployed.runs() == _digests(releases, FIRST)
    assert [entry["state"] for entry in site.deploys()] == ["rolled-back", "done"]
    assert site.status()["drift"] == []


def test_a_deploy_that_was_killed_is_undone_from_anywhere(deployed: Deployed, releases: Releases) -> None:
    """Another checkout finds its entry open and its lock without a holder; the pod that it left is replaced."""
    site = deployed.site
    assert site.deploy(FIRST).code == 0
    wanted = _digests(releases, STORE_CHANGED)["store"]
    deployed.cluster.images[wanted] = "unhealthy"
    running = site.start("deploy", STORE_CHANGED)
    deadline = time.monotonic() + 120
    while wanted not in str(deployed.cluster.get("statefulsets", "store")["spec"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    running.kill()
    running.wait()

    ran = site.another().rollback()

    assert ran.code == 0, ran.text
    assert deployed.runs() == _digests(releases, FIRST)
    assert site.status()["drift"] == []


def test_what_forbids_a_deploy_is_named_before_anything_is_there(deployed: Deployed) -> None:
    """All of it at once, by exit code 18, and the namespace has nothing but what was there."""
    site = deployed.site
    deployed.cluster.denied.add(("patch", "deployments"))

    ran = site.deploy(FIRST)

    assert ran.code == 18, ran.text
    assert "this user may not, in namespace uct: patch deployments" in ran.text
    assert deployed.cluster.names("pods") == deployed.cluster.names("secrets") == deployed.cluster.names("leases") == []
