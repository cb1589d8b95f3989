"""Answers for clients of the old server, when LEGACY_API is on: its keys and its words beside the service's own.

The paths are the same, so each answer has the keys of both. Only `status` can't: it has the old word in these answers,
except for a chat that is opened with `wait` or `stream`, which no old client sends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from importlib.metadata import version
from json import JSONDecodeError
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from groupchat_service import api
from groupchat_service.desk import Desk, Unknown
from groupchat_service.providers import ProviderUnavailable
from groupchat_service.roster import Roster
from groupchat_service.schemas import MAX_ROUNDS, AgentMessage, ChatRequest, SessionId, Text
from groupchat_service.store import Event, Session, Status
from groupchat_service.team import TeamSpec

PUBLIC_PATHS = frozenset({"/", "/openapi.json"})
_WORDS: dict[Status, str] = {
    "running": "running",
    "input_required": "running",
    "finished": "completed",
    "failed": "error",
    "cancelled": "error",
}
Model = TypeVar("Model", bound=BaseModel)
router = APIRouter(include_in_schema=False)


class OldChatRequest(BaseModel):
    """The old POST /groupchat, which took any name of an agent and any number of rounds; `config` had no effect."""

    task: Text
    agents: list[str]
    max_rounds: int = 16
    session_id: SessionId | None = None


@router.get("/")
async def root() -> dict[str, str]:
    """What the old server said of itself; no token is needed."""
    return {"service": "AutoGen GroupChat API", "version": "1.0.0", "status": "running", "timestamp": _now()}


@router.post("/groupchat")
async def open_chat(request: Request) -> Any:
    """Start a chat: 200 at once, with the old keys. Names that nobody has are passed over."""
    try:
        content = await request.json()
    except (JSONDecodeError, UnicodeDecodeError) as error:
        problem = {"loc": ("body",), "msg": "JSON decode error", "type": "json_invalid"}
        raise RequestValidationError([problem]) from error
    if isinstance(content, dict) and content.keys() & {"wait", "stream"}:
        return await api.open_chat(_parsed(ChatRequest, content), request)
    body = _parsed(OldChatRequest, content)
    try:
        request.app.state.providers.choose()
    except ProviderUnavailable as error:
        raise HTTPException(503, str(error)) from error
    spec = TeamSpec(
        agents=_team(api.roster_of(request), body.agents), max_rounds=min(max(body.max_rounds, 1), MAX_ROUNDS)
    )
    session = await api.desk_of(request).open(body.task, spec, body.session_id)
    asked = {"task": body.task, "agents": body.agents, "max_rounds": body.max_rounds}
    return {"session_id": session.id, "status": "started", "messages": [], "metadata": asked}


@router.get("/groupchat/{session_id}")
async def show_chat(session_id: str, request: Request) -> dict[str, Any]:
    """The session with `metadata`, and each message with `agent` and `timestamp` too."""
    desk = api.desk_of(request)
    session = await _session(desk, session_id)
    view = await api.view(desk, session)
    said = [event async for event in _messages(desk, session_id)]
    messages = [
        {**message, "agent": message["source"], "timestamp": _time(event.at)}
        for message, event in zip(view["messages"], said, strict=False)
    ]
    metadata = {"created_at": view["created_at"], "task": view["task"], "agents": view["agents"]}
    return {**view, "status": _WORDS[session.status], "messages": messages, "metadata": metadata}


@router.delete("/groupchat/{session_id}")
async def delete_chat(session_id: str, request: Request) -> dict[str, str]:
    """Stop the chat and forget it."""
    desk = api.desk_of(request)
    await _session(desk, session_id)
    await desk.delete(session_id)
    return {"session_id": session_id, "status": "deleted", "message": f"Session {session_id} deleted"}


@router.get("/sessions")
async def sessions(
    request: Request, status: Status | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> dict[str, Any]:
    """The newest sessions, each with `id` too."""
    listed = await api.sessions(request, status, limit)
    for one in listed["sessions"]:
        one |= {"id": one["session_id"], "status": _WORDS[one["status"]]}
    return listed


@router.get("/agents")
async def agents(request: Request) -> dict[str, Any]:
    """The agents, each with its tools as `capabilities` too."""
    listed = await api.agents(request)
    for one in listed["agents"]:
        one["capabilities"] = one["tools"]
    return listed


@router.post("/agent/message")
async def agent_message(body: AgentMessage, request: Request) -> dict[str, Any]:
    """An agent's answer; a name that nobody has gets its message back, as the old server did with every one."""
    if body.agent not in (*api.roster_of(request).workers, "supervisor"):
        return {"status": "received", "agent": body.agent, "content": body.content, "timestamp": _now()}
    return {**await api.agent_message(body, request), "timestamp": _now()}


async def health_keys(desk: Desk) -> dict[str, Any]:
    """What the old /health had beside `status`."""
    _, total = await desk.store.sessions(status=None, limit=1)
    return {"autogen_version": version("autogen-agentchat"), "active_sessions": total, "timestamp": _now()}


def _parsed(model: type[Model], content: object) -> Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(problems) from error


def _team(roster: Roster, names: list[str]) -> tuple[str, ...]:
    known = [name for name in names if name in roster.members]
    return roster.team(known) if set(known) & set(roster.workers) else roster.default


async def _session(desk: Desk, session_id: str) -> Session:
    try:
        return await desk.session(session_id)
    except Unknown as error:
        raise HTTPException(404, f"Session {session_id} not found") from error


async def _messages(desk: Desk, session_id: str) -> AsyncIterator[Event]:
    after, more = 0, True
    while more:
        _, events, more = await desk.store.events(session_id, after=after)
        for event in events:
            if event.kind == "message":
                yield event
        after = events[-1].seq if events else after


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _now() -> str:
    return datetime.now(UTC).isoformat()
