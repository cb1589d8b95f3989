"""The HTTP interface: routes, what they accept, and which refusal gets which status."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Query, Request, Response, Security, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyHeader, HTTPBearer
from sse_starlette import EventSourceResponse
from ucservice import web

from groupchat_service import schemas, streams
from groupchat_service.desk import Desk
from groupchat_service.providers import ProviderUnavailable
from groupchat_service.roles import LEADER
from groupchat_service.roster import Roster
from groupchat_service.schemas import AgentMessage, ChatRequest, EventId, FollowUp, Seq, answers, refusals
from groupchat_service.store import Session, Status
from groupchat_service.team import TeamError, TeamSpec

_SHORT_TASK = 200
# Which header the token came in is TokenAuth's matter; these two put both into the OpenAPI document.
_BEARER, _KEY = HTTPBearer(auto_error=False), APIKeyHeader(name="x-api-key", auto_error=False)
router = APIRouter(dependencies=[Security(_BEARER), Security(_KEY)])
sockets = APIRouter()


def desk_of(request: Request | WebSocket) -> Desk:
    """The application's desk."""
    desk: Desk = request.app.state.desk
    return desk


def roster_of(request: Request) -> Roster:
    """The application's roster."""
    roster: Roster = request.app.state.roster
    return roster


def _spec(body: ChatRequest, roster: Roster) -> TeamSpec:
    """The team that a request asks for; who names nobody gets the default team, with rounds enough for all of it."""
    given = body.model_fields_set
    try:
        agents = roster.team(body.agents if "agents" in given else roster.default)
    except ValueError as error:
        problem = {"loc": ("body", "agents"), "msg": f"Value error, {error}", "type": "value_error"}
        raise RequestValidationError([problem]) from error
    rounds = max(schemas.DEFAULT_ROUNDS, 2 * len(agents) + 4)
    return TeamSpec(agents=agents, max_rounds=body.max_rounds if "max_rounds" in given else rounds, stream=body.stream)


_RUNS: schemas.Responses = {
    200: {"model": schemas.View, "description": "With `wait`: the chat has stopped"},
    202: {"model": schemas.Accepted | schemas.View, "description": "The chat goes on; Location says where"},
}


@router.post("/groupchat", responses=_RUNS | refusals(409, 413, 503))
async def open_chat(body: ChatRequest, request: Request) -> Response:
    """Start a chat; with `wait` answer when it has stopped."""
    desk = desk_of(request)
    spec = _spec(body, roster_of(request))
    try:
        request.app.state.providers.choose()
    except ProviderUnavailable as error:
        raise HTTPException(503, str(error)) from error
    session = await desk.open(body.task, spec, body.session_id)
    return await _answer(desk, session, wait=body.wait)


@router.get("/groupchat/{session_id}", responses=answers(schemas.View, 404))
async def show_chat(session_id: str, request: Request) -> Response:
    """The session with all its messages."""
    desk = desk_of(request)
    return JSONResponse(await view(desk, await desk.session(session_id)))


@router.delete("/groupchat/{session_id}", responses=answers(schemas.Deleted, 404))
async def delete_chat(session_id: str, request: Request) -> dict[str, str]:
    """Stop the chat if it runs, and forget it."""
    await desk_of(request).delete(session_id)
    return {"session_id": session_id, "status": "deleted"}


@router.post("/groupchat/{session_id}/messages", responses=_RUNS | refusals(404, 409, 413, 503))
async def say(session_id: str, body: FollowUp, request: Request) -> Response:
    """A follow-up, or the answer to the supervisor's question; 409 while the chat runs."""
    desk = desk_of(request)
    session = await desk.say(session_id, body.content)
    return await _answer(desk, session, wait=body.wait)


@router.post("/groupchat/{session_id}/cancel", responses=answers(schemas.View, 404, 409))
async def cancel(session_id: str, request: Request) -> Response:
    """Stop the chat now; 409 when it is not running."""
    desk = desk_of(request)
    return JSONResponse(await view(desk, await desk.cancel(session_id)))


_STREAM: schemas.Responses = {
    200: {"content": {"text/event-stream": {}}},
    204: {"description": "Nothing will come"},
}


