"""What forbids a deploy to a swarm: looked for before anything is touched."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from build import console
from build.config.deploy import TargetSettings
from build.deploy.target import DeployedSet, Problem, Spec
from build.deploy.targets.swarm.encryption import Crossing
from build.deploy.targets.swarm.logins import Logins
from build.deploy.targets.swarm.nodes import Node, eligible, nodes
from build.deploy.targets.swarm.secrets import Secrets
from build.deploy.targets.swarm.trial import NO_IMAGE, Trial, failures, pull_hint
from build.engine.api import Api
from build.engine.client import older
from build.errors import BuildError
from build.registry.connections import is_each_machines_own
from build.stack.swarm import PROJECT_LABEL, STACK_LABEL, data_label, service_name

EVERYWHERE = "0.0.0.0"  # noqa: S104  (the only address that a swarm publishes on)
_ENGINE = "25.0"  # the first whose services can have no-new-privileges
_SERVICE_NAME = re.compile(r"[a-z0-9](?:[-_]*[a-z0-9]+)*")
_LONGEST_NAME = 63
_TRIAL_SECONDS = 900  # for the pull of an image, where a node has not got it


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """A swarm, looked at for a set that is to be deployed by the target called `name`."""

    api: Api
    name: str
    project: str
    settings: TargetSettings
    secrets: Secrets
    logins: Logins

    def problems(self, wanted: DeployedSet) -> Iterator[Problem]:
        """Everything that is wrong; nothing of the swarm itself is raised."""
        try:
            yield from self._problems(wanted)
        except BuildError as error:
            yield Problem(str(error), error.hint)

    def _problems(self, wanted: DeployedSet) -> Iterator[Problem]:
        yield from self._address()
        yield from self._names(wanted)
        swarm = self.api.get("/info")["Swarm"]
        if not swarm.get("ControlAvailable"):
            state = swarm.get("LocalNodeState", "inactive")
            yield Problem(
                f"the engine ({self.api.engine}) is no swarm manager: {'a worker' if state == 'active' else state}",
                "docker swarm init on it, or host = a manager of the swarm",
            )
            return
        every = nodes(self.api)
        yield from self._engines(every)
        yield from self._registry(wanted, every)
        for container, spec in wanted.specs.items():
            yield from self._placement(container, spec, every)
        yield from self._data(wanted, every)
        yield from self._services(wanted)
        yield from self._networks(wanted)
        yield from self._secrets(wanted)
        yield from self._paths(wanted)
        yield from self._encryption(wanted, every)

    @property
    def _table(self) -> str:
        return f"[deploy.targets.{self.name}]"

    def _docker(self, *words: str) -> str:
        return self.api.engine.shown(*words)

    def _address(self) -> Iterator[Problem]:
        if self.settings.address != EVERYWHERE:
            yield Problem(
                f"a swarm publishes ports on every address of a node, not on {self.settings.address} alone",
                f'address = "{EVERYWHERE}" in {self._table}; a firewall keeps out who may not reach them',
            )

    def _names(self, wanted: DeployedSet) -> Iterator[Problem]:
        for container in wanted.specs:
            name = service_name(self.project, container)
            if not _SERVICE_NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
                yield Problem(
                    f"a swarm takes no service called {name}: letters, digits, - and _, {_LONGEST_NAME} at most",
                    f'another container name, or project = "…" in {self._table}',
                )

    def _engines(self, every: Sequence[Node]) -> Iterator[Problem]:
        for node in every:
            if node.takes_tasks and older(node.engine, _ENGINE):
                drain = self._docker("node update --availability drain", node.name)
                yield Problem(
                    f"node {node.name} has Docker {node.engine}, which would run containers without no-new-privileges",
                    f"Docker {_ENGINE} or newer there, or {drain}",
                )

    def _registry(self, wanted: DeployedSet, every: Sequence[Node]) -> Iterator[Problem]:
        loopback = sorted({host for image in wanted.images if is_each_machines_own(host := image.partition("/")[0])})
        hint = f'registry = "HOST:PORT" in {self._table}, as every node reaches it'
        if loopback and len(every) > 1:
            yield Problem(f"the registry {loopback[0]} is another one on each of the {len(every)} nodes", hint)
        elif loopback and not self.api.engine.is_local:
            yield Problem(f"the registry {loopback[0]} is this machine's, and not that of {every[0].name}", hint)

    def _placement(self, container: str, spec: Spec, every: Sequence[Node]) -> Iterator[Problem]:
        service = spec.document["Service"]
        if is_pinned_by_label(service, self.project):
            return
        constraints, replicas = constraints_of(service), service["Mode"]["Replicated"]["Replicas"]
        able = eligible(every, constraints)
        where = f"with {' and '.join(constraints)} " if constraints else ""
        if len(able) < replicas and service["EndpointSpec"]["Ports"]:
            yield Problem(
                f"{container} wants {replicas} nodes {where}for its port, and there are {len(able)}"
                + "".join(f"; {node.name} is {node.state}" for node in every if not node.takes_tasks),
                f"{self._docker('node ls')}; placement and replicas in {self._table}",
            )
        elif len(able) > 1 and writes_to_volume(service):
            yield Problem(
                f"{container} writes to a volume, and may run on {' or '.join(node.name for node in able)}: "
                "its data is on one of them",
                f'placement.{container} = ["node.hostname == {able[0].name}"] in {self._table}',
            )

    def _data(self, wanted: DeployedSet, every: Sequence[Node]) -> Iterator[Problem]:
        """What keeps the containers with volumes from having one node, where nothing else says which."""
        services = {name: spec.document["Service"] for name, spec in wanted.specs.items()}
        pinned = [name for name, service in services.items() if is_pinned_by_label(service, self.project)]
        label = data_label(self.project)
        if not pinned or (len(every) == 1 and every[0].takes_tasks):
            return
        keeping = [node for node in every if node.labels.get(label, "").lower() == "true"]
        names = ", ".join(pinned)
        if not keeping:
            node = next((node.name for node in every if node.takes_tasks), "NODE")
            yield Problem(
                f"no node keeps the volumes of {names}: it has to be one of {', '.join(node.name for node in every)}",
                self._docker(f"node update --label-add {label}=true {node}"),
            )
        elif len(keeping) > 1:
            yield Problem(
                f"{', '.join(node.name for node in keeping)} all keep the volumes of {names}: the data is on one",
                self._docker(f"node update --label-rm {label} {keeping[-1].name}"),
            )
        elif not keeping[0].takes_tasks:
            yield Problem(
                f"{keeping[0].name} keeps the volumes of {names}, and is {keeping[0].state}",
                f"{self._docker('node update --availability active', keeping[0].name)}; {self._docker('node ls')}",
            )

    def _services(self, wanted: DeployedSet) -> Iterator[Problem]:
        """Services of others in the way: with a name or a port of ours."""
        ports = {
            port["PublishedPort"]: container
            for container, spec in wanted.specs.items()
            for port in spec.document["Service"]["EndpointSpec"]["Ports"]
        }
        names = {service_name(self.project, container) for container in wanted.specs}
        for service in self.api.get("/services"):
            spec = service["Spec"]
            if belongs(service, self.project):
                continue
            if spec["Name"] in names:
                remedy = self._docker("service rm", spec["Name"])
                yield Problem(f"the service {spec['Name']} is not of this target", remedy)
            for port in (service.get("Endpoint") or {}).get("Ports") or ():
                if container := ports.get(port.get("PublishedPort", 0)):
                    yield Problem(
                        f"port {port['PublishedPort']} of {container} is that of the service {spec['Name']}",
                        f"ports.{container} = ANOTHER in {self._table}",
                    )

    def _networks(self, wanted: DeployedSet) -> Iterator[Problem]:
        present = {network["Name"]: network for network in overlays(self.api)}
        for body in networks_of(wanted.specs).values():
            there = present.get(body["Name"])
            if there is None:
                continue
            for what, has, wants in (
                ("internal", bool(there.get("Internal")), body["Internal"]),
                ("encrypted", "encrypted" in (there.get("Options") or {}), "encrypted" in body["Options"]),
            ):
                if has != wants:
                    yield Problem(
                        f"the network {body['Name']} is {'' if has else 'not '}{what}, which can't be changed",
                        f"remove the services in it, {self._docker('network rm', body['Name'])}, and deploy again",
                    )

    def _secrets(self, wanted: DeployedSet) -> Iterator[Problem]:
        values = {(key, name) for spec in wanted.specs.values() for key, name in spec.secrets.items()}
        present = self.secrets.ids() if values else {}
        for secret, name in sorted(values):
            if self.secrets.missing({secret: name}, present):
                yield Problem(
                    f"the value of secret {secret} that this set needs is gone: the swarm has no {name}",
                    f"write it to {self.secrets.folder / secret}, or deploy with the value that is there",
                )

    def _encryption(self, wanted: DeployedSet, every: Sequence[Node]) -> Iterator[Problem]:
        """Nodes that encrypted networks do not reach: really tried, for want of another sign."""
        able = [node for node in every if node.takes_tasks]
        if not self.settings.encrypted or len(able) < 2:
            return
        for image in wanted.images:
            crossing = Crossing(self.api, self.project, image, self.logins.header(image), {"encrypted": ""})
            silent = crossing.silent(able)
            if silent is None:
                continue
            if silent:
                yield Problem(
                    f"no encrypted traffic gets from {able[0].name} to {', '.join(silent)}: no ESP in a kernel?",
                    f"modprobe esp4 there, and let protocol 50 through; or encrypted = false in {self._table}",
                )
            return
        console.warn("not tried whether the nodes' kernels can encrypt: no image of the set has perl")

    def _paths(self, wanted: DeployedSet) -> Iterator[Problem]:
        """Paths of the host that a node lacks: tried there, with the container's own image."""
        trials: dict[int, str] = {}
        due = []
        for container, spec in wanted.specs.items():
            service = spec.document["Service"]
            mounts = service["TaskTemplate"]["ContainerSpec"]["Mounts"]
            if paths := [mount for mount in mounts if mount["Type"] == "bind"]:
                login = self.logins.header(spec.image)
                trial = Trial(image=spec.image, constraints=constraints_of(service), mounts=paths, auth=login)
                trials[id(trial)] = container
                due.append(trial)
        for trial, node, reason in failures(self.api, self.project, due, seconds=_TRIAL_SECONDS):
            if NO_IMAGE in reason:
                yield Problem(f"node {node} can't pull {trial.image}: {reason}", pull_hint(trial.image, self._table))
                continue
            yield Problem(
                f"{trials[id(trial)]} can't run on node {node}: {reason}",
                f"have it there, or keep the container from that node: placement in {self._table}",
            )


