"""What an engine runs of a deploy target, asked by `docker` itself: containers, leftovers, and the end of all of it."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from build.deploy.target import TARGET_LABEL

_PROJECT = "com.docker.compose.project"
_SERVICE = "com.docker.compose.service"
_SWARM_SERVICE = "com.docker.swarm.service.name"


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """A container as the engine has it; `digests` are those that its image has in registries."""

    name: str
    container: str
    id: str
    digests: frozenset[str]
    state: str
    health: str
    started: str
    restarts: int
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Engine:
    """A Docker engine, "" for the one that this machine's `docker` uses."""

    host: str = ""

    def docker(self, *arguments: str, check: bool = True) -> str:
        """What `docker ARGUMENTS` prints; fails the test if it fails, unless `check` is off."""
        host = ["--host", self.host] if self.host else []
        argv = [shutil.which("docker") or "docker", *host, *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, f"{' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    def containers(self, project: str) -> dict[str, Live]:
        """The containers of a Compose project by the name of their service, or by their own where that is taken."""
        found: dict[str, Live] = {}
        for live in self._live("--all", "--filter", f"label={_PROJECT}={project}"):
            found[live.container if live.name in found else live.name] = live
        return found

    def tasks(self, project: str) -> list[Live]:
        """The containers of a swarm's project on this engine, without those that have ended; `name` is the service's."""
        states = ("created", "running", "restarting", "paused", "removing")
        return self._live(*(f"--filter=status={state}" for state in states), "--filter", f"name=^/?{project}_")

    def _live(self, *options: str) -> list[Live]:
        """The containers that `docker ps OPTIONS` lists."""
        documents = self._inspected("container", self.docker("ps", "--quiet", "--no-trunc", *options).split())
        digests = self._digests({document["Image"] for document in documents})
        result = []
        for document in documents:
            state, labels = document["State"], document["Config"]["Labels"]
            name = document["Name"].removeprefix("/")
            live = Live(
                name=labels.get(_SERVICE) or labels.get(_SWARM_SERVICE, name), container=name, id=document["Id"],
                digests=digests[document["Image"]], state=state["Status"],
                health=state.get("Health", {}).get("Status", ""), started=state["StartedAt"],
                restarts=document["RestartCount"], document=document,
            )  # fmt: skip
            result.append(live)
        return result

    def named(self, project: str) -> set[str]:
        """The names of all containers that are named after the project, whatever their labels."""
        return set(self.docker("ps", "--all", "--format", "{{.Names}}", "--filter", f"name={project}-").split())

    def mounting(self, project: str) -> set[str]:
        """The names of all containers that mount a volume of the project, whatever their own names and labels."""
        volumes = self.docker("volume", "ls", "--quiet", "--filter", f"name={project}-").split()
        filters = [word for volume in volumes for word in ("--filter", f"volume={volume}")]
        return set(self.docker("ps", "--all", "--format", "{{.Names}}", *filters).split()) if volumes else set()

    def kept(self, project: str) -> set[str]:
        """What the engine keeps of the target's ledger: `container NAME`, `volume NAME`."""
        label = f"label={TARGET_LABEL}={project}"
        containers = self.docker("ps", "--all", "--format", "{{.Names}}", "--filter", label).split()
        volumes = self.docker("volume", "ls", "--quiet", "--filter", label).split()
        return {f"container {name}" for name in containers} | {f"volume {name}" for name in volumes}

    def clean(self, project: str) -> None:
        """Remove everything of a project: containers, volumes, networks."""
        for label in (f"{_PROJECT}={project}", f"{TARGET_LABEL}={project}"):
            listed = self.docker("ps", "--all", "--quiet", "--filter", f"label={label}", check=False).split()
            if listed:
                self.docker("rm", "--force", "--volumes", *listed, check=False)
            for kind in ("volume", "network"):
                if listed := self.docker(kind, "ls", "--quiet", "--filter", f"label={label}", check=False).split():
                    self.docker(kind, "rm", *listed, check=False)
        if listed := self.docker("ps", "--all", "--quiet", "--filter", f"name={project}-", check=False).split():
            self.docker("rm", "--force", "--volumes", *listed, check=False)
        if listed := list(self.mounting(project)):
            self.docker("rm", "--force", *listed, check=False)
        for kind in ("volume", "network"):
            if listed := self.docker(kind, "ls", "--quiet", "--filter", f"name={project}-", check=False).split():
                self.docker(kind, "rm", *listed, check=False)
        if listed := self.docker("images", "--quiet", "--filter", f"reference={project}-*", check=False).split():
            self.docker("rmi", "--force", *listed, check=False)

    def remove_images(self, prefix: str) -> None:
        """Remove every image whose name begins with ADDRESS/NAMESPACE."""
        for line in self.docker("images", "--digests", "--format", "{{.Repository}}@{{.Digest}}", check=False).split():
            if line.startswith(f"{prefix}/"):
                self.docker("rmi", "--force", line, check=False)

    def _digests(self, images: Collection[str]) -> dict[str, frozenset[str]]:
        """The digests that each image has in registries, and its own id."""
        documents = {document["Id"]: document for document in self._inspected("image", images)}
        names = {image: documents[image]["RepoDigests"] if image in documents else [] for image in images}
        return {image: frozenset(name.partition("@")[2] for name in names[image]) | {image} for image in images}

    def _inspected(self, kind: str, names: Collection[str]) -> list[dict[str, Any]]:
        """The documents of those of these names that are still there."""
        if not names:
            return []
        host = ["--host", self.host] if self.host else []
        argv = [shutil.which("docker") or "docker", *host, kind, "inspect", *names]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        with contextlib.suppress(ValueError):
            documents: list[dict[str, Any]] = json.loads(done.stdout)
            return documents
        return []
