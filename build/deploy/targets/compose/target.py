"""A target that is one engine, on this machine or another: each container by Compose, one file for each."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from build import json_file
from build.config.deploy import TargetSettings
from build.config.manifest import Manifest
from build.deploy import sets
from build.deploy.target import SPEC_LABEL, DeployedSet, Observed, Problem, Spec, Store
from build.deploy.targets.compose import containers, data, facts
from build.deploy.targets.compose.store import ComposeStore
from build.engine.api import Api
from build.engine.remote import Engine, url
from build.errors import SmokeFailed, ToolFailed
from build.parallel import at_once
from build.stack import compose, secrets
from build.stack.model import RELEASE_FILE, Mount, Stack, announcement

_POLL_SECONDS = 0.05
_SETTLE_SECONDS, _SETTLE_LOOKS = 1.0, 30
_MOST_RESTARTS = 3
_LOG_LINES = 20
_STOP_SECONDS = 30


@dataclass
class ComposeTarget:
    """An engine, and a Compose project on it.

    Each container has a Compose file of its own, so that bringing up one can touch no other. What depends on what is
    the order of the deploy.
    """

    manifest: Manifest
    name: str
    settings: TargetSettings
    engine: Engine = field(init=False)
    project: str = field(init=False)
    store: Store = field(init=False)
    _api: Api = field(init=False)

    def __post_init__(self) -> None:
        self.engine = Engine(context=self.settings.context, host=self.settings.host)
        self.project = sets.project(self.manifest, self.settings)
        self._api = Api(self.engine)
        self.store = ComposeStore(self._api, self.project)

    @property
    def place(self) -> str:
        """The engine and the project."""
        return f"Compose project {self.project} on {self.engine}"

    @property
    def _release_volume(self) -> str:
        return f"{self.project}-release"

    def render(self, stack: Stack, current: DeployedSet | None) -> dict[str, Spec]:  # noqa: ARG002  (secrets are files)
        """The spec of each container: a Compose file with this one alone. Raises SecretError for a missing secret."""
        if self.engine.is_local:
            secrets.check(self.manifest, stack.secrets, folder=sets.secrets(self.manifest, self.settings))
        return {name: self._spec(stack, name) for name in stack.containers}

    def _spec(self, stack: Stack, name: str) -> Spec:
        container = stack.containers[name]
        release = Mount(source=Path(self._release_volume), target=container.release_folder, is_volume=True)
        mounts = (*container.mounts, *([release] if container.release_folder else []))
        alone = replace(
            stack,
            containers={name: replace(container, mounts=mounts, depends_on=())},
            networks={key: network for key, network in stack.networks.items() if key in container.networks},
            volumes={key: volume for key, volume in stack.volumes.items() if key in container.volumes},
            secrets={key: path for key, path in stack.secrets.items() if key in container.secrets},
        )
        return Spec(
            service=self.manifest.containers()[name][0],
            image=container.image,
            document=compose.document(alone),
            depends_on=container.depends_on,
            secrets=dict.fromkeys(container.secrets, "in place"),
        )

    def renewed(self, current: DeployedSet, secret: str) -> DeployedSet:  # noqa: ARG002  (values change in place)
        """The same set: containers read the file again."""
        return current

    def with_values_in_force(self, wanted: DeployedSet, current: DeployedSet | None) -> DeployedSet:  # noqa: ARG002
        """The same set: every set reads the files as they are."""
        return wanted

    def problems(self, wanted: DeployedSet) -> Iterator[Problem]:
        """Volumes, folders and secret files that the set mounts, and the engine's machine does not have."""
        for name, spec in wanted.specs.items():
            for volume in spec.document["volumes"].values():
                if volume.get("external") and volume["name"] != self._release_volume and not self._has(volume["name"]):
                    hint = f"docker volume create {volume['name']}, or another [deploy.targets.{self.name}.sources]"
                    yield Problem(f"{name} mounts the volume {volume['name']}, which is not there", hint)
        for path, users in self._paths(wanted).items():
            if not containers.has_path(self._api, path):
                hint = f"create it there, or set another in [deploy.targets.{self.name}] sources or secrets"
                yield Problem(f"{', '.join(users)}: {path} is not there on the machine of {self.engine}", hint)
        if self.settings.smoke and not self.engine.is_local and self.settings.address.startswith("127."):
            message = (
                f"the containers would be published on loopback of {self.engine.machine}, where no check reaches them"
            )
            yield Problem(message, f"[deploy.targets.{self.name}] address, or smoke = false")

    def _paths(self, wanted: DeployedSet) -> dict[str, list[str]]:
        """The paths that the set mounts from the engine's machine, with the containers that do."""
        users: dict[str, list[str]] = {}
        for name, spec in wanted.specs.items():
            for path in facts.paths(spec):
                users.setdefault(path, []).append(name)
        return users

    def _has(self, volume: str) -> bool:
        return self._api.find(f"/volumes/{volume}") is not None

    def observe(self, expected: Mapping[str, Spec]) -> dict[str, Observed]:
        """Every container of the project as the engine has it, with what differs from the spec."""
        return containers.observed(self._api, self.project, expected)

    def settle(self, containers_: Collection[str]) -> None:  # noqa: ARG002  (what is left has names of its own)
        """Wait until the engine does nothing more of what it was asked for, and remove what was never started."""
        before: object = None
        for _ in range(_SETTLE_LOOKS):
            now = containers.states(self._api, self.project)
            for identity, state in now:
                if state == "created":
                    containers.remove(self._api, identity)
            if now == before and not any(state in {"created", "removing"} for _, state in now):
                return
            before = now
            time.sleep(_SETTLE_SECONDS)
        raise ToolFailed(
            f"the engine ({self.engine}) is still changing containers of {self.project}", hint="./inv status"
        )

    def pull(self, specs: Collection[Spec]) -> None:
        """Have each image in the engine. Raises ToolFailed for one that it can't get."""
        at_once(self._pull, dict.fromkeys(spec.image for spec in specs))

    def _pull(self, image: str) -> None:
        if self._api.find(f"/images/{image}/json") is None:
            try:
                self.engine.cli("pull", "--quiet", image)
            except ToolFailed as error:
                lines = error.output.strip().splitlines()
                message = f"the engine ({self.engine}) can't pull {image}: {lines[-1] if lines else error}"
                hint = f"is the registry reachable from there, and logged in to? [deploy.targets.{self.name}] registry"
                raise error.with_message(message, hint=hint) from None

    def prepare(self, wanted: DeployedSet) -> None:
        """Have the volume from which containers read which release runs."""
        if any(self._reads_release(spec) for spec in wanted.specs.values()):
            self._api.post("/volumes/create", {"Name": self._release_volume})

    def _reads_release(self, spec: Spec) -> bool:
        return self._release_volume in spec.document["volumes"]

    def apply(self, name: str, spec: Spec) -> None:
        """Have Compose replace the container, and what else goes by its name; no other is touched.

        Raises ToolFailed, with Compose's own words.
        """
        self._discard(containers.others(self._api, self.project, name))
        document = json.loads(json.dumps(spec.document))
        document["services"][name]["labels"] = {SPEC_LABEL: spec.hash}
        file = self.manifest.workspace.deploy / self.name / f"{name}.json"
        json_file.write(file, document)
        self.engine.cli(
            "compose", "--project-name", self.project, "--project-directory", str(file.parent),
            "--env-file", os.devnull, "--file", str(file), "--progress", "plain",
            "up", "--detach", "--no-deps", "--no-build", "--pull", "never", "--force-recreate", name,
        )  # fmt: skip

    def wait(self, name: str, spec: Spec) -> None:
        """Wait until the container is healthy by its own digest, and has stayed so for the monitor window.

        Raises SmokeFailed as soon as it is unhealthy, ends, or has been started anew three times, and at the deadline.
        """
        deadline = time.monotonic() + self.settings.health_seconds
        since = 0.0
        begun = ""
        while True:
            state = containers.state(self._api, self.project, name)
            if reason := self._hopeless(state):
                raise self._failure(name, reason)
            well = state.running and state.health in {"healthy", ""} and state.started == begun
            begun = state.started
            now = time.monotonic()
            since = (since or now) if well else 0.0
            if well and now - since >= self.settings.monitor_seconds:
                break
            if now > deadline and not well:
                raise self._failure(name, f"not healthy after {self.settings.health_seconds} s")
            time.sleep(_POLL_SECONDS)
        runs = self.observe({name: spec})[name]
        if runs.image != spec.image:
            raise self._failure(name, f"runs {runs.image or 'an unknown image'}, expected {spec.image}")

    @staticmethod
    def _hopeless(state: containers.State) -> str:
        if state.error:
            return state.error
        if state.health == "unhealthy":
            return "unhealthy"
        if state.status in {"exited", "dead", "absent"}:
            return f"{state.status}, exit code {state.exit_code}"
        return f"ended {state.restarts} times, exit code {state.exit_code}" if state.restarts >= _MOST_RESTARTS else ""

    def _failure(self, name: str, reason: str) -> SmokeFailed:
        text = containers.last_words(self.engine, self.project, name, _LOG_LINES)
        hint = self.engine.shown("logs", f"{self.project}-{name}-1")
        return SmokeFailed(f"{name} did not become healthy: {reason}", output=text, hint=hint)

    def remove(self, name: str) -> None:
        """Stop the container in order, and remove it; its volumes stay."""
        self._discard([entry["Id"] for entry in containers.listed(self._api, self.project, name)])

    def _discard(self, identities: Sequence[str]) -> None:
        for identity in identities:
            containers.stop(self._api, identity, _STOP_SECONDS)
            containers.remove(self._api, identity)

    def announce(self, current: DeployedSet) -> None:
        """Write which release runs into the volume that containers read it from; none of them is restarted."""
        readers = [spec for spec in current.specs.values() if self._reads_release(spec)]
        if readers:
            images = {spec.service: spec.image for spec in current.specs.values()}
            text = json.dumps(announcement(images, current.versions), indent=2) + "\n"
            containers.write_file(self._api, self._release_volume, readers[0].image, RELEASE_FILE, text)

    def sweep(self, kept: Sequence[DeployedSet]) -> None:
        """Nothing: secrets are files in place, and images may be other projects' too."""

    def address(self, name: str, spec: Spec) -> str:
        """The URL of the container's first port, on the engine's machine if it is published on all addresses."""
        ports = spec.document["services"][name]["ports"]
        if not ports:
            return ""
        host = ports[0]["host_ip"]
        host = self.engine.machine if host in {"0.0.0.0", "::"} else host  # noqa: S104  (compared, not listened on)
        return url(host, ports[0]["published"])

    def volumes(self, specs: Mapping[str, Spec]) -> dict[str, tuple[str, ...]]:
        """The volumes that are there of those that these containers write to, with their containers."""
        return data.volumes(self._api, specs)

    def home(self, name: str, spec: Spec) -> str:  # noqa: ARG002  (the engine has the data of all)
        """The engine, whatever the container."""
        return str(self.engine)

    def beside(
        self, volume: str, name: str, spec: Spec, verb: str, *arguments: str, source: IO[bytes] | None = None,
        sink: IO[bytes] | None = None, shared: bool = False,
    ) -> str:  # fmt: skip
        """Run in_volume.py on a volume of a container. Raises as `KeepsData.beside` does."""
        return data.beside(
            self.engine, self.project, (volume, name, spec), (verb, *arguments), source=source, sink=sink, shared=shared
        )

    def files(self, wanted: DeployedSet) -> dict[str, str]:
        """The whole set as one Compose file."""
        document: dict[str, Any] = {"name": self.project, "services": {}, "networks": {}, "volumes": {}, "secrets": {}}
        for name, spec in wanted.specs.items():
            for key in ("services", "networks", "volumes", "secrets"):
                document[key] |= spec.document[key]
            needed = {other: {"condition": "service_healthy"} for other in spec.depends_on if other in wanted.specs}
            if needed:
                document["services"][name] = {**document["services"][name], "depends_on": needed}
        purpose = f"A set of containers for the deploy target {self.name}, as one file."
        return {"compose.yaml": compose.render(document, purpose, "Generated by `./inv manifests`.")}
