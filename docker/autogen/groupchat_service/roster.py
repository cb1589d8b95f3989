"""Who can be in a team of this service: the agents that it brings, and the roles that the agents folder declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from groupchat_service.roles import DEFAULT_TEAM, HUMAN_PROMPT, LEADER, TOOLS, WORKERS, Role
from groupchat_service.team import HUMAN, SUPERVISOR, TeamError


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """`declared` are the folder's roles by name; `failed` says why a role, or its file, was refused."""

    declared: Mapping[str, Role] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    default: tuple[str, ...] = DEFAULT_TEAM

    @property
    def workers(self) -> dict[str, Role]:
        """Everybody who works under the supervisor, by name."""
        return {**WORKERS, **self.declared}

    @property
    def members(self) -> tuple[str, ...]:
        """Everybody whom a request may name, except for the supervisor, who leads every team."""
        return (*self.workers, HUMAN)

    def role(self, name: str) -> Role:
        """An agent. Raises TeamError for a name that is not on the roster, such as a role that was removed."""
        found = LEADER if name == SUPERVISOR else self.workers.get(name)
        if found is None:
            raise TeamError(f"agent {name!r} is not declared any more")
        return found

    def team(self, names: Sequence[str]) -> tuple[str, ...]:
        """The members in the order given, once each. Raises ValueError for a name that nobody has."""
        unknown = sorted({name for name in names if name not in self.members and name != SUPERVISOR})
        if refused := [f"{name} was refused: {self.failed[name]}" for name in unknown if name in self.failed]:
            raise ValueError("; ".join(refused))
        if unknown:
            shown = ", ".join(map(ascii, unknown))[:200]
            raise ValueError(f"unknown agents: {shown}; known are {', '.join(self.members)}")
        chosen = tuple(dict.fromkeys(name for name in names if name != SUPERVISOR))
        if not any(name in self.workers for name in chosen):
            raise ValueError(f"a team needs at least one worker: {', '.join(self.workers)}")
        return chosen

    def supervisor_prompt(self, team: tuple[str, ...]) -> str:
        """The supervisor's words to a model, for this team."""
        named = [self.workers[name] for name in team if name in self.workers]
        workers = "\n".join(f"- {role.name}: {role.description}" for role in named)
        return LEADER.prompt.format(workers=workers, human=HUMAN_PROMPT if HUMAN in team else "")

    def catalogue(self) -> list[dict[str, Any]]:
        """Every agent as the API lists it."""
        listed: list[dict[str, Any]] = [
            {
                "name": role.name,
                "type": "supervisor" if role.name == SUPERVISOR else "worker",
                "description": role.description,
                "tools": [tool.__name__ for tool in role.tools],
            }
            for role in (LEADER, *self.workers.values())
        ]
        human = "Answers the supervisor's question through POST /groupchat/{id}/messages; takes part only when named."
        return [*listed, {"name": HUMAN, "type": "human", "description": human, "tools": []}]

    def tried(self, refusal: Callable[[str], str]) -> Roster:
        """The roster without the declared roles that a framework refuses; `refusal` says why, or nothing."""
        reasons = {
            name: f"{role.place}: roles.{name}.tools: {reason}"
            for name, role in self.declared.items()
            if (reason := refusal(name))
        }
        if not reasons:
            return self
        return replace(
            self,
            declared={name: role for name, role in self.declared.items() if name not in reasons},
            failed={**self.failed, **reasons},
            default=tuple(name for name in self.default if name not in reasons) or DEFAULT_TEAM,
        )

    def inventory(self, own: str) -> list[dict[str, Any]]:
        """Every role and tool with its state; `own` says why the service's own ones can't work, or nothing."""
        tools = {tool.__name__ for role in self.declared.values() for tool in role.tools} - set(TOOLS)
        return [
            *(_entry("role", name, own) for name in (LEADER.name, *WORKERS)),
            *(_entry("role", name, own) for name in self.declared),
            *(_entry("role", name, reason) for name, reason in self.failed.items()),
            *(_entry("tool", name, "") for name in (*TOOLS, *sorted(tools))),
        ]


def _entry(kind: str, name: str, reason: str) -> dict[str, Any]:
    line = " ".join(reason.split())[:300]
    return {"kind": kind, "name": name, "state": "failed" if line else "ready", "reason": line, "critical": True}
