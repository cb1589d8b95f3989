"""Kubernetes: a set as objects that are applied on the server, by kubectl; see build/stack/kubernetes.py."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from build import console
from build.config.deploy import TargetSettings
from build.config.manifest import Manifest
from build.deploy import sets
from build.deploy.target import SPEC_LABEL, DeployedSet, Observed, Problem, Spec, Store
from build.deploy.targets.kubernetes import drift, files, problems, secrets, state
from build.deploy.targets.kubernetes.kubectl import Kubectl
from build.deploy.targets.kubernetes.secrets import ClusterSecrets
from build.deploy.targets.kubernetes.state import Look
from build.deploy.targets.kubernetes.store import ClusterStore
from build.errors import BuildError, SmokeFailed, ToolFailed
from build.stack import kubernetes, pods
from build.stack.model import Stack

# What a container's document may have, by the names that kubectl has for them.
KINDS = {
    "Deployment": "deployments.apps",
    "StatefulSet": "statefulsets.apps",
    "Service": "services",
    "NetworkPolicy": "networkpolicies.networking.k8s.io",
    "PodDisruptionBudget": "poddisruptionbudgets.policy",
}
_RUNNING = ["pods", "replicasets.apps"]
_POLL_SECONDS = 1
_REST_SECONDS = 30
_LAST_LINES = 20
_IMMUTABLE = "updates to statefulset spec for fields other than"


class KubernetesTarget:
    """A namespace of a cluster; see build.deploy.target.Target."""

    def __init__(self, manifest: Manifest, name: str, settings: TargetSettings) -> None:
        self.settings = settings
        self._manifest = manifest
        self._name = name
        self._project = sets.project(manifest, settings)
        self._namespace = settings.namespace or self._project
        self._kubectl = Kubectl(settings, self._namespace)
        self._secrets = ClusterSecrets(manifest, settings)
        self._store = ClusterStore(self._kubectl, self._project)
        self.store: Store = self._store

    @property
    def place(self) -> str:
        """The cluster and the namespace, in one phrase. Raises MissingTool if no cluster is configured."""
        return self._kubectl.place

    def render(self, stack: Stack, current: DeployedSet | None) -> dict[str, Spec]:
        """The spec of each container; the values of secrets are read now, and go to the cluster with `prepare`.

        A secret without a file keeps the value that it has in the cluster, if the current set has it. Raises
        SecretError for one that has neither.
        """
        values = self._secrets.read(stack.secrets, current)
        services = {name: service for name, (service, _) in self._manifest.containers().items()}
        return {
            name: Spec(
                service=services[name],
                image=stack.containers[name].image,
                document=document,
                depends_on=stack.containers[name].depends_on,
                secrets={secret: values[secret] for secret in stack.containers[name].secrets},
            )
            for name, document in kubernetes.documents(stack, self._namespace).items()
        }

    def renewed(self, current: DeployedSet, secret: str) -> DeployedSet:
        """The set in force with the value that a secret's file has now; nothing is restarted by it.

        Raises SecretError without a file of it.
        """
        return self._secrets.renewed(current, secret)

    def with_values_in_force(self, wanted: DeployedSet, current: DeployedSet | None) -> DeployedSet:
        """An earlier set with the secrets that the `current` one has, as they are in the cluster."""
        return secrets.with_values_of(wanted, current)

    def problems(self, wanted: DeployedSet) -> Iterator[Problem]:
        """What forbids to deploy this set here. Raises MissingTool for kubectl or a cluster that is too old."""
        self._kubectl.require()
        yield from problems.of_set(wanted.specs, self._name, self.settings)
        yield from problems.of_cluster(wanted.specs, self._project, self._kubectl, self._secrets)

    def observe(self, expected: Mapping[str, Spec]) -> dict[str, Observed]:
        """Every container of the project as it is, compared with what is expected of it.

        Raises MissingTool, ToolFailed.
        """
        live = self._kubectl.items([*KINDS.values(), *_RUNNING], self._selector(), fields=True)
        by_key = {_key(item): item for item in live}
        drifts: dict[str, list[str]] = {name: [] for name in expected}
        # Of another spec, all would differ, and the server may refuse to say how.
        same = [spec for name, spec in expected.items() if _spec(state.workload(live, name)) == spec.hash]
        objects = [item for spec in same for item in _objects(spec)]
        for item in self._kubectl.applied(objects):
            name = item["metadata"]["labels"][f"{pods.LABEL}/name"]
            there = by_key.get(_key(item))
            if there is None:
                drifts[name].append(f"the {item['kind']} was removed")
                continue
            drifts[name] += drift.differences(there, item)
            if item["kind"] in kubernetes.WORKLOADS:
                drifts[name] += drift.added(there, item)
        names = [item["metadata"]["name"] for item in live if item["kind"] in kubernetes.WORKLOADS]
        return {
            name: state.observed(look, tuple(drifts.get(name, ())))
            for name in dict.fromkeys(names)
            if (look := state.look(live, name))
        }

    def settle(self, containers: Collection[str]) -> None:
        """Remove the pods that keep a StatefulSet from going on, once the controllers have seen the last change.

        Raises MissingTool, ToolFailed.
        """
        deadline = time.monotonic() + _REST_SECONDS
        for name in containers:
            while (look := self._look(name)) and not look.is_observed and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
            if look:
                self._unstick(look)

    def _unstick(self, look: Look) -> None:
        """Delete the broken pods of an earlier template: a StatefulSet is stuck on them (kubernetes#67250)."""
        if look.is_stateful and look.is_observed:
            for pod in look.outdated:
                if not state.is_ready(pod):
                    self._kubectl.run("delete", "pod", pod["metadata"]["name"], "--ignore-not-found", "--wait=false")

    def pull(self, specs: Collection[Spec]) -> None:
        """Do nothing but say who pulls: no program outside a cluster can have its nodes do so."""
        if specs:
            images = len({spec.image for spec in specs})
            console.note(f"{images} images: each node pulls what it runs, at its first start there")

    def prepare(self, wanted: DeployedSet) -> None:
        """Create the namespace, the policy that denies by default, and what says which release runs; write the secrets.

        Secrets are updated in place: kubelets refresh the files, nothing restarts. Raises MissingTool, ToolFailed.
        """
        objects = [kubernetes.default_deny(self._project, self._namespace)]
        objects += self._secrets.objects(wanted, self._namespace)
        try:
            self._store.in_namespace(partial(self._kubectl.apply, objects))
        except ToolFailed as error:
            error.output = self._secrets.redacted(error.output)  # it may quote what it was sent
            raise error.with_message(self._secrets.redacted(str(error)), hint=error.hint) from None
        if any(problems.reads_release(spec) for spec in wanted.specs.values()):
            self._kubectl.create(kubernetes.release_map(self._project, self._namespace, files.release({}, {})))

    def apply(self, name: str, spec: Spec) -> None:
        """Have a container run as its spec says; returns before it does. Raises MissingTool, ToolFailed."""
        objects = _objects(spec)
        wanted = {_key(item) for item in objects}
        live = self._kubectl.items(list(KINDS.values()), self._selector(name), fields=True)
        for item in live:
            if _key(item) not in wanted:
                self._delete(item)
            elif item["kind"] in kubernetes.WORKLOADS and drift.foreign(item):
                self._adopt(item, objects)
        try:
            self._kubectl.apply(objects)
        except ToolFailed as error:
            if _IMMUTABLE not in error.output:
                raise
            # Its pod goes on, and the new StatefulSet adopts it; the claims of its volumes stay.
            self._kubectl.run("delete", "statefulset", name, "--cascade=orphan", f"--timeout={_REST_SECONDS}s")
            self._kubectl.apply(objects)

    def _adopt(self, live: Mapping[str, Any], objects: Sequence[Mapping[str, Any]]) -> None:
        """Take over the fields that others have added, so that applying removes them."""
        wanted = self._kubectl.applied([item for item in objects if _key(item) == _key(live)])
        if any(drift.added(live, item) for item in wanted):
            patch = [
                {"op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
                {"op": "replace", "path": "/metadata/managedFields", "value": drift.adopted(live)},
            ]
            kind = KINDS[live["kind"]]
            self._kubectl.run("patch", kind, live["metadata"]["name"], "--type=json", f"--patch={json.dumps(patch)}")

    def wait(self, name: str, spec: Spec) -> None:
        """Wait until all its pods are ready by the spec's digest, and have stayed so for the monitor window.

        Raises SmokeFailed with their last lines as soon as they can't become ready or at the deadline; MissingTool,
        ToolFailed.
        """
        deadline = time.monotonic() + self.settings.health_seconds
        healthy_at, restarts = 0.0, 0
        while True:
            look = self._look(name)
            if look is None:
                raise SmokeFailed(f"{name} was removed while it was waited for", hint="./inv status")
            if failed := state.failure(look):
                raise self._unhealthy(look, failed)
            is_complete = state.complete(look, spec)
            if is_complete and not healthy_at:
                healthy_at, restarts = time.monotonic(), state.restarts(look)
            if healthy_at and (not is_complete or state.restarts(look) > restarts):
                raise self._unhealthy(look, f"{name} was healthy, and did not stay so")
            if healthy_at and time.monotonic() - healthy_at >= self.settings.monitor_seconds:
                return
            if not healthy_at and time.monotonic() > deadline:
                raise self._unhealthy(look, f"{name} is not healthy after {self.settings.health_seconds} s")
            self._unstick(look)
            time.sleep(_POLL_SECONDS)

    def _unhealthy(self, look: Look, why: str) -> SmokeFailed:
        name = look.workload["metadata"]["name"]
        broken = [pod for pod in (*look.current, *look.pods) if not state.is_ready(pod)]
        lines = []
        if broken:
            pod = broken[0]["metadata"]["name"]
            if (why_not := state.reason(broken[0])) != why:
                why += f": {why_not}"
            for previous in ([], ["--previous"]):
                with contextlib.suppress(BuildError):
                    lines += self._kubectl.run("logs", pod, f"--tail={_LAST_LINES}", *previous).splitlines()
        context = f" --context={self._kubectl.context}" if self._kubectl.context else ""
        hint = f"kubectl{context} --namespace={self._namespace} describe pods -l {pods.LABEL}/name={name}"
        return SmokeFailed(f"{name}: {why}", hint=hint, output="\n".join(lines[-_LAST_LINES:]))

    def remove(self, name: str) -> None:
        """Remove a container with all that belongs to it; the claims of its volumes stay.

        Raises MissingTool, ToolFailed.
        """
        for item in self._kubectl.items(list(KINDS.values()), self._selector(name)):
            self._delete(item)

    def _delete(self, item: Mapping[str, Any]) -> None:
        seconds = self.settings.health_seconds
        self._kubectl.run("delete", KINDS[item["kind"]], item["metadata"]["name"], "--ignore-not-found",
                          "--cascade=foreground", f"--timeout={seconds}s", seconds=seconds)  # fmt: skip

    def announce(self, current: DeployedSet) -> None:
        """Write which set runs, for the containers that read it. Raises MissingTool, ToolFailed."""
        if any(problems.reads_release(spec) for spec in current.specs.values()):
            content = files.release(current.specs, current.versions)
            self._kubectl.apply([kubernetes.release_map(self._project, self._namespace, content)])

    def sweep(self, kept: Sequence[DeployedSet]) -> None:
        """Remove the secrets that none of these sets needs. Raises MissingTool, ToolFailed."""
        needed = {name for deployed in kept for name in secrets.names(deployed)}
        listed = self._kubectl.run("get", "secrets", f"--selector={self._selector()}", "--output=name").split()
        for name in (item.rpartition("/")[2] for item in listed):
            if name not in needed:
                self._kubectl.run("delete", "secret", name, "--ignore-not-found")

    def address(self, name: str, spec: Spec) -> str:  # noqa: ARG002  (the protocol's)
        """Always "": how a Service is reached from outside is the cluster's own, a Gateway or an Ingress."""
        return ""

    def files(self, wanted: DeployedSet) -> dict[str, str]:
        """What would be applied, as files by name: a base for kustomize. The values of secrets are not among them."""
        return files.rendered(wanted, self._project, self._namespace, self.settings.secrets or ".uc/secrets")

    def _selector(self, name: str = "") -> str:
        labels = pods.selector(self._project, name)
        return ",".join(f"{key}={value}" for key, value in labels.items() if value)

    def _look(self, name: str) -> Look | None:
        kinds = [KINDS[kind] for kind in kubernetes.WORKLOADS]
        return state.look(self._kubectl.items([*kinds, *_RUNNING], self._selector(name)), name)


def _objects(spec: Spec) -> list[dict[str, Any]]:
    """The objects of a spec; the workload says which spec it is of, its pods don't: that alone restarts nothing."""
    objects: list[dict[str, Any]] = json.loads(json.dumps(spec.document["items"]))
    metadata = kubernetes.workload({"items": objects})["metadata"]
    metadata["annotations"] = {**metadata.get("annotations", {}), SPEC_LABEL: spec.hash}
    return objects


def _spec(workload: Mapping[str, Any] | None) -> str:
    annotations: Mapping[str, str] = workload["metadata"].get("annotations", {}) if workload else {}
    return annotations.get(SPEC_LABEL, "")


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["kind"], item["metadata"]["name"]
