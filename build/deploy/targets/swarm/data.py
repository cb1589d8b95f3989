"""The data of a project's volumes, reached on the one node that has them.

What only works there and prints some lines is a service that runs once: every manager can start it. Files get into a
volume and out of it through the engine of its own node alone, for want of anything in a swarm that carries them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urlsplit

from build.config.deploy import TargetSettings, variable
from build.deploy import beside
from build.deploy.beside import Work
from build.deploy.target import Spec
from build.deploy.targets.swarm import tasks, trial
from build.deploy.targets.swarm.nodes import Node, nodes
from build.deploy.targets.swarm.problems import constraints_of, overlays
from build.engine.api import Api, ApiError
from build.errors import BuildError, DeployRefused, ToolFailed
from build.stack.swarm import CONTAINER_LABEL, PROJECT_LABEL

_LABEL = "org.unity-claude.beside"  # of the service; the value is its name, which no other one of its kind has
_END = "org.unity-claude.end"  # the last line of an output that is whole
_AFTERWARDS = f"\nprint({_END!r}, flush=True)\n"
_START_SECONDS = 120
_LOG_TRIES = 10
_POLL_SECONDS = 0.2
_NODE_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """The data of the target called `name`."""

    api: Api
    name: str
    project: str
    settings: TargetSettings

    def volumes(self, specs: Mapping[str, Spec]) -> dict[str, tuple[str, ...]]:
        """The volumes that these containers write to, as versions.toml calls them, with the containers.

        A manager can't ask another node whether a volume is there. Raises DeployRefused as `home` does.
        """
        users: dict[str, tuple[str, ...]] = {}
        every = nodes(self.api)
        for container, spec in specs.items():
            for volume in self._mounts(spec):
                self._home(container, spec, every)
                users[volume] = (*users.get(volume, ()), container)
        return users

    def _mounts(self, spec: Spec) -> dict[str, dict[str, Any]]:
        mounts = spec.document["Service"]["TaskTemplate"]["ContainerSpec"]["Mounts"]
        return {
            mount["Source"].removeprefix(f"{self.project}-"): mount
            for mount in mounts
            if mount["Type"] == "volume" and not mount.get("ReadOnly")
        }

    def home(self, container: str, spec: Spec) -> Node:
        """The node that has the data of a container. Raises DeployRefused where its placement does not say which."""
        return self._home(container, spec, nodes(self.api))

    def _home(self, container: str, spec: Spec, every: list[Node]) -> Node:
        constraints = constraints_of(spec.document["Service"])
        homes = [node for node in every if all(map(node.meets, constraints))]
        if len(homes) == 1:
            return homes[0]
        where = "none" if not homes else f"{len(homes)} of them, {', '.join(node.name for node in homes)},"
        message = f"which node has the data of {container} is unknown: {where} may run it, by {', '.join(constraints)}"
        hint = f"placement.{container} of one node in [deploy.targets.{self.name}], then deploy the same release again"
        raise DeployRefused(message, hint=hint)

    def beside(
        self, volume: str, container: str, spec: Spec, words: tuple[str, ...], auth: str, *,
        source: IO[bytes] | None = None, sink: IO[bytes] | None = None, shared: bool = False,
    ) -> str:  # fmt: skip
        """Run in_volume.py on a volume of a container; `auth` is the login for its image.

        Raises as `KeepsData.beside` does.
        """
        node = self.home(container, spec)
        mount = self._mounts(spec)[volume]
        work = Work(
            container=container,
            image=spec.image,
            volume=mount["Source"],
            kept=beside.kept_volume(self.project),
            folder=mount["Target"],
            words=words,
        )
        name = beside.new_name(self.project, shared=shared)
        carries = source is not None or sink is not None
        is_here = node.id == self.api.get("/info")["Swarm"]["NodeID"]
        if carries and not is_here:
            raise self._elsewhere(node, container, "backup" if sink else "restore FILE")
        if not shared:
            self._end(name, container)
            if is_here:
                beside.end(self.api.engine, name)
        if carries:
            if self.api.find(f"/volumes/{work.volume}") is None:
                message = f"{node.name}, which is to have the data of {container}, has no volume {work.volume}"
                raise DeployRefused(
                    message, hint="./inv deploy VERSION   of the release that runs creates an empty one"
                )
            return beside.run(self.api.engine, name, work, source=source, sink=sink, shared=shared)
        if not node.takes_tasks:
            message = f"{node.name} has the data of {container}, and is {node.state}"
            shown = self.api.engine.shown
            hint = f"{shown('node', 'update', '--availability', 'active', node.name)}; {shown('node', 'ls')}"
            raise ToolFailed(message, hint=hint)
        networks = self._networks(spec)
        with self._service(self._body(name, work, mount, node, networks), auth) as service:
            return self._output(self._ended(service, work, node), work, node)

    def _elsewhere(self, node: Node, container: str, command: str) -> DeployRefused:
        user = urlsplit(self.settings.host).username
        host = f"ssh://{f'{user}@' if user else ''}{node.name}"
        words = [f"{variable(self.name, 'context')}="] if self.settings.context else []
        hint = " ".join([*words, f"{variable(self.name, 'host')}={host}", "./inv", command, "--target", self.name])
        if node.facts["node.role"] != "manager":
            hint = f"{self.api.engine.shown('node', 'promote', node.name)}   first; then {hint}"
        message = (
            f"the data of {container} is on the node {node.name}, and {self.api.engine} is another one: a file gets"
            " there, or from there, through the engine of that node alone"
        )
        return DeployRefused(message, hint=f"{hint}   or that host in [deploy.targets.{self.name}]")

    def _end(self, name: str, container: str) -> None:
        """End what is at work under a name: a killed process may have left it. Nobody stops beside it, either."""
        self.api.delete(f"/services/{name}")
        tasks.wait_until_stopped(self.api, [f"{_LABEL}={name}"], name)
        labels = [f"{PROJECT_LABEL}={self.project}", f"{CONTAINER_LABEL}={container}"]
        tasks.wait_until_stopped(self.api, labels, container, stopping=True)

    def _networks(self, spec: Spec) -> list[str]:
        """The networks for what works beside a volume of a container: those of its own that lead nowhere outside.

        A swarm's service can't be without any, and one that names none gets that of its node, with a way out. So where
        a container has no such network, it is those that it has.
        """
        bodies = spec.document["Networks"]
        names = {body["Name"] for body in bodies if body["Internal"]} or {body["Name"] for body in bodies}
        return [network["Id"] for network in overlays(self.api) if network["Name"] in names]

    def _body(
        self, name: str, work: Work, mount: Mapping[str, Any], node: Node, networks: list[str]
    ) -> dict[str, Any]:  # fmt: skip
        body = trial.once(name, self.project, work.image, work.command(_AFTERWARDS), [f"node.id == {node.id}"])
        body["Labels"][_LABEL] = name
        template = body["TaskTemplate"]
        template["ContainerSpec"] |= {
            "Mounts": [
                {**mount, "Target": beside.DATA},
                {**mount, "Source": work.kept, "Target": work.folder},
            ],
            "StopGracePeriod": 1,
        }
        template["Resources"] = {"Limits": {"MemoryBytes": beside.MEGABYTES << 20, "Pids": beside.PIDS}}
        template["LogDriver"] = {"Name": "json-file"}  # the engine's own may be one that can't be read
        template["Networks"] = [{"Target": network} for network in networks]
        body["EndpointSpec"] = {"Mode": "dnsrr"}
        return body

    @contextlib.contextmanager
    def _service(self, body: Mapping[str, Any], auth: str) -> Iterator[str]:
        """A service by its ID, removed at the end."""
        service = str(self.api.post("/services/create", body, registry_auth=auth)["ID"])
        try:
            yield service
        finally:
            with contextlib.suppress(BuildError):  # what ended it is the one to report; the next command removes it
                self.api.delete(f"/services/{service}")

    def _ended(self, service: str, work: Work, node: Node) -> dict[str, Any]:
        """The task of a service, once it has ended, however long it works. Raises ToolFailed if it can't start."""
        began = looked = time.monotonic()
        while True:
            task: dict[str, Any] = next(iter(self.api.get("/tasks", filters={"service": [service]})), {})
            status = task.get("Status", {})
            if status.get("State") in tasks.ENDED:
                return task
            waited = time.monotonic() - began
            if status.get("State") != "running" and waited > _START_SECONDS:
                raise self._failed(work, node, status.get("Err") or f"it has not started for {waited:.0f} s")
            if time.monotonic() - looked > _NODE_SECONDS:
                looked = time.monotonic()
                if any(each.id == node.id and each.state == "down" for each in nodes(self.api)):
                    raise self._failed(work, node, "the node is down")
            time.sleep(_POLL_SECONDS)

    def _output(self, task: Mapping[str, Any], work: Work, node: Node) -> str:
        """What a task has printed. Raises as `beside` does if it has not come to its end."""
        status = task["Status"]
        reason = status.get("Err", "") or status["State"]
        if refusal := beside.without_python(work.container, reason):
            raise refusal
        is_whole = status["State"] == "complete"
        printed = errors = ""
        for _ in range(_LOG_TRIES):
            with contextlib.suppress(ApiError):  # it may have had no container
                printed, errors = tasks.output(self.api, task["ID"])
            if errors if not is_whole else printed.endswith(f"{_END}\n"):
                break
            time.sleep(_POLL_SECONDS)  # the node sends it on in its own time
        if not is_whole:
            raise self._failed(work, node, (errors.strip().splitlines() or [reason])[-1])
        if not printed.endswith(f"{_END}\n"):
            raise self._failed(work, node, "the log of its task can't be read to its end")
        return printed.removesuffix(f"{_END}\n")

    def _failed(self, work: Work, node: Node, reason: str) -> ToolFailed:
        message = f"the data of {work.container} on {node.name}: {reason}"
        return ToolFailed(message, hint=self.api.engine.shown("node", "ps", node.name))
