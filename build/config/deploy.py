"""The types of [deploy] in versions.toml: where releases are deployed to, and how."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from build.config import rules
from build.typed import suggest

# In place of a path in `sources`: a volume of that name, on Kubernetes a claim.
VOLUME = "volume:"
VARIABLES = "UC_DEPLOY_TARGETS_"  # how the variables begin that set keys of targets


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetSettings:
    """A place that releases are deployed to.

    `context` and `host` say which engine, or swarm manager: a docker context, or what DOCKER_HOST takes (ssh:// too).
    `context`, `kubeconfig` and `namespace` say which cluster. `project` names what is created there (default: the
    project's name). Containers are published on `address`, at `ports` where it names them. `sources` are the paths, or
    `volume:NAME`, that are mounted from the target's own machines; `secrets` is the folder of secret files. `registry`
    is the registry's HOST:PORT as the target's machines see it. `history` deploys are kept, with what a roll back to
    them needs. A container has `health_seconds` to become healthy, and must stay so for `monitor_seconds`. `before`
    and `after` are commands that get the plan as JSON.
    """

    kind: Literal["compose", "swarm", "kubernetes"]
    context: str = ""
    host: str = ""
    kubeconfig: str = ""
    namespace: str = ""
    project: rules.ProjectName = ""
    address: rules.IpAddress = "127.0.0.1"
    ports: dict[rules.Name, rules.Port] = field(default_factory=dict)
    replicas: dict[rules.Name, rules.Positive] = field(default_factory=dict)
    placement: dict[rules.Name, tuple[str, ...]] = field(default_factory=dict)
    sources: dict[str, rules.MountSource] = field(default_factory=dict)
    secrets: str = ""
    registry: rules.OptionalAddress = ""
    encrypted: bool = False
    history: rules.Positive = 10
    health_seconds: rules.Positive = 180
    monitor_seconds: rules.Seconds = 3
    smoke: bool = True
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class DeploySettings:
    """The deploy targets by name, and the one that is meant where none is named: `target`, or the only one."""

    target: str = ""
    targets: dict[rules.Name, TargetSettings] = field(default_factory=dict)


def variable(target: str, key: str) -> str:
    """The variable that sets a key of a target: UC_DEPLOY_TARGETS_PRODUCTION_HOST is the `host` of production."""
    return f"{VARIABLES}{target}_{key}".upper().replace("-", "_").replace(".", "_")


def problems(
    settings: DeploySettings, published: Mapping[str, int], stateful: Collection[str], sources: Collection[str]
) -> Iterator[str]:
    """Yield what is wrong in [deploy] and no type says, each with its path.

    `published` maps each container to its port; those in `stateful` have a volume.
    """
    if settings.target and settings.target not in settings.targets:
        yield f"deploy.target: unknown name '{settings.target}'{suggest(settings.target, settings.targets)}"
    for name, target in settings.targets.items():
        path = f"deploy.targets.{name}"
        tables: dict[str, Mapping[str, Any]] = {
            "ports": target.ports, "replicas": target.replicas, "placement": target.placement
        }  # fmt: skip
        for key, table in tables.items():
            yield from (
                f"{path}.{key}: unknown name '{one}'{suggest(one, published)}" for one in table if one not in published
            )
        for key in target.sources:
            if key not in sources:
                yield f"{path}.sources: unknown name '{key}'{suggest(key, sources)}"
        yield from _place_problems(path, target)
        yield from _port_problems(path, target, published)
        for container, count in target.replicas.items():
            if count > 1 and container in stateful:
                yield f"{path}.replicas.{container}: expected 1: it keeps data in a volume, which one may write"


def _place_problems(path: str, target: TargetSettings) -> Iterator[str]:
    """What is wrong in the keys that say where a target is."""
    if target.host and target.context:
        yield f"{path}.host: context is set too: expected one of them"
    if target.kind == "kubernetes" and target.host:
        yield f'{path}.host: belongs to kind = "compose" or "swarm"'
    if target.kind != "kubernetes":
        for key in ("namespace", "kubeconfig"):
            if getattr(target, key):
                yield f'{path}.{key}: belongs to kind = "kubernetes"'
    if target.kind != "swarm":
        if target.encrypted:
            yield f'{path}.encrypted: belongs to kind = "swarm"'
        if target.kind == "compose":
            yield from (
                f'{path}.{key}: belongs to kind = "swarm" or "kubernetes"'
                for key in ("replicas", "placement")
                if getattr(target, key)
            )


def _port_problems(path: str, target: TargetSettings, published: Mapping[str, int]) -> Iterator[str]:
    owners: dict[int, str] = {}
    for container, usual in published.items():
        port = target.ports.get(container, usual)
        owner = owners.setdefault(port, container)
        if owner != container and (container in target.ports or owner in target.ports):
            yield f"{path}.ports: {port} is the port of {owner} and of {container}"
