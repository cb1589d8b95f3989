"""The service with a team of another make behind the protocol: no framework, and AutoGen can't even be imported."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from groupchat_service.providers import Providers
from groupchat_service.roles import Role
from groupchat_service.roster import Roster
from groupchat_service.rules import Say, View
from groupchat_service.service import create_app
from groupchat_service.settings import Settings
from groupchat_service.team import (
    HUMAN,
    USER,
    Emit,
    Message,
    TeamSpec,
    ToolCall,
    ToolOutcome,
    Turn,
    next_speaker,
    since_task,
    stopped_by,
)
from ucservice.web import serve


class PlainTeam:
    """Speakers take turns in a loop."""

    model = "plain"

    def __init__(self, spec: TeamSpec, roster: Roster) -> None:
        self._spec, self._roster = spec, roster
        self._workers = tuple(name for name in spec.agents if name != HUMAN)

    async def run(self, history: Sequence[Message], emit: Emit) -> str:
        """One turn after the other until the supervisor decides."""
        said = list(history)
        for _ in range(self._spec.max_rounds):
            turn = self._speak(self._roster.role(next_speaker(said, self._workers)), said)
            said.extend(turn.messages)
            await emit(turn)
            if stopped_by(said):
                return "decided"
        return "max_rounds"

    async def ask(self, agent: str, content: str) -> Turn:
        """One turn on a task of its own."""
        return self._speak(self._roster.role(agent), [Message(source=USER, content=content)])

    async def close(self) -> None:
        """Nothing is held."""

    def _speak(self, role: Role, said: Sequence[Message]) -> Turn:
        tasks = tuple(one.content for one in said if one.source == USER)
        heard = tuple((one.source, one.content) for one in since_task(said) if one.type == "text")
        answer = role.rule(View(team=self._spec.agents, tasks=tasks, said=heard))
        before: list[Message] = []
        if not isinstance(answer, Say):
            outcomes: list[tuple[str, str]] = []
            for use in answer if isinstance(answer, tuple) else (answer,):
                tool = next(function for function in role.tools if function.__name__ == use.tool)
                content = str(tool(**use.arguments))
                call = ToolCall(id="1", name=use.tool, arguments=json.dumps(use.arguments))
                outcome = ToolOutcome(id="1", name=use.tool, content=content)
                before.append(Message(source=role.name, content=use.tool, type="tool_call", calls=(call,)))
                before.append(Message(source=role.name, content=content, type="tool_result", results=(outcome,)))
                outcomes.append((use.tool, content))
            answer = role.rule(View(team=self._spec.agents, tasks=tasks, said=heard, outcomes=tuple(outcomes)))
        assert isinstance(answer, Say)
        return Turn(messages=(*before, Message(source=role.name, content=answer.text)))


class PlainTeams:
    """Builds them."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    async def __call__(self, spec: TeamSpec) -> PlainTeam:
        return PlainTeam(spec, self._roster)

    def offline(self, spec: TeamSpec) -> PlainTeam:
        """The same."""
        return PlainTeam(spec, self._roster)

    def refusal(self, _name: str) -> str:
        """Any role will do."""
        return ""


def _plain(_providers: Providers, _settings: Settings, roster: Roster) -> PlainTeams:
    return PlainTeams(roster)


if __name__ == "__main__":
    for framework in ("autogen_agentchat", "autogen_core", "autogen_ext", "openai", "anthropic"):
        assert framework not in sys.modules
        sys.modules[framework] = None  # type: ignore[assignment]  # an import of it fails from here on
    serve(create_app(Settings.from_env(os.environ), _plain), port=8001)
