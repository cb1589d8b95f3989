"""The team on AutoGen: the only module, with its two clients, that knows the framework."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext, suppress
from dataclasses import replace
from functools import cache, cached_property
from typing import Any, TypeVar

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import ChatAgent, TaskResult
from autogen_agentchat.conditions import FunctionalTermination
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    ModelClientStreamingChunkEvent,
)
from autogen_agentchat.teams import SelectorGroupChat
from autogen_core import CancellationToken, SingleThreadedAgentRuntime
from autogen_core.model_context import UnboundedChatCompletionContext
from autogen_core.models import (
    ChatCompletionClient,
)
from autogen_core.tools import FunctionTool, ToolSchema

from groupchat_service.autogen_clients import real_client
from groupchat_service.autogen_messages import context_of, neutrals, usage_of
from groupchat_service.providers import Choice, Providers
from groupchat_service.roles import LEADER, Role
from groupchat_service.roster import Roster
from groupchat_service.rule_client import RuleClient
from groupchat_service.team import (
    HUMAN,
    Chunk,
    Emit,
    Message,
    TeamError,
    TeamSpec,
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


class _NoTrace:
    """What AutoGen asks for a span of each message, where nothing takes spans."""

    _span: AbstractContextManager[None] = nullcontext()

    def trace_block(self, *_what: object, **_about: object) -> AbstractContextManager[None]:
        """No span: AutoGen's own takes a fifth of a chat's time even when its tracer does nothing."""
        return self._span


class _Runtime(SingleThreadedAgentRuntime):
    """AutoGen's runtime, without the spans and logs that nothing here takes.

    0.7.5 leaves its tasks waiting forever when its end is cancelled; here they end with it.
    """

    def __init__(self) -> None:
        super().__init__(ignore_unhandled_exceptions=False)  # as AutoGen makes its own
        self._tracer_helper = _NoTrace()  # type: ignore[assignment]

    def _try_serialize(self, message: Any) -> str:  # noqa: ARG002 - AutoGen's signature
        """Each message as JSON, four times over, for logs that are off and attributes of spans."""
        return ""

    async def _create_otel_attributes(self, *_who: object, **_what: object) -> Mapping[str, str]:
        """Of a span, of which there is none."""
        return {}

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

    def __init__(self, providers: Providers, roster: Roster, *, model_timeout: float) -> None:
        self._providers, self._roster, self._timeout = providers, roster, model_timeout

    async def __call__(self, spec: TeamSpec) -> AutoGenTeam:
        choice = self._providers.choose()
        own = {role.model for name in spec.agents if (role := self._roster.declared.get(name)) and role.model}
        # A provider's library is imported with its first client: seconds on a busy machine, so not on the event loop.
        clients = await asyncio.to_thread(self._clients, choice, own)
        return AutoGenTeam(spec, choice, clients.pop("", None), roster=self._roster, clients=clients)

    def offline(self, spec: TeamSpec) -> AutoGenTeam:
        """A team of rules: it proves that the framework works as it was installed."""
        return AutoGenTeam(spec, Choice(provider="rules", model="rules"), None, roster=self._roster)

    def refusal(self, name: str) -> str:
        """Why AutoGen can't make an agent of a role; empty when it can. No tool is run."""
        try:
            role = self._roster.role(name)
            self.offline(TeamSpec(agents=(name,), max_rounds=1)).agent(role, ())
            for function in role.tools:
                _tool(function).schema  # noqa: B018  a model is shown it, and not every annotation has one
        except Exception as error:  # noqa: BLE001  whatever it is, it is the reason
            return f"{type(error).__name__}: {error}"
        return ""

    def _clients(self, choice: Choice, own: set[str]) -> dict[str, ChatCompletionClient]:
        """A client for the service's model, under "", and for each model of a role's own."""
        if choice.provider == "rules":
            return {}
        models = {"": choice, **{model: replace(choice, model=model) for model in own}}
        return {name: real_client(one, timeout=self._timeout) for name, one in models.items()}


class AutoGenTeam:
    """A SelectorGroupChat that lives for one run; the conversation itself is kept by the caller as neutral messages."""

    def __init__(
        self,
        spec: TeamSpec,
        choice: Choice,
        client: ChatCompletionClient | None,
        *,
        roster: Roster,
        clients: Mapping[str, ChatCompletionClient] | None = None,
    ) -> None:
        """`clients` are those of the models that roles ask for, by model."""
        self._spec, self._choice, self._client = spec, choice, client
        self._roster, self._clients = roster, dict(clients or {})
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
        role = self._roster.role(agent)
        token = CancellationToken()
        inner = asyncio.create_task(self.agent(role, ()).run(task=content, cancellation_token=token))
        result = await _unless_cancelled(inner, token, self._choice.key)
        return Turn(messages=neutrals(result.messages[1:]), **usage_of(result.messages))

    async def close(self) -> None:
        """Close the models' connections."""
        for client in (self._client, *self._clients.values()):
            if client is not None:
                await client.close()

    def agent(self, role: Role, history: Sequence[Message]) -> AssistantAgent:
        """AutoGen's agent of a role, which remembers what has been said."""
        return AssistantAgent(
            role.name,
            model_client=self._brain(role),
            tools=[_tool(function) for function in role.tools] or None,
            description=role.description,
            system_message=self._roster.supervisor_prompt(self._spec.agents) if role is LEADER else role.prompt,
            model_context=UnboundedChatCompletionContext(initial_messages=context_of(history, role.name)),
            model_client_stream=self._spec.stream,
            max_tool_iterations=_TOOL_ROUNDS,
        )

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
                    messages = neutrals(pending)
                    said.extend(messages)
                    await emit(Turn(messages=messages, **usage_of(pending)))
                    pending.clear()
        return "decided" if stopped_by(said) else "max_rounds"

    def _group(self, history: Sequence[Message], rounds: int) -> SelectorGroupChat:
        agents: list[ChatAgent] = [self.agent(LEADER, history)]
        agents += [self.agent(self._roster.role(name), history) for name in self._workers]

        def select(thread: Sequence[BaseAgentEvent | BaseChatMessage]) -> str:
            return next_speaker([*history, *neutrals(thread)], self._workers)

        def decided(delta: Sequence[BaseAgentEvent | BaseChatMessage]) -> bool:
            return stopped_by(neutrals(delta)) is not None

        group = SelectorGroupChat(
            agents,  # type: ignore[arg-type]
            model_client=self._brain(LEADER),  # never asked: `select` always names somebody
            selector_func=select,
            termination_condition=FunctionalTermination(decided),
            max_turns=rounds,
        )
        group._runtime = _Runtime()
        return group

    def _brain(self, role: Role) -> ChatCompletionClient:
        client = self._clients.get(role.model, self._client)
        return client or RuleClient(role.name, self._spec.agents, role.rule)


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
