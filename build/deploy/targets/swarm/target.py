"""Docker Swarm, by the Engine API: `docker stack deploy` would drop no-new-privileges and hide failures."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import IO, Any

from build.config.deploy import TargetSettings
from build.config.manifest import Manifest
from build.deploy import sets
from build.deploy.target import SPEC_LABEL, DeployedSet, Observed, Problem, Spec, Store
from build.deploy.targets.swarm import files, secrets, trial
from build.deploy.targets.swarm.data import Data
from build.deploy.targets.swarm.logins import Logins
from build.deploy.targets.swarm.nodes import eligible, nodes, reachable, with_label
from build.deploy.targets.swarm.observed import observed
from build.deploy.targets.swarm.problems import (
    Examination,
    constraints_of,
    is_pinned_by_label,
    networks_of,
    overlays,
    writes_to_volume,
)
from build.deploy.targets.swarm.rollout import Rollout
from build.deploy.targets.swarm.secrets import Secrets
from build.deploy.targets.swarm.store import ConfigStore
from build.deploy.targets.swarm.tasks import tasks, wait_until_stopped
from build.deploy.targets.swarm.trial import Trial
from build.engine.api import Api, ApiError
from build.engine.remote import Engine, url
from build.errors import ToolFailed
from build.stack import swarm
from build.stack.model import Stack
from build.stack.swarm import CONTAINER_LABEL, PROJECT_LABEL, service_name

_PULL_SECONDS = 900
_OUT_OF_SEQUENCE = "out of sequence"  # somebody changed the service after it was read
_ATTEMPTS = 5


class SwarmTarget:
    """The project on a swarm: a service for each container, its journal in configs.

    Raises MissingTool wherever no manager with a quorum answers.
    """

    settings: TargetSettings
    store: Store

    def __init__(self, manifest: Manifest, name: str, settings: TargetSettings) -> None:
        self.settings = settings
        self._manifest = manifest
        self._name = name
        self._project = sets.project(manifest, settings)
        self._engine = Engine(context=settings.context, host=settings.host)
        self._api = Api(self._engine)
        self._logins = Logins(manifest, settings)
        self._secrets = Secrets(self._api, self._project, manifest, settings)
        self._data = Data(api=self._api, name=name, project=self._project, settings=settings)
        self.store = ConfigStore(self._api, self._project)

    @property
    def place(self) -> str:
        """The swarm and the project."""
        return f"the swarm of {self._engine}, project {self._project}"

    def render(self, stack: Stack, current: DeployedSet | None) -> dict[str, Spec]:
        """The spec of each container. Raises SecretError for a secret that has neither a file nor a value so far."""
        names = self._secrets.names(stack.secrets, current) if stack.secrets else {}
        documents = swarm.documents(
            stack, names, monitor_seconds=self.settings.monitor_seconds, encrypted=self.settings.encrypted
        )
        services = {name: service for name, (service, _) in self._manifest.containers().items()}
        return {
            name: Spec(
                service=services[name],
                image=container.image,
                document=documents[name],
                depends_on=container.depends_on,
                secrets={secret: names[secret] for secret in container.secrets},
            )
            for name, container in stack.containers.items()
        }

    def renewed(self, current: DeployedSet, secret: str) -> DeployedSet:
        """The set with the value that the secret's file has now. Raises SecretError without a file of it."""
        return secrets.revalued(current, {secret: self._secrets.from_file(secret)})

    def with_values_in_force(self, wanted: DeployedSet, current: DeployedSet | None) -> DeployedSet:
        """The set with the secrets that the `current` one has, as far as it has them."""
        return secrets.revalued(wanted, current.secrets if current else {})

    def problems(self, wanted: DeployedSet) -> Iterator[Problem]:
        """What forbids to deploy this set: nodes, ports, networks, secrets, the registry's address."""
        examination = Examination(
            api=self._api,
            name=self._name,
            project=self._project,
            settings=self.settings,
            secrets=self._secrets,
            logins=self._logins,
        )
        yield from examination.problems(wanted)

    def observe(self, expected: Mapping[str, Spec]) -> dict[str, Observed]:
        """Every service of the project as it is. One that runs is healthy: a swarm starts no other one."""
        return observed(self._api, self._project, expected)

    def settle(self, containers: Collection[str]) -> None:  # noqa: ARG002  (an update takes the place of one that was cut short)
        """Remove what a trial left. An interrupted update leaves nothing else: the next one takes its place."""
        trial.sweep(self._api, self._project)

    def pull(self, specs: Collection[Spec]) -> None:
        """Have each image on every node that it may run on. Raises ToolFailed, naming each node that can't pull."""
        self.settle(())  # a deploy that was killed before its journal was open has left its trials
        places = dict.fromkeys((spec.image, constraints_of(spec.document["Service"])) for spec in specs)
        trials = [
            Trial(image=image, constraints=constraints, auth=self._logins.header(image))
            for image, constraints in places
        ]
        failures = list(trial.failures(self._api, self._project, trials, seconds=_PULL_SECONDS))
        if failures:
            raise ToolFailed(
                "\n".join(f"node {node} can't pull {trial.image}: {reason}" for trial, node, reason in failures),
                hint=trial.pull_hint(failures[0][0].image, f"[deploy.targets.{self._name}]"),
            )

    def prepare(self, wanted: DeployedSet) -> None:
        """Create networks and secrets; name the only node as the one that keeps the volumes.

        Raises SecretError for a value that is gone.
        """
        present = {network["Name"] for network in overlays(self._api)}
        for name, body in networks_of(wanted.specs).items():
            if name not in present:
                self._api.post("/networks/create", body)
        for spec in wanted.specs.values():
            if spec.secrets:
                self._secrets.create(spec.secrets)
        self._keep_data(wanted)

    def _keep_data(self, wanted: DeployedSet) -> None:
        services = [spec.document["Service"] for spec in wanted.specs.values()]
        if not any(is_pinned_by_label(service, self._project) for service in services):
            return
        entries = self._api.get("/nodes")
        label = swarm.data_label(self._project)
        if len(entries) == 1 and label not in (entries[0]["Spec"].get("Labels") or {}):
            version = str(entries[0]["Version"]["Index"])
            self._api.post(f"/nodes/{entries[0]['ID']}/update", with_label(entries[0], label), version=version)

    def apply(self, name: str, spec: Spec) -> None:
        """Create the service, or update it; a service whose labels alone differ restarts nothing."""
        auth = self._logins.header(spec.image)
        for attempt in range(1, _ATTEMPTS + 1):
            body = self._body(spec)
            service = self._service(name)
            if service is None:
                self._api.post("/services/create", body, registry_auth=auth)
                return
            # A number that `docker service update --force` counts up: another one would restart every task.
            body["TaskTemplate"]["ForceUpdate"] = service["Spec"]["TaskTemplate"].get("ForceUpdate", 0)
            version = str(service["Version"]["Index"])
            try:
                self._api.post(f"/services/{service['ID']}/update", body, registry_auth=auth, version=version)
            except ApiError as error:
                if attempt == _ATTEMPTS or _OUT_OF_SEQUENCE not in error.reason:
                    raise
            else:
                return

    def _body(self, spec: Spec) -> dict[str, Any]:
        """The service as the API takes it: with what only this swarm knows."""
        body: dict[str, Any] = copy.deepcopy(spec.document["Service"])
        body["Labels"][SPEC_LABEL] = spec.hash
        networks = {network["Name"]: network["Id"] for network in overlays(self._api)}
        for network in body["TaskTemplate"]["Networks"]:
            network["Target"] = networks.get(network["Target"], network["Target"])
        secrets = body["TaskTemplate"]["ContainerSpec"]["Secrets"]
        ids = self._secrets.ids() if secrets else {}
        for secret in secrets:
            if secret["SecretName"] not in ids:
                raise ToolFailed(
                    f"the swarm has no secret {secret['SecretName']}", hint=self._engine.shown("secret", "ls")
                )
            secret["SecretID"] = ids[secret["SecretName"]]
        body["UpdateConfig"]["Order"] = self._order(body)
        return body

    def _order(self, body: Mapping[str, Any]) -> str:
        """Whether the new task starts first: where nothing has to be shared with the old one, a port neither."""
        replicas = body["Mode"]["Replicated"]["Replicas"]
        spare = len(eligible(nodes(self._api), constraints_of(body))) > replicas
        return "start-first" if spare and not writes_to_volume(body) else "stop-first"

    def wait(self, name: str, spec: Spec) -> None:
        """Wait until every task of the spec is healthy, and has stayed so for the monitor window.

        Raises SmokeFailed with a task's last lines, as soon as that can't come about or at the deadline.
        """
        seconds, monitor = self.settings.health_seconds, self.settings.monitor_seconds
        service = service_name(self._project, name)
        Rollout(self._api, service, spec, seconds, monitor, again=partial(self.apply, name, spec)).wait()

    def remove(self, name: str) -> None:
        """Remove a service, and return when its containers have stopped; its volumes stay.

        Raises ToolFailed if they do not stop.
        """
        self._api.delete(f"/services/{service_name(self._project, name)}")
        # Those of a service that is gone already, too: the process that removed it may have been killed meanwhile.
        wait_until_stopped(self._api, [f"{PROJECT_LABEL}={self._project}", f"{CONTAINER_LABEL}={name}"], name)

    def announce(self, current: DeployedSet) -> None:
        """Nothing: a swarm has no file that may change while its readers run."""

    def sweep(self, kept: Sequence[DeployedSet]) -> None:
        """Remove the secrets that none of these sets names."""
        self._secrets.sweep({name for each in kept for spec in each.specs.values() for name in spec.secrets.values()})

    def address(self, name: str, spec: Spec) -> str:
        """The URL of the container on a node that runs it, "" if none does."""
        ports = spec.document["Service"]["EndpointSpec"]["Ports"]
        service = self._service(name)
        if not ports or service is None:
            return ""
        running = [
            task.node
            for task in tasks(service, self._api.get("/tasks", filters={"service": [service["ID"]]}))
            if task.runs
        ]
        addresses = {node.id: node.address for node in nodes(self._api)}
        if not running:
            return ""
        address = addresses.get(running[0], "")
        host = address if reachable(address) else self._engine.machine
        return url(host, ports[0]["PublishedPort"])

    def volumes(self, specs: Mapping[str, Spec]) -> dict[str, tuple[str, ...]]:
        """The volumes that these containers write to, with the containers. Raises as `Data.home` does."""
        return self._data.volumes(specs)

    def home(self, name: str, spec: Spec) -> str:
        """The ID of the node that has the data of a container. Raises as `Data.home` does."""
        return self._data.home(name, spec).id

    def beside(
        self, volume: str, name: str, spec: Spec, verb: str, *arguments: str, source: IO[bytes] | None = None,
        sink: IO[bytes] | None = None, shared: bool = False,
    ) -> str:  # fmt: skip
        """Run in_volume.py on a volume of a container. Raises as `KeepsData.beside` does."""
        return self._data.beside(
            volume, name, spec, (verb, *arguments), self._logins.header(spec.image), source=source, sink=sink,
            shared=shared,
        )  # fmt: skip

    def files(self, wanted: DeployedSet) -> dict[str, str]:
        """The body of each service, a stack file, and a README with the commands for either; see files.py."""
        return files.files(self._project, wanted.specs)

    def _service(self, name: str) -> dict[str, Any] | None:
        """The service of a container as the API has it; None if there is none."""
        service: dict[str, Any] | None = self._api.find(f"/services/{service_name(self._project, name)}")
        return service
