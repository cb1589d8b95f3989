"""A project on a swarm of a test's own, brought there by its target alone, without releases."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from build.config.deploy import TargetSettings
from build.deploy import sets
from build.deploy.changes import ordered
from build.deploy.target import TARGET_LABEL, DeployedSet, Spec
from build.deploy.targets.swarm.target import SwarmTarget
from build.stack import model
from build.stack.model import Healthcheck
from build.stack.swarm import STACK_LABEL, service_name
from tests.support.nodes import Node, Nodes
from tests.support.project import Project

_numbers = itertools.count(1)
# A container that never becomes healthy is to be noticed within seconds.
HEALTHCHECK = Healthcheck(interval=1, timeout=5, retries=2, start_period=1, start_interval=0.2)


@dataclass(frozen=True, slots=True)
class SwarmSite:
    """A project, its target, and the nodes."""

    nodes: Nodes
    project: Project
    settings: TargetSettings

    @property
    def name(self) -> str:
        """What names everything of it in the swarm."""
        return self.settings.project

    @property
    def target(self) -> SwarmTarget:
        """The target, by the manifest as it is now."""
        return SwarmTarget(self.project.load(), "test", self.settings)

    def changed(self, **settings: Any) -> SwarmSite:
        """The same site with other settings of its target."""
        return replace(self, settings=replace(self.settings, **settings))

    def wanted(
        self, images: Mapping[str, str], current: DeployedSet | None = None, *, labels: Mapping[str, str] | None = None
    ) -> DeployedSet:
        """The set with these images, by service."""
        manifest = self.project.load()
        stack = model.stack(manifest, images, sets.site(manifest, self.settings), labels=labels)
        quick = {name: replace(container, healthcheck=HEALTHCHECK) for name, container in stack.containers.items()}
        specs = self.target.render(replace(stack, containers=quick), current)
        return DeployedSet(versions=dict.fromkeys(images, "1.0.0"), records={}, specs=specs)

    def bring(self, wanted: DeployedSet) -> dict[str, Spec]:
        """Bring the target to a set, as a deploy does; return its specs."""
        target = self.target
        target.prepare(wanted)
        for name in ordered(wanted.specs):
            target.apply(name, wanted.specs[name])
            target.wait(name, wanted.specs[name])
        return wanted.specs

    def containers(self, name: str) -> dict[str, Node]:
        """The running containers of a service, by ID, with the node that runs each."""
        service = service_name(self.name, name)
        return {container: node for node in self.nodes.running for container in node.containers(service)}

    def inspected(self, name: str) -> dict[str, Any]:
        """The engine's own record of the one running container of a service."""
        ((container, node),) = self.containers(name).items()
        record: dict[str, Any] = json.loads(node.docker("container", "inspect", container))[0]
        return record

    def inside(self, name: str, *command: str) -> str:
        """What a command prints inside the one running container of a service."""
        ((container, node),) = self.containers(name).items()
        return node.docker("exec", container, *command)


def remove_all(manager: Node, project: str) -> None:
    """Remove everything of a project from the swarm; its containers stop meanwhile."""
    for kind, label in (("service", STACK_LABEL), ("secret", STACK_LABEL), ("config", TARGET_LABEL)):
        listed = manager.docker(kind, "ls", "--quiet", "--filter", f"label={label}={project}")
        if listed:
            manager.docker(kind, "rm", *listed.split())


@contextmanager
def swarm_site(nodes: Nodes, project: Project) -> Iterator[SwarmSite]:
    """A site on the first node's swarm, whose project has the service `web`; removed at the end."""
    number = next(_numbers)
    project.service("web", 8080, published=str(21000 + number))
    name = f"p{os.getpid()}-{number}"
    usual = TargetSettings(
        kind="swarm", host=nodes.first.host, project=name, address="0.0.0.0", health_seconds=30, monitor_seconds=1
    )
    site = SwarmSite(nodes, project, usual)
    try:
        yield site
    finally:
        remove_all(nodes.first, name)
