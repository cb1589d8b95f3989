"""Invariants of a deploy to a swarm, asked of managers and nodes by `docker`, without the library."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from build.deploy.target import TARGET_LABEL
from build.deploy.targets.swarm.trial import TRIAL_LABEL
from tests.support.deployed import Engine, Live
from tests.support.deploying import CONTAINERS, Site
from tests.support.nodes import Node, Nodes
from tests.support.own_engine import until

_TASK = "com.docker.swarm.task.id"
_REMOVAL_SECONDS = 15  # until a node has removed the containers of a service that is gone


@dataclass(frozen=True, slots=True)
class OnSwarm:
    """A site on a swarm, and how many containers of each service it is to have where that is not one."""

    site: Site
    nodes: Nodes
    replicas: Mapping[str, int] = field(default_factory=dict)

    def live(self) -> dict[str, list[Live]]:
        """The containers of each service on all nodes, without those that have ended or are not to start any more."""
        found: dict[str, list[Live]] = {}
        for node in self.nodes.running:
            for live in Engine(node.host).tasks(self.site.project):
                if live.state == "created" and not self._is_to_run(live):
                    continue
                found.setdefault(live.name.removeprefix(f"{self.site.project}_"), []).append(live)
        return found

    def of(self, version: str, live: Mapping[str, list[Live]]) -> set[str]:
        """The services of which every container runs the image that a release has for it."""
        digests = self.site.releases.digests(version)
        return {
            name
            for name, service in CONTAINERS.items()
            if live.get(name) and all(digests[service] in one.digests for one in live[name])
        }

    def assert_whole(self, version: str) -> None:
        """Assert that exactly the release's set runs, healthy, and that no deploy left anything on its way."""
        live = self.live()
        runs = {name: [one.state for one in each] for name, each in live.items()}
        whole = {name: ["running"] * self.replicas.get(name, 1) for name in CONTAINERS}
        assert runs == whole, f"{runs}; nodes: {self._docker('node', 'ls', '--format', '{{.Hostname}} {{.Status}}')}"
        states = {f"{one.state}, {one.health}" for each in live.values() for one in each}
        assert states == {"running, healthy"}, states
        other = set(CONTAINERS) - self.of(version, live)
        assert not other, f"not of {version}: {', '.join(sorted(other))}"
        self.assert_at_rest()

    def assert_coherent(self, versions: Collection[str]) -> str:
        """Assert that the set which runs is wholly that of one of these releases; return which."""
        live = self.live()
        matching = [version for version in versions if self.of(version, live) == set(CONTAINERS)]
        digests = {name: [sorted(one.digests) for one in each] for name, each in live.items()}
        assert matching, f"no release of {', '.join(versions)} has this set: {digests}"
        return matching[0]

    def assert_at_rest(self) -> None:
        """Assert that nothing is left of an interrupted deploy: no trial, service, lock or open entry; no secret lacks."""
        project = self.site.project
        services = set(self._listed("service", f"name={project}_")) | set(self.trials())
        assert services == {f"{project}_{name}" for name in CONTAINERS}, f"left: {sorted(services)}"
        networks = self._listed("network", f"label={TRIAL_LABEL}={project}")
        assert networks == [], f"left: {networks}"
        until(lambda: not self._trial_containers(), _REMOVAL_SECONDS, lambda: f"left: {self._trial_containers()}")
        updates = self._docker("service", "inspect", "--format", "{{json .UpdateStatus}}", *sorted(services))
        states = {(json.loads(line) or {}).get("State", "completed") for line in updates.splitlines()}
        assert states == {"completed"}, states
        kept = self._kept()
        assert "lock" not in kept, f"a lock is left: {kept['lock']}"
        opened = [name for name in kept if name.endswith("-open")]
        assert opened == [], f"open: {opened}"
        missing = _secrets(kept.values()) - set(self._listed("secret", f"name={project}_"))
        assert missing == set(), f"sets of the journal name secrets that are gone: {sorted(missing)}"

    def trials(self) -> list[str]:
        """The services that pull images, or try paths, on every node."""
        return self._listed("service", f"label={TRIAL_LABEL}={self.site.project}")

    def is_open(self) -> bool:
        """Whether the journal has an open entry."""
        return any(entry["state"] == "open" for entry in self.journal())

    def journal(self) -> list[dict[str, Any]]:
        """The entries of the journal, the newest first; `release` is the version that they were to bring."""
        names = sorted(self._kept().items(), reverse=True)  # what is closed comes last, and is in force
        by_number = {content["number"]: content for name, content in names if name.startswith("entry-")}
        return [
            by_number[number] | {"release": ", ".join(sorted(set(by_number[number]["after"]["versions"].values())))}
            for number in sorted(by_number, reverse=True)
        ]

    def through(self, manager: Node) -> Site:
        """The same target from another checkout, which talks to this manager."""
        site = self.site.another()
        file = site.root / "versions.local.toml"
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(f'host = "{manager.host}"\n' if line.startswith("host = ") else line for line in lines))
        return site

    def _is_to_run(self, live: Live) -> bool:
        """Whether the swarm is to start a container: one that could not start stays as long as its task is remembered."""
        task = live.document["Config"]["Labels"][_TASK]
        words = ("inspect", "--type", "task", "--format", "{{.DesiredState}}", task)
        return Engine(self.nodes.running[0].host).docker(*words, check=False) in {"ready", "running"}

    def _kept(self) -> dict[str, dict[str, Any]]:
        """What the swarm keeps of the target's ledger, by name."""
        names = self._listed("config", f"label={TARGET_LABEL}={self.site.project}")
        if not names:
            return {}
        documents = json.loads(self._docker("config", "inspect", *names))
        prefix = f"{self.site.project}-deploy-"
        return {
            document["Spec"]["Name"].removeprefix(prefix): json.loads(base64.b64decode(document["Spec"]["Data"]))
            for document in documents
        }

    def _trial_containers(self) -> list[str]:
        return [
            name
            for node in self.nodes.running
            for name in node.docker("ps", "--all", "--format", "{{.Names}}", "--filter", "name=^/?trial-").split()
        ]

    def _listed(self, kind: str, only: str) -> list[str]:
        return self._docker(kind, "ls", "--format", "{{.Name}}", "--filter", only).split()

    def _docker(self, *arguments: str) -> str:
        return self.nodes.running[0].docker(*arguments)


def _secrets(entries: Collection[Mapping[str, Any]]) -> set[str]:
    """What the swarm calls the secrets of every set of these entries."""
    sets = [entry[key] for entry in entries for key in ("before", "after") if entry.get(key)]
    return {name for each in sets for spec in each["specs"].values() for name in spec["secrets"].values()}
