"""A namespace of the API server in memory, as a target that sets are deployed to, and real kubectl beside it."""

from __future__ import annotations

import copy
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from build.config.deploy import TargetSettings
from build.config.manifest import Manifest
from build.deploy import converge, sets
from build.deploy.changes import changes
from build.deploy.target import DeployedSet
from build.deploy.targets.kubernetes import target as kubernetes
from build.deploy.targets.kubernetes.target import KubernetesTarget
from build.stack import model, secrets
from tests.support import debian, kube_api, kube_server
from tests.support.kube_api import Cluster
from tests.support.project import Project

NAMESPACE = "shop"
CONTEXT = "memory"
SECRET = "a-value-that-nobody-may-see"
_RUNNING: dict[Any, Any] = {}


def digest(letter: str) -> str:
    """The digest of an image: any hex digit, 64 times."""
    return "sha256:" + letter * 64


def image(service: str, letter: str) -> str:
    """The image of a service with that digest."""
    return f"registry.example:5000/test/{service}@{digest(letter)}"


@dataclass(slots=True)
class Place:
    """The project `shop`: `web` is stateless and runs twice, `store` keeps data; both have a secret."""

    cluster: Cluster
    address: str
    kubeconfig: Path
    project: Project

    @property
    def manifest(self) -> Manifest:
        """The project's manifest."""
        return self.project.load()

    def target(self, **settings: Any) -> KubernetesTarget:
        """The target, as another process would make it."""
        usual: dict[str, Any] = {
            "kubeconfig": str(self.kubeconfig), "context": CONTEXT, "namespace": NAMESPACE, "project": "shop",
            "replicas": {"web": 2}, "health_seconds": 5, "monitor_seconds": 0,
        }  # fmt: skip
        return KubernetesTarget(self.manifest, "production", TargetSettings(kind="kubernetes", **usual | settings))

    def set(
        self, target: KubernetesTarget, letter: str, current: DeployedSet | None = None, **images: str
    ) -> DeployedSet:
        """The set in which every image has this digest, but those of `images` another; `letter` is its version, too."""
        manifest = self.manifest
        references = {name: image(name, images.get(name, letter)) for name in manifest.services}
        stack = model.stack(manifest, references, sets.site(manifest, target.settings))
        versions = dict.fromkeys(manifest.services, f"0.{letter}.0")
        return DeployedSet(versions=versions, records={"all": letter}, specs=target.render(stack, current))

    def deploy(self, target: KubernetesTarget, wanted: DeployedSet) -> list[str]:
        """Bring a set as a deploy does, and prove it; return the containers that were touched."""
        due = changes(wanted.specs, target.observe(wanted.specs))
        converge.bring(target, wanted, due, lambda: None)
        converge.verify(target, wanted)
        return [change.container for change in due if change.action != "keep"]

    def running(self, target: KubernetesTarget) -> DeployedSet:
        """Set 1, running; it is deployed once, and later copied: how it arrives has a test of its own."""
        wanted = self.set(target, "1")
        with self.cluster.lock:
            self.cluster.objects.update(copy.deepcopy(_RUNNING))
            self.cluster.events = [("ADDED", key[0], item) for key, item in _RUNNING.items()]
        if not _RUNNING:
            self.deploy(target, wanted)
            with self.cluster.lock:
                _RUNNING.update(copy.deepcopy(self.cluster.objects))
        return wanted

    def kubectl(self, *arguments: str, codes: tuple[int, ...] = (0,), stdin: str = "") -> str:
        """Run kubectl as somebody at a terminal does; return both streams."""
        argv = ["kubectl", f"--kubeconfig={self.kubeconfig}", f"--context={CONTEXT}", f"--namespace={NAMESPACE}"]
        done = subprocess.run([*argv, *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode in codes, done.stdout + done.stderr
        return done.stdout + done.stderr

    def pods(self, name: str) -> dict[str, str]:
        """The uids of a container's pods, by their names."""
        with self.cluster.lock:
            return {
                pod["metadata"]["name"]: pod["metadata"]["uid"]
                for pod in self.cluster.every("pods")
                if pod["metadata"]["labels"]["app.kubernetes.io/name"] == name
            }


@pytest.fixture(scope="session")
def kubectl_folder() -> str:
    """The folder of kubectl: from PATH, else from Debian's package."""
    return str(Path(debian.program("kubectl", "kubectl", "usr/bin/kubectl").path).parent)


@pytest.fixture
def place(
    empty_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kubectl_folder: str
) -> Iterator[Place]:
    """A namespace to deploy to, in a cluster of its own."""
    monkeypatch.setenv("PATH", os.pathsep.join([os.environ["PATH"], kubectl_folder]))
    monkeypatch.setenv("KUBECACHEDIR", str(tmp_path / "kubectl-cache"))
    monkeypatch.setenv("KUBECONFIG", os.devnull)
    monkeypatch.setattr(kubernetes, "_POLL_SECONDS", 0.2)
    empty_project.service(
        "store", 18982, secrets='["alpha"]', volumes='{ data = "/data" }', networks='["internal"]'
    )  # fmt: skip
    empty_project.service(
        "web", 18981, secrets='["alpha"]', depends_on='["store"]', release_folder='"/run/uc"',
        networks='["edge", "internal"]', environment='{ GREETING = "a$b" }',
    )  # fmt: skip
    secrets.initialise(empty_project.load())
    (empty_project.root / ".uc/secrets/alpha").write_text(f"{SECRET}\n", encoding="utf-8")
    cluster = Cluster()
    with kube_server.serving(cluster) as address:
        kubeconfig = kube_api.kubeconfig(tmp_path / "kubeconfig", {CONTEXT: address})
        yield Place(cluster, address, kubeconfig, empty_project)