@router.get("/groupchat/{session_id}/events", responses=_STREAM | refusals(404), response_class=EventSourceResponse)
async def events(
    session_id: str,
    request: Request,
    *,
    after: Annotated[Seq, Query()] = 0,
    follow: bool = False,
    last_event_id: Annotated[EventId, Header()] = "",
) -> Response:
    """The event log as SSE, from Last-Event-ID or `after`; it ends when the run has stopped, unless `follow` is set."""
    desk = desk_of(request)
    session = await desk.session(session_id)
    if last_event_id:
        after = int(last_event_id)
    if session.status != "running" and not follow and not (await desk.store.events(session_id, after=after))[1]:
        return Response(status_code=204)  # tells an EventSource to stop reconnecting: nothing will come
    items = streams.follow(desk, session_id, after=after, forever=follow)
    # The stream ends by itself when the service closes; else sse-starlette cuts it within half a second.
    grace = web.GRACE_SECONDS
    return EventSourceResponse(streams.sse(items), sep="\r\n", ping=15, shutdown_grace_period=grace)


@sockets.websocket("/groupchat/{session_id}/ws")
async def socket(socket: WebSocket, session_id: str, *, after: Seq = 0, follow: bool = False) -> None:
    """The event log as JSON messages, from `after`."""
    await streams.websocket(desk_of(socket), socket, session_id, after=after, forever=follow)


@router.get("/sessions", responses=answers(schemas.Sessions))
async def sessions(
    request: Request, status: Status | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> dict[str, Any]:
    """The newest sessions, without their messages."""
    found, total = await desk_of(request).store.sessions(status=status, limit=limit)
    return {"sessions": [_summary(session) for session in found], "total": total}


@router.get("/agents", responses=answers(schemas.Agents))
async def agents(request: Request) -> dict[str, Any]:
    """Who can be in a team."""
    roster = roster_of(request)
    return {"agents": roster.catalogue(), "default": list(roster.default)}


@router.post("/agent/message", responses=answers(schemas.Answered, 404, 413, 502, 503, 504))
async def agent_message(body: AgentMessage, request: Request) -> dict[str, Any]:
    """Let one agent answer one message; nothing is stored."""
    names = (LEADER.name, *roster_of(request).workers)
    if body.agent not in names:
        raise HTTPException(404, f"unknown agent {body.agent[:80]!a}; known are {', '.join(names)}")
    try:
        turn = await desk_of(request).ask(body.agent, body.content)
    except ProviderUnavailable as error:
        raise HTTPException(503, str(error)) from error
    except TeamError as error:
        raise HTTPException(502, str(error)) from error
    except TimeoutError as error:
        raise HTTPException(504, "the agent took too long") from error
    messages = [message.as_dict() for message in turn.messages]
    return {"status": "answered", "agent": body.agent, "content": messages[-1]["content"], "messages": messages}


async def _answer(desk: Desk, session: Session, *, wait: bool) -> Response:
    if wait:
        session = await desk.wait(session.id)
    headers = {"Location": f"/groupchat/{session.id}"}
    if session.status == "running":
        return JSONResponse({"session_id": session.id, "status": "running"}, 202, headers)
    return JSONResponse(await view(desk, session), 200 if wait else 202, headers)


async def view(desk: Desk, session: Session) -> dict[str, Any]:
    """The session with all its messages, as the API shows it."""
    messages, last = await desk.store.history(session.id)
    return {
        **_summary(session),
        "task": session.task,
        "max_rounds": session.spec.max_rounds,
        "model": session.model,
        "messages": [message.as_dict() for message in messages],
        "result": session.result,
        "stop_reason": session.stop_reason,
        "error": session.error,
        "last_seq": last,
        "request_id": session.request_id,
    }


def _summary(session: Session) -> dict[str, Any]:
    return {
        "session_id": session.id,
        "status": session.status,
        "task": session.task[:_SHORT_TASK],
        "agents": list(session.spec.agents),
        "created_at": _time(session.created_at),
        "updated_at": _time(session.updated_at),
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
