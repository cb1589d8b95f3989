"""The team on AutoGen: the only module, with its two clients, that knows the framework."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from functools import cache, cached_property
from typing import Any, TypeVar

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import ChatAgent, TaskResult
from autogen_agentchat.conditions import FunctionalTermination
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    ModelClientStreamingChunkEvent,
    TextMessage,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
    ToolCallSummaryMessage,
)
from autogen_agentchat.teams import SelectorGroupChat
from autogen_core import CancellationToken, FunctionCall, SingleThreadedAgentRuntime
from autogen_core.model_context import UnboundedChatCompletionContext
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    UserMessage,
)
from autogen_core.tools import FunctionTool, ToolSchema

from groupchat_service.autogen_clients import real_client
from groupchat_service.providers import Choice, Providers
from groupchat_service.roles import LEADER, WORKERS, Role, supervisor_prompt
from groupchat_service.rule_client import RuleClient
from groupchat_service.team import (
    HUMAN,
    SUPERVISOR,
    Chunk,
    Emit,
    Message,
    TeamError,
    TeamSpec,
    ToolCall,
    ToolOutcome,
    Turn,
    next_speaker,
    readable,
    since_task,
    stopped_by,
)

_TOOL_ROUNDS = 3
_CANCEL_GRACE = 0.3
_ERROR_LENGTH = 500
Result = TypeVar("Result")

# Warnings go the way of all logs; AutoGen's doubt about the resolved name of a model is none, for we give model_info.
logging.captureWarnings(capture=True)
warnings.filterwarnings("ignore", message="Resolved model mismatch")
# AutoGen logs whole message bodies, and its errors once more than we do.
for _name in ("autogen_core", "autogen_core.events", "autogen_core.trace", "autogen_agentchat"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)
for _name in ("httpx", "httpx2", "httpcore", "openai", "anthropic"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class _Tool(FunctionTool):
    """A function tool that works out its JSON schema once: AutoGen asks for it several times in each turn."""

    @cached_property
    def schema(self) -> ToolSchema:
        """The tool as a model is told of it."""
        return super().schema


@cache
def _tool(function: Callable[..., Any]) -> _Tool:
    return _Tool(function, description=function.__doc__ or "")


class _Runtime(SingleThreadedAgentRuntime):
    """AutoGen's runtime. 0.7.5 leaves its tasks waiting for ever when its end is cancelled; here they end with it."""

    async def stop_when_idle(self) -> None:
        """As AutoGen's; when cancelled, what still runs is cancelled too."""
        context, queue = self._run_context, self._message_queue
        try:
            await super().stop_when_idle()
        except asyncio.CancelledError:
            self._message_queue = queue  # in which they report that they are done
            for task in (*self._background_tasks, *((context._run_task,) if context else ())):
                task.cancel()
            raise


class AutoGenTeams:
    """Builds teams with the provider that is due now."""

    def __init__(self, providers: Providers, *, model_timeout: float) -> None:
        self._providers, self._timeout = providers, model_timeout

    async def __call__(self, spec: TeamSpec) -> AutoGenTeam:
        choice = self._providers.choose()
        # A provider's library is imported with its first client: seconds on a busy machine, so not on the event loop.
        client = await asyncio.to_thread(real_client, choice, timeout=self._timeout)
        return AutoGenTeam(spec, choice, client)

    def offline(self, spec: TeamSpec) -> AutoGenTeam:
        """A team of rules: it proves that the framework works as it was installed."""
        return AutoGenTeam(spec, Choice(provider="rules", model="rules"), None)


