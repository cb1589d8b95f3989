"""What a team is to the rest of the service; no framework is named here.

One module implements `Team` (autogen_team.py). Another framework takes its place by another such module: it gets the
whole conversation as neutral messages, adds turns to it, and keeps nothing between two runs.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Protocol

USER, SUPERVISOR, HUMAN = "user", "supervisor", "human"
MessageType = Literal["text", "tool_call", "tool_result", "tool_summary"]


def known(cls: type, stored: Mapping[str, Any]) -> dict[str, Any]:
    """What `stored` has for the fields of a dataclass; what a later version added to it is left out."""
    return {one.name: stored[one.name] for one in fields(cls) if one.name in stored}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A worker's wish to run one of its tools; `arguments` is JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutcome:
    """What a tool gave back for the call of the same id."""

    id: str
    name: str
    content: str
    is_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One entry of a conversation; `content` is always text that a person can read."""

    source: str
    content: str
    type: MessageType = "text"
    calls: tuple[ToolCall, ...] = ()
    results: tuple[ToolOutcome, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The JSON form, without the fields that say nothing."""
        return {key: value for key, value in asdict(self).items() if value != ()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Message:
        """The message that `as_dict` wrote."""
        calls = tuple(ToolCall(**known(ToolCall, call)) for call in data.get("calls", ()))
        results = tuple(ToolOutcome(**known(ToolOutcome, result)) for result in data.get("results", ()))
        return cls(source=data["source"], content=data["content"], type=data["type"], calls=calls, results=results)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """All that one speaker added in one go: its tool calls and, last, what it said."""

    messages: tuple[Message, ...]
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of text that a model is still writing; it is shown, never stored."""

    source: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamSpec:
    """Who takes part, how long they may talk, and whether their models stream."""

    agents: tuple[str, ...]
    max_rounds: int
    stream: bool = False


Emit = Callable[[Turn | Chunk], Awaitable[None]]


class Team(Protocol):
    """A conversation's participants. Cancelling the task that awaits `run` stops them within half a second."""

    @property
    def model(self) -> str:
        """What the participants think with, such as `rules` or `openai:<model>`."""
        ...

    async def run(self, history: Sequence[Message], emit: Emit) -> str:
        """Go on from `history` until the supervisor decides or asks; hand out each turn; return why it stopped."""
        ...

    async def ask(self, agent: str, content: str) -> Turn:
        """Let one agent alone answer one message."""
        ...

    async def close(self) -> None:
        """Give back what the team holds, such as the model's connections."""
        ...


class TeamBuilder(Protocol):
    """Makes a team with today's settings and keys."""

    async def __call__(self, spec: TeamSpec) -> Team: ...

    def offline(self, spec: TeamSpec) -> Team:
        """A team that follows the rules whatever the settings say, for the self-test at the start."""
        ...

    def refusal(self, name: str) -> str:
        """Why the framework can't have an agent of the roster; empty when it can."""
        ...


class TeamError(Exception):
    """The team could not go on; the message is short, has no traceback and no key."""


def readable(text: str) -> str:
    """The text as it can be sent: a model's JSON may hold half a character, which no encoding has."""
    return text.encode("utf-8", "replace").decode()


Verb = Literal["DELEGATE", "ASK", "APPROVED", "REJECTED"]
_DIRECTIVE = re.compile(r"^\W{0,4}(DELEGATE|ASK|APPROVED|REJECTED)\b\W{0,4}", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Directive:
    """The supervisor's decision: a word at the start of a line, and all that it says beside it."""

    verb: Verb
    text: str
    target: str = field(default="")


def directive(text: str) -> Directive | None:
    """The first decision in the supervisor's text, or None when there is none."""
    found = _DIRECTIVE.search(text)
    if found is None:
        return None
    verb: Verb = found.group(1)  # type: ignore[assignment]
    rest = text[found.end() :].strip()
    if verb == "DELEGATE":
        name = re.match(r"[A-Za-z_][A-Za-z0-9_]*", rest)
        return Directive(verb, rest, name.group(0) if name else "")
    return Directive(verb, "\n".join(part for part in (text[: found.start()].strip(), rest) if part))


def stopped_by(messages: Sequence[Message]) -> Directive | None:
    """The decision that ends the conversation (asking a person ends it too), when the last message holds one."""
    last = messages[-1] if messages else None
    if last is None or last.source != SUPERVISOR:
        return None
    found = directive(last.content)
    return found if found and found.verb != "DELEGATE" else None


def next_speaker(messages: Sequence[Message], workers: Sequence[str]) -> str:
    """Who speaks next: the supervisor after everybody else, and after the supervisor the worker that it names.

    A model that names nobody in the team gets the first worker that has not spoken since the task, else the last one.
    """
    last = messages[-1] if messages else None
    if last is None or last.source != SUPERVISOR:
        return SUPERVISOR
    found = directive(last.content)
    if found and found.target in workers:
        return found.target
    spoken = {message.source for message in since_task(messages)}
    return next((name for name in workers if name not in spoken), workers[-1])


def since_task(messages: Sequence[Message]) -> Sequence[Message]:
    """What was said after the user's last message."""
    start = max((at for at, message in enumerate(messages) if message.source == USER), default=-1)
    return messages[start + 1 :]


def conclusion(messages: Sequence[Message]) -> str:
    """The conversation's result: the decision's text, or else the last thing that anybody said."""
    found = stopped_by(messages)
    if found and found.text:
        return found.text
    said = [message for message in since_task(messages) if message.source not in (SUPERVISOR, HUMAN)]
    spoken = said or [message for message in since_task(messages) if message.source != HUMAN]
    return spoken[-1].content if spoken else ""
