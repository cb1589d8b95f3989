"""What every kind of target has in common: the protocol, and what goes in and out of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Protocol, runtime_checkable

from build.config.deploy import TargetSettings
from build.images.data_formats import DataFormat
from build.stack.model import Stack

SPEC_LABEL = "org.unity-claude.spec"
TARGET_LABEL = "org.unity-claude.target"  # what belongs to a target's ledger; the value is its project


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """What a container is deployed as: its image (name@digest), and all else in `document`, in its target's own form.

    `secrets` maps each of its secrets to what the target calls the value that it gets.
    """

    service: str
    image: str
    document: dict[str, Any]
    depends_on: tuple[str, ...] = ()
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """Sixteen hex digits that differ where documents differ."""
        return hashlib.sha256(json.dumps(self.document, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True, slots=True)
class DeployedSet:
    """A set of containers as it is, was or will be deployed: `versions` by service, `records` by line (digests).

    `formats` are those of the volumes of which an image states the format of its data.
    """

    versions: dict[str, str]
    records: dict[str, str]
    specs: dict[str, Spec]
    formats: dict[str, DataFormat] = field(default_factory=dict)

    @property
    def release(self) -> str:
        """The version of all its services, or each one's with its name where they differ."""
        versions = set(self.versions.values())
        if len(versions) == 1:
            return versions.pop()
        return ", ".join(f"{service} {version}" for service, version in self.versions.items()) or "nothing"

    @property
    def secrets(self) -> dict[str, str]:
        """What the target calls the value of each secret of its containers."""
        return {secret: value for spec in self.specs.values() for secret, value in spec.secrets.items()}

    @property
    def images(self) -> list[str]:
        """The images of its containers (name@digest), each once."""
        return list(dict.fromkeys(spec.image for spec in self.specs.values()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """A container of the target as it is.

    `spec` is the hash of the spec that it was made from, `image` what really runs (name@digest, verified against the
    image's own digests). `drift` says in words what differs from the spec that was expected. `error` is why it does not
    run.
    """

    spec: str
    image: str
    state: str
    health: str
    since: str = ""
    replicas: int = 1
    wanted: int = 1
    nodes: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()
    error: str = ""

    @property
    def runs(self) -> bool:
        """Whether all of it runs, and is healthy as far as it has a healthcheck."""
        return self.state == "running" and self.health in {"healthy", ""} and self.replicas == self.wanted


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a deploy may not start, and what removes the reason."""

    message: str
    hint: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """Something that a store keeps, by name; `identity` is that of this very item, should another get its name."""

    name: str
    identity: str
    content: dict[str, Any]


class Store(Protocol):
    """Small JSON objects kept by the target itself, so that every machine that reaches it finds them."""

    def items(self) -> list[Item]:
        """Everything that is kept, in no order."""

    def create(self, name: str, content: Mapping[str, Any], *, exclusive: bool = False) -> bool:
        """Keep an object; False if there is one of this name. Only an `exclusive` one is safe from a second writer."""

    def remove(self, item: Item) -> None:
        """Remove this very item; no failure if it is gone."""


class Target(Protocol):
    """A place that sets of containers are deployed to. Everything raises MissingTool where it can't be reached.

    A package of targets/ has one kind. Nothing but `apply`, `remove` and `sweep` changes what runs.
    """

    settings: TargetSettings
    store: Store

    @property
    def place(self) -> str:
        """The engine or the cluster, and the project, in one phrase."""

    def render(self, stack: Stack, current: DeployedSet | None) -> dict[str, Spec]:
        """The spec of each container; a secret without a file keeps the value that the `current` set has.

        Raises SecretError for one that has neither.
        """

    def renewed(self, current: DeployedSet, secret: str) -> DeployedSet:
        """The set in force with the value that a secret's file has now; the same set where values change in place.

        Raises SecretError without a file of it.
        """

    def with_values_in_force(self, wanted: DeployedSet, current: DeployedSet | None) -> DeployedSet:
        """An earlier set with the secrets that the `current` one has: a value that was rotated away stays away."""

    def problems(self, wanted: DeployedSet) -> Iterator[Problem]:
        """What forbids to deploy this set here. Raises nothing for a reason of the target's own."""

    def observe(self, expected: Mapping[str, Spec]) -> dict[str, Observed]:
        """Every container of the project as it is, compared with what is expected of it."""

    def settle(self, containers: Collection[str]) -> None:
        """Remove what an interrupted change of these containers left, once the target has come to rest."""

    def pull(self, specs: Collection[Spec]) -> None:
        """Have the image of each container wherever it may run. Raises ToolFailed, RegistryError."""

    def prepare(self, wanted: DeployedSet) -> None:
        """Create what the set needs beside its containers: networks, secrets; what is there already stays."""

    def apply(self, name: str, spec: Spec) -> None:
        """Have a container run as its spec says; returns before it does."""

    def wait(self, name: str, spec: Spec) -> None:
        """Wait until it is healthy by its own digest, and has stayed so for the monitor window.

        Raises SmokeFailed with its last lines, as soon as it can't become healthy or at the deadline.
        """

    def remove(self, name: str) -> None:
        """Stop and remove a container; its data stays."""

    def announce(self, current: DeployedSet) -> None:
        """Let the containers that read it know which set runs."""

    def sweep(self, kept: Sequence[DeployedSet]) -> None:
        """Remove what none of these sets needs, and another one did."""

    def address(self, name: str, spec: Spec) -> str:
        """The URL at which this machine reaches a container, "" if it can't."""

    def files(self, wanted: DeployedSet) -> dict[str, str]:
        """What would be applied, as files by name."""


@runtime_checkable
class KeepsData(Protocol):
    """What a target has besides, if it can reach the data of its volumes: for backups, and for ways back."""

    def volumes(self, specs: Mapping[str, Spec]) -> dict[str, tuple[str, ...]]:
        """The volumes that are there of those that these containers write to, with their containers.

        They are called as versions.toml calls them. Raises DeployRefused where the data can't be found.
        """

    def home(self, name: str, spec: Spec) -> str:
        """The machine that has the data of a container: what is kept of it is there, too.

        Raises as `volumes` does.
        """

    def beside(
        self, volume: str, name: str, spec: Spec, verb: str, *arguments: str, source: IO[bytes] | None = None,
        sink: IO[bytes] | None = None, shared: bool = False,
    ) -> str:  # fmt: skip
        """Run in_volume.py on a volume of a container, with its image; what it prints, unless that goes to `sink`.

        Unless `shared`, one that is still at work in this target is ended first. Raises ToolFailed, DeployRefused for
        an image without Python, and where nothing gets from here to the volume, or from there to `sink`.
        """