class AutoGenTeam:
    """A SelectorGroupChat that lives for one run; the conversation itself is kept by the caller as neutral messages."""

    def __init__(self, spec: TeamSpec, choice: Choice, client: ChatCompletionClient | None) -> None:
        self._spec, self._choice, self._client = spec, choice, client
        self._workers = tuple(name for name in spec.agents if name != HUMAN)

    @property
    def model(self) -> str:
        """`rules`, or provider and model."""
        return str(self._choice)

    async def run(self, history: Sequence[Message], emit: Emit) -> str:
        """Continue the conversation; cancelling goes by AutoGen's own token: its calls ignore tasks."""
        rounds = self._spec.max_rounds - _turns(since_task(history))
        if rounds <= 0:
            return "max_rounds"
        token = CancellationToken()
        inner = asyncio.create_task(self._converse(history, emit, rounds, token))
        inner.add_done_callback(lambda _: token.cancel())  # a turn that can't be stored must not let the team talk on
        return await _unless_cancelled(inner, token, self._choice.key)

    async def ask(self, agent: str, content: str) -> Turn:
        """One agent's answer to one message."""
        role = LEADER if agent == SUPERVISOR else WORKERS[agent]
        token = CancellationToken()
        inner = asyncio.create_task(self._agent(role, ()).run(task=content, cancellation_token=token))
        result = await _unless_cancelled(inner, token, self._choice.key)
        return Turn(messages=_neutrals(result.messages[1:]), **_usage(result.messages))

    async def close(self) -> None:
        """Close the model's connections."""
        if self._client is not None:
            await self._client.close()

    async def _converse(self, history: Sequence[Message], emit: Emit, rounds: int, token: CancellationToken) -> str:
        said = list(history)
        pending: list[BaseAgentEvent | BaseChatMessage] = []
        async with aclosing(self._group(history, rounds).run_stream(cancellation_token=token)) as items:
            async for item in items:
                if isinstance(item, ModelClientStreamingChunkEvent):
                    await emit(Chunk(source=item.source, text=readable(item.content)))
                elif not isinstance(item, TaskResult):
                    pending.append(item)
                if isinstance(item, BaseChatMessage):
                    messages = _neutrals(pending)
                    said.extend(messages)
                    await emit(Turn(messages=messages, **_usage(pending)))
                    pending.clear()
        return "decided" if stopped_by(said) else "max_rounds"

    def _group(self, history: Sequence[Message], rounds: int) -> SelectorGroupChat:
        agents: list[ChatAgent] = [self._agent(LEADER, history)]
        agents += [self._agent(WORKERS[name], history) for name in self._workers]

        def select(thread: Sequence[BaseAgentEvent | BaseChatMessage]) -> str:
            return next_speaker([*history, *_neutrals(thread)], self._workers)

        def decided(delta: Sequence[BaseAgentEvent | BaseChatMessage]) -> bool:
            return stopped_by(_neutrals(delta)) is not None

        group = SelectorGroupChat(
            agents,  # type: ignore[arg-type]
            model_client=self._brain(LEADER),  # never asked: `select` always names somebody
            selector_func=select,
            termination_condition=FunctionalTermination(decided),
            max_turns=rounds,
        )
        group._runtime = _Runtime(ignore_unhandled_exceptions=False)  # as AutoGen makes its own
        return group

    def _agent(self, role: Role, history: Sequence[Message]) -> AssistantAgent:
        return AssistantAgent(
            role.name,
            model_client=self._brain(role),
            tools=[_tool(function) for function in role.tools] or None,
            description=role.description,
            system_message=supervisor_prompt(self._spec.agents) if role is LEADER else role.prompt,
            model_context=UnboundedChatCompletionContext(initial_messages=_context(history, role.name)),
            model_client_stream=self._spec.stream,
            max_tool_iterations=_TOOL_ROUNDS,
        )

    def _brain(self, role: Role) -> ChatCompletionClient:
        return self._client or RuleClient(role.name, self._spec.agents, role.rule)


async def _unless_cancelled(inner: asyncio.Task[Result], token: CancellationToken, key: str) -> Result:
    try:
        return await asyncio.shield(inner)
    except asyncio.CancelledError:
        token.cancel()
        await asyncio.wait({inner}, timeout=_CANCEL_GRACE)
        inner.cancel()
        with suppress(Exception, asyncio.CancelledError):
            await asyncio.wait({inner}, timeout=_CANCEL_GRACE / 3)
        raise
    except Exception as error:
        raise TeamError(_short(error, key)) from error


def _short(error: Exception, key: str) -> str:
    """AutoGen's errors carry the whole traceback as text, and a provider may quote the key."""
    text = str(error).partition("\nTraceback")[0].strip() or type(error).__name__
    return readable(text.replace(key, "[key]") if key else text)[:_ERROR_LENGTH]


def _turns(messages: Sequence[Message]) -> int:
    return sum(1 for message in messages if message.type in ("text", "tool_summary") and message.source != HUMAN)


def _context(history: Sequence[Message], agent: str) -> list[LLMMessage]:
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


def _neutrals(items: Sequence[BaseAgentEvent | BaseChatMessage]) -> tuple[Message, ...]:
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


def _usage(items: Sequence[BaseAgentEvent | BaseChatMessage]) -> dict[str, int]:
    used: list[Any] = [item.models_usage for item in items if item.models_usage is not None]
    return {
        "prompt_tokens": sum(usage.prompt_tokens for usage in used),
        "completion_tokens": sum(usage.completion_tokens for usage in used),
    }
