"""The team on AutoGen, in this process: what is left of a run that was cancelled."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from autogen_core import SingleThreadedAgentRuntime
from autogen_core._telemetry import TraceHelper
from groupchat_harness import COMPILE_ERRORS
from groupchat_service.autogen_team import AutoGenTeam
from groupchat_service.providers import Choice
from groupchat_service.roles import DEFAULT_TEAM, LEADER
from groupchat_service.roster import Roster
from groupchat_service.rule_client import RuleClient
from groupchat_service.team import Chunk, Message, TeamSpec, Turn

SPEC = TeamSpec(agents=tuple(DEFAULT_TEAM), max_rounds=16, stream=False)


class Deaf(RuleClient):
    """A model that does not answer, and does not hear that nobody waits any more."""

    asked: asyncio.Event

    async def create(self, *_: Any, **__: Any) -> Any:
        self.asked.set()
        await asyncio.sleep(3600)


def test_a_cancelled_run_leaves_no_task_behind() -> None:
    """Whatever AutoGen started ends with the run: nothing waits for ever, or complains in the log of somebody's request."""

    async def nobody(_: Turn | Chunk) -> None:
        pytest.fail("nothing is said")

    async def cancelled() -> tuple[set[str], list[str]]:
        complaints: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
        client = Deaf(LEADER.name, SPEC.agents, LEADER.rule)
        client.asked = asyncio.Event()
        team = AutoGenTeam(SPEC, Choice(provider="rules", model="rules"), client, roster=Roster())
        run = asyncio.create_task(team.run([Message(source="user", content=COMPILE_ERRORS)], nobody))
        await client.asked.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        left = {task.get_name() for task in asyncio.all_tasks()}
        for _ in range(50):
            await asyncio.sleep(0)
            left &= {task.get_name() for task in asyncio.all_tasks()}
        gc.collect()
        this = asyncio.current_task()
        assert this
        return left - {this.get_name()}, complaints

    assert asyncio.run(cancelled()) == (set(), [])


def test_a_chat_makes_no_spans_and_no_texts_for_logs_that_are_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """AutoGen's own runtime does both for every message; a new AutoGen in which it has other names shows here."""
    made: list[str] = []
    spans = TraceHelper.trace_block
    texts = SingleThreadedAgentRuntime._try_serialize
    attributes = SingleThreadedAgentRuntime._create_otel_attributes

    def span(*given: Any, **named: Any) -> Any:
        made.append("span")
        return spans(*given, **named)

    def text(runtime: SingleThreadedAgentRuntime, message: Any) -> str:
        made.append("text")
        return texts(runtime, message)

    async def described(runtime: SingleThreadedAgentRuntime, *given: Any, **named: Any) -> Any:
        made.append("attributes")
        return await attributes(runtime, *given, **named)

    monkeypatch.setattr(TraceHelper, "trace_block", span)
    monkeypatch.setattr(SingleThreadedAgentRuntime, "_create_otel_attributes", described)
    monkeypatch.setattr(SingleThreadedAgentRuntime, "_try_serialize", text)
    turns: list[Turn | Chunk] = []

    async def heard(item: Turn | Chunk) -> None:
        turns.append(item)

    async def chat() -> str:
        team = AutoGenTeam(SPEC, Choice(provider="rules", model="rules"), None, roster=Roster())
        return await team.run([Message(source="user", content=COMPILE_ERRORS)], heard)

    assert asyncio.run(chat()) == "decided"
    assert turns
    assert made == []
