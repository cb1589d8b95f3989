"""What the API takes and what it answers: checked on the way in, described in its OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from groupchat_service.roles import DEFAULT_TEAM, MEMBERS, WORKERS
from groupchat_service.store import Status
from groupchat_service.team import SUPERVISOR, MessageType

MAX_TEXT = 200_000
MAX_SEQ = 2**63 - 1
_ID = r"^[A-Za-z0-9._-]{1,128}$"


def _whole(value: object) -> object:
    """In JSON 16.0 is an integer like 16; Python's parser tells them apart."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT),
    Field(json_schema_extra={"pattern": r"\S"}),
]
SessionId = Annotated[str, StringConstraints(pattern=_ID)]
Seq = Annotated[int, Field(ge=0, le=MAX_SEQ)]
EventId = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,15}$")]


def member_names(members: Iterable[str], workers: Iterable[str]) -> dict[str, Any]:
    """What the OpenAPI document says of a team's names; with declared roles there are more than the service's own."""
    return {"items": {"type": "string", "enum": [*members, SUPERVISOR]}, "contains": {"enum": list(workers)}}


DEFAULT_ROUNDS, MAX_ROUNDS = 16, 64


class _Request(BaseModel):
    # A string for a number is a client's mistake, and better told than guessed at.
    model_config = ConfigDict(strict=True)


class ChatRequest(_Request):
    """POST /groupchat."""

    task: Text
    agents: Annotated[
        list[str], Field(min_length=1, max_length=16, json_schema_extra=member_names(MEMBERS, WORKERS))
    ] = list(DEFAULT_TEAM)
    max_rounds: Annotated[int, Field(ge=1, le=MAX_ROUNDS), BeforeValidator(_whole)] = DEFAULT_ROUNDS
    session_id: SessionId | None = None
    wait: bool = False
    stream: bool = False


class FollowUp(_Request):
    """POST /groupchat/{id}/messages."""

    content: Text
    wait: bool = False


class AgentMessage(_Request):
    """POST /agent/message."""

    agent: str
    content: Text


class Call(BaseModel):
    """A tool that an agent ran; `arguments` is JSON."""

    id: str
    name: str
    arguments: str


class Outcome(BaseModel):
    """What the tool gave back."""

    id: str
    name: str
    content: str
    is_error: bool


class Said(BaseModel):
    """One entry of a conversation."""

    source: str
    content: str
    type: MessageType
    calls: list[Call] = []
    results: list[Outcome] = []


class Summary(BaseModel):
    """A session in a list; `task` is cut."""

    session_id: str
    status: Status
    task: str
    agents: list[str]
    created_at: str
    updated_at: str


class View(Summary):
    """A session with all its messages; `request_id` is the request that started its latest run."""

    max_rounds: int
    model: str
    messages: list[Said]
    result: str | None
    stop_reason: str | None
    error: str | None
    last_seq: int
    request_id: str


class Accepted(BaseModel):
    """A chat that goes on; Location says where its result will be."""

    session_id: str
    status: Literal["running"]


class Deleted(BaseModel):
    """A session that is gone."""

    session_id: str
    status: Literal["deleted"]


class Sessions(BaseModel):
    """The newest sessions, and how many there are in all."""

    sessions: list[Summary]
    total: int


class Agent(BaseModel):
    """One who can be in a team."""

    name: str
    type: Literal["supervisor", "worker", "human"]
    description: str
    tools: list[str]


class Agents(BaseModel):
    """All who can be in a team, and who is when nobody is named."""

    agents: list[Agent]
    default: list[str]


class Answered(BaseModel):
    """One agent's answer."""

    status: Literal["answered"]
    agent: str
    content: str
    messages: list[Said]


class Entry(BaseModel):
    """Something that the service or the agents folder declares."""

    kind: Literal["role", "tool"]
    name: str
    state: Literal["ready", "failed"]
    reason: str
    critical: bool


class Probe(BaseModel):
    """Each local dependency with `ok` or a reason; /health lists every role and tool too."""

    status: Literal["healthy", "unhealthy", "ready", "not ready"]
    checks: dict[str, str]
    inventory: list[Entry] = []
    reason: str = ""
    detail: str = ""


class Problem(BaseModel):
    """One thing that is wrong in a request, and where."""

    loc: list[str | int]
    msg: str
    type: str


class Refusal(BaseModel):
    """Why a request was refused."""

    detail: str | list[Problem]
    error: str = ""


Responses = dict[int | str, dict[str, Any]]


# The names of RFC 9110: FastAPI would take those of the Python it runs on, and they changed.
_NAMES = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    409: "Conflict",
    413: "Content Too Large",
    422: "Unprocessable Content",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


def refusals(*statuses: int) -> Responses:
    """What a route documents beside its answer; every route can refuse a token and a malformed request."""
    return {status: {"model": Refusal, "description": _NAMES[status]} for status in (400, 401, 422, *statuses)}


def answers(model: type[BaseModel], *statuses: int) -> Responses:
    """One kind of answer, and the refusals beside it."""
    return {200: {"model": model}, **refusals(*statuses)}