def belongs(service: Mapping[str, Any], project: str) -> bool:
    """Whether a service is the project's: a `docker stack deploy` would leave only the label of the stack."""
    labels = service["Spec"].get("Labels") or {}
    return project in {labels.get(PROJECT_LABEL), labels.get(STACK_LABEL)}


def networks_of(specs: Mapping[str, Spec]) -> dict[str, dict[str, Any]]:
    """The networks that these containers need, as the API takes them, by name."""
    return {body["Name"]: body for spec in specs.values() for body in spec.document["Networks"]}


def overlays(api: Api) -> list[dict[str, Any]]:
    """The networks of the swarm. A bridge of this node may have the same name as one of them."""
    networks: list[dict[str, Any]] = api.get("/networks", filters={"scope": ["swarm"], "driver": ["overlay"]})
    return networks


def constraints_of(service: Mapping[str, Any]) -> tuple[str, ...]:
    """The placement constraints of a document's service."""
    return tuple(service["TaskTemplate"]["Placement"]["Constraints"])


def writes_to_volume(service: Mapping[str, Any]) -> bool:
    """Whether two of it must never run at the same time."""
    mounts = service["TaskTemplate"]["ContainerSpec"]["Mounts"]
    return any(mount["Type"] == "volume" and not mount.get("ReadOnly") for mount in mounts)


def is_pinned_by_label(service: Mapping[str, Any], project: str) -> bool:
    """Whether it runs on the node that has the label for the project's volumes."""
    return f"node.labels.{data_label(project)} == true" in constraints_of(service)
