"""AutoGen's messages as the service's own, and the other way round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    TextMessage,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
    ToolCallSummaryMessage,
)
from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    UserMessage,
)

from groupchat_service.team import Message, ToolCall, ToolOutcome, readable


def context_of(history: Sequence[Message], agent: str) -> list[LLMMessage]:
    """The conversation as this agent's model remembers it: its own words and tools, and what the others said."""
    context: list[LLMMessage] = []
    for message in history:
        if message.source != agent:
            if message.type in ("text", "tool_summary"):
                context.append(UserMessage(content=message.content, source=message.source))
        elif message.type == "tool_call":
            calls = [FunctionCall(id=call.id, name=call.name, arguments=call.arguments) for call in message.calls]
            context.append(AssistantMessage(content=calls, source=agent))
        elif message.type == "tool_result":
            results = [
                FunctionExecutionResult(call_id=one.id, name=one.name, content=one.content, is_error=one.is_error)
                for one in message.results
            ]
            context.append(FunctionExecutionResultMessage(content=results))
        elif message.type == "text":
            context.append(AssistantMessage(content=message.content, source=agent))
    return context


def neutrals(items: Sequence[BaseAgentEvent | BaseChatMessage]) -> tuple[Message, ...]:
    """AutoGen's messages as ours."""
    return tuple(message for item in items if (message := _neutral(item)) is not None)


def _neutral(item: BaseAgentEvent | BaseChatMessage) -> Message | None:
    """AutoGen's message as ours; None for what is only of use inside the framework."""
    if isinstance(item, ToolCallRequestEvent):
        calls = tuple(
            ToolCall(id=readable(call.id), name=readable(call.name), arguments=readable(call.arguments))
            for call in item.content
        )
        text = "; ".join(f"{call.name}({call.arguments})" for call in calls)
        return Message(source=item.source, content=text, type="tool_call", calls=calls)
    if isinstance(item, ToolCallExecutionEvent):
        results = tuple(
            ToolOutcome(
                id=readable(one.call_id),
                name=readable(one.name),
                content=readable(one.content),
                is_error=bool(one.is_error),
            )
            for one in item.content
        )
        text = "\n".join(one.content for one in results)
        return Message(source=item.source, content=text, type="tool_result", results=results)
    if isinstance(item, ToolCallSummaryMessage):
        return Message(source=item.source, content=readable(item.content), type="tool_summary")
    if isinstance(item, TextMessage):
        return Message(source=item.source, content=readable(item.content))
    return None


def usage_of(items: Sequence[BaseAgentEvent | BaseChatMessage]) -> dict[str, int]:
    """The tokens that these messages cost, as a Turn has them."""
    used: list[Any] = [item.models_usage for item in items if item.models_usage is not None]
    return {
        "prompt_tokens": sum(usage.prompt_tokens for usage in used),
        "completion_tokens": sum(usage.completion_tokens for usage in used),
    }
