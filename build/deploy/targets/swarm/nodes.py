"""The nodes of a swarm, and which of them may run a container: placement constraints as the scheduler reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from build.engine.api import Api
from build.engine.client import dotted
from build.engine.remote import LOOPBACK

_CONSTRAINT = re.compile(r"\s*([A-Za-z_][\w.-]*)\s*(==|!=)\s*(.*?)\s*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A node; `takes_tasks` is whether it is up and active, `engine` the version of its engine.

    `facts` are what a constraint can name, but for its labels.
    """

    id: str
    name: str
    address: str
    takes_tasks: bool
    state: str
    engine: str
    labels: Mapping[str, str]
    engine_labels: Mapping[str, str]
    facts: Mapping[str, str]

    def meets(self, constraint: str) -> bool:
        """Whether it meets a placement constraint, compared without case. One that can't be read is met by none."""
        parts = _CONSTRAINT.fullmatch(constraint)
        if parts is None:
            return False
        key, operator, value = parts.groups()
        return (self._value(key).casefold() == value.casefold()) == (operator == "==")

    def _value(self, key: str) -> str:
        for prefix, labels in (("node.labels.", self.labels), ("engine.labels.", self.engine_labels)):
            if key.lower().startswith(prefix):
                return labels.get(key[len(prefix) :], "")
        return self.facts.get(key.lower(), "")


def nodes(api: Api) -> list[Node]:
    """Every node of the swarm, by name. Raises as the API does."""
    return sorted((_node(entry) for entry in api.get("/nodes")), key=lambda node: (node.name, node.id))


def eligible(every: Iterable[Node], constraints: Sequence[str]) -> list[Node]:
    """The nodes that may get a task with these constraints now."""
    return [node for node in every if node.takes_tasks and all(map(node.meets, constraints))]


def with_label(entry: Mapping[str, Any], label: str) -> dict[str, Any]:
    """The spec of a node, as the API has it, with a label more, whose value is "true"."""
    spec = dict(entry["Spec"])
    return spec | {"Labels": {**(spec.get("Labels") or {}), label: "true"}}


def reachable(address: str) -> bool:
    """Whether a node's address is one for other machines."""
    return address not in {"", "0.0.0.0", "::", "::1"} and not address.startswith("127.")  # noqa: S104


def _node(entry: Mapping[str, Any]) -> Node:
    spec, description, status = entry["Spec"], entry.get("Description") or {}, entry.get("Status") or {}
    engine = description.get("Engine") or {}
    platform = description.get("Platform") or {}
    address = status.get("Addr", "")
    if not reachable(address):  # a manager knows under which address others reach it
        address = (entry.get("ManagerStatus") or {}).get("Addr", "").rpartition(":")[0].strip("[]") or LOOPBACK
    return Node(
        id=entry["ID"],
        name=description.get("Hostname") or entry["ID"],
        address=address,
        takes_tasks=status.get("State") == "ready" and spec.get("Availability") == "active",
        state=status.get("State", "unknown") if status.get("State") != "ready" else spec.get("Availability", "active"),
        engine=dotted(engine.get("EngineVersion", "")),
        labels=spec.get("Labels") or {},
        engine_labels=engine.get("Labels") or {},
        facts={
            "node.id": entry["ID"],
            "node.hostname": description.get("Hostname", ""),
            "node.ip": status.get("Addr", ""),
            "node.role": spec.get("Role", ""),
            "node.platform.os": platform.get("OS", ""),
            "node.platform.arch": platform.get("Architecture", ""),
        },
    )
