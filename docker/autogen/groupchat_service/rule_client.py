"""A model client without a model: it turns AutoGen's messages into a View and lets the agent's rule answer."""

# ruff: noqa: ARG002  (the interface names arguments that are of no use here)

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal

from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelFamily,
    ModelInfo,
    RequestUsage,
    UserMessage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from groupchat_service.rules import Rule, Say, Use, View
from groupchat_service.team import USER

MODEL_INFO = ModelInfo(
    vision=False, function_calling=True, json_output=False, structured_output=False, family=ModelFamily.UNKNOWN
)
_CHUNK = 32


class RuleClient(ChatCompletionClient):
    """One agent's rule, spoken to as if it were a model."""

    component_type = "model"
    component_config_schema = BaseModel

    def __init__(self, agent: str, team: tuple[str, ...], rule: Rule) -> None:
        self._agent, self._team, self._rule = agent, team, rule
        self._calls = 0

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """The rule's answer: text, or tool calls."""
        # A rule is instant, but a cancelled chat must stop here too: the token can only cancel what it is linked to.
        step = asyncio.ensure_future(asyncio.sleep(0))
        if cancellation_token is not None:
            cancellation_token.link_future(step)
        await step
        answer = self._rule(view(messages, self._agent, self._team))
        usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
        if isinstance(answer, Say):
            return CreateResult(finish_reason="stop", content=answer.text, usage=usage, cached=False)
        calls = [self._call(use, len(messages)) for use in (answer if isinstance(answer, tuple) else (answer,))]
        return CreateResult(finish_reason="function_calls", content=calls, usage=usage, cached=False)

    def _call(self, use: Use, place: int) -> FunctionCall:
        self._calls += 1
        identifier = f"{self._agent}-{place}-{self._calls}"
        return FunctionCall(id=identifier, name=use.tool, arguments=json.dumps(use.arguments))

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The same answer, its text first in pieces."""
        result = await self.create(messages, cancellation_token=cancellation_token)
        if isinstance(result.content, str):
            for start in range(0, len(result.content), _CHUNK):
                yield result.content[start : start + _CHUNK]
        yield result

    async def close(self) -> None:
        """Nothing is held."""

    def actual_usage(self) -> RequestUsage:
        """Rules use no tokens."""
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    def total_usage(self) -> RequestUsage:
        """Rules use no tokens."""
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """Rules use no tokens."""
        return 0

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """Rules have no window that could fill up."""
        return 1_000_000

    @property
    def capabilities(self) -> ModelInfo:
        """The deprecated name of model_info, still abstract in the base class."""
        return MODEL_INFO

    @property
    def model_info(self) -> ModelInfo:
        """Rules read text and call tools."""
        return MODEL_INFO


def view(messages: Sequence[LLMMessage], agent: str, team: tuple[str, ...]) -> View:
    """What the agent sees; only what came after the user's last message is `said`, or a follow-up would end at once."""
    tasks: list[str] = []
    said: list[tuple[str, str]] = []
    outcomes: tuple[tuple[str, str], ...] = ()
    for message in messages:
        if isinstance(message, FunctionExecutionResultMessage):
            outcomes += tuple((result.name, result.content) for result in message.content)
        elif isinstance(message, UserMessage) and isinstance(message.content, str):
            outcomes = ()
            if message.source == USER:
                tasks.append(message.content)
                said.clear()
            else:
                said.append((message.source, message.content))
        elif isinstance(message, AssistantMessage) and isinstance(message.content, str):
            outcomes = ()
            said.append((agent, message.content))
    return View(team=team, tasks=tuple(tasks), said=tuple(said), outcomes=outcomes)
