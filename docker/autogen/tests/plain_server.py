"""The service with a team of another make behind the protocol: no framework, and AutoGen can't even be imported."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from groupchat_service.providers import Providers
from groupchat_service.roles import LEADER, WORKERS, Role
from groupchat_service.rules import Say, View
from groupchat_service.service import create_app
from groupchat_service.settings import Settings
from groupchat_service.team import (
    HUMAN,
    SUPERVISOR,
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

    def __init__(self, spec: TeamSpec) -> None:
        self._spec = spec
        self._workers = tuple(name for name in spec.agents if name != HUMAN)

    async def run(self, history: Sequence[Message], emit: Emit) -> str:
        """One turn after the other until the supervisor decides."""
        said = list(history)
        for _ in range(self._spec.max_rounds):
            turn = self._speak(_role(next_speaker(said, self._workers)), said)
            said.extend(turn.messages)
            await emit(turn)
            if stopped_by(said):
                return "decided"
        return "max_rounds"

    async def ask(self, agent: str, content: str) -> Turn:
        """One turn on a task of its own."""
        return self._speak(_role(agent), [Message(source=USER, content=content)])

    async def close(self) -> None:
        """Nothing is held."""

    def _speak(self, role: Role, said: Sequence[Message]) -> Turn:
        tasks = tuple(one.content for one in said if one.source == USER)
        heard = tuple((one.source, one.content) for one in since_task(said) if one.type == "text")
        answer = role.rule(View(team=self._spec.agents, tasks=tasks, said=heard))
        before: tuple[Message, ...] = ()
        if not isinstance(answer, Say):
            tool = next(function for function in role.tools if function.__name__ == answer.tool)
            content = tool(**answer.arguments)
            call = ToolCall(id="1", name=answer.tool, arguments=json.dumps(answer.arguments))
            outcome = ToolOutcome(id="1", name=answer.tool, content=content)
            before = (
                Message(source=role.name, content=answer.tool, type="tool_call", calls=(call,)),
                Message(source=role.name, content=content, type="tool_result", results=(outcome,)),
            )
            answer = role.rule(View(team=self._spec.agents, tasks=tasks, said=heard, tool_result=content))
        assert isinstance(answer, Say)
        return Turn(messages=(*before, Message(source=role.name, content=answer.text)))


class PlainTeams:
    """Builds them."""

    async def __call__(self, spec: TeamSpec) -> PlainTeam:
        return PlainTeam(spec)

    def offline(self, spec: TeamSpec) -> PlainTeam:
        """The same."""
        return PlainTeam(spec)


def _role(name: str) -> Role:
    return LEADER if name == SUPERVISOR else WORKERS[name]


def _plain(_providers: Providers, _settings: Settings) -> PlainTeams:
    return PlainTeams()


if __name__ == "__main__":
    for framework in ("autogen_agentchat", "autogen_core", "autogen_ext", "openai", "anthropic"):
        assert framework not in sys.modules
        sys.modules[framework] = None  # type: ignore[assignment]  # an import of it fails from here on
    serve(create_app(Settings.from_env(os.environ), _plain), port=8001)
