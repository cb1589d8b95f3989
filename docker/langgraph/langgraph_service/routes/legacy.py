"""The routes of the project's first servers, with LEGACY_API=true: what is running, sessions, messages, workflows."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import orjson
from fastapi import Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from langgraph_service.database import now
from langgraph_service.encode import Json, dumps
from langgraph_service.errors import NotFound
from langgraph_service.plugins import assistant_id
from langgraph_service.routes.access import Opened, Running
from langgraph_service.routes.runs import launch
from langgraph_service.routes.strict import strict_router
from langgraph_service.routes.system import VERSION
from langgraph_service.schemas import RunCreate

router = strict_router()

# What the first servers answered without a key.
PUBLIC_PATHS = frozenset({"/", "/openapi.json"})
_SESSIONS = uuid.UUID("5f8b0a52-9f0c-5d5e-9a53-7f6c1d0c9b11")


class Message(BaseModel):
    """POST /messages"""

    session_id: str
    sender: str
    recipient: str | None = None
    message: str
    metadata: dict[str, Any] = Field(default_factory=dict)


class AgentState(BaseModel):
    """POST /state"""

    session_id: str
    agent_name: str
    state_data: dict[str, Any]


class Workflow(BaseModel):
    """POST /workflow"""

    workflow_name: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    session_id: str | None = None


def thread_of(session: str) -> str:
    """The thread that belongs to a session, or to a thread id that is not a UUID."""
    try:
        return str(uuid.UUID(session))
    except ValueError:
        return str(uuid.uuid5(_SESSIONS, session))


@router.get("/")
async def root(state: Opened, runner: Running) -> Response:
    """What this is; without a key."""
    shown = {"service": "LangGraph REST API", "status": "running", "version": VERSION}
    figures = {
        "active_graphs": len(state.graphs.loaded),
        "active_threads": len({job.thread_id for job in runner.active()}),
    }
    return Json({**shown, "startup_time": state.graphs.at, **figures})


@router.get("/agents")
async def agents(state: Opened) -> Response:
    """The declared graphs."""
    loaded = [{"name": name, "type": "graph", "status": "active"} for name in state.graphs.loaded]
    failed = [
        {"name": name, "type": "graph", "status": "failed", "reason": reason}
        for name, reason in state.graphs.failed.items()
    ]
    return Json({"agents": [{**agent, "assistant_id": assistant_id(agent["name"])} for agent in loaded + failed]})


@router.post("/messages")
async def send(state: Opened, given: Message) -> Response:
    """Leave a message in a session."""
    at = now()
    rows = await state.database.fetch(
        "INSERT INTO messages (session_id, sender, recipient, message, metadata, timestamp) VALUES (?,?,?,?,?,?)"
        " RETURNING id",
        (given.session_id, given.sender, given.recipient, given.message, dumps(given.metadata).decode(), at),
    )
    return Json({"message_id": rows[0]["id"], "status": "sent", "timestamp": at})


@router.get("/messages/{session_id}")
async def messages(state: Opened, session_id: str, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
    """A session's messages, newest first."""
    rows = await state.database.fetch(
        "SELECT id, sender, recipient, message, metadata, timestamp FROM messages WHERE session_id = ?"
        " ORDER BY id DESC LIMIT ?",
        (session_id, limit),
    )
    found = [{**row, "metadata": orjson.loads(row["metadata"])} for row in rows]
    return Json({"session_id": session_id, "messages": found})


@router.post("/state")
async def remember(state: Opened, given: AgentState) -> Response:
    """Record an agent's state in a session."""
    at = now()
    rows = await state.database.fetch(
        "INSERT INTO agent_states (session_id, agent_name, state_data, timestamp) VALUES (?,?,?,?) RETURNING id",
        (given.session_id, given.agent_name, dumps(given.state_data).decode(), at),
    )
    return Json({"state_id": rows[0]["id"], "status": "updated", "timestamp": at})


@router.get("/state/{session_id}/{agent_name}")
async def recall(state: Opened, session_id: str, agent_name: str) -> Response:
    """An agent's newest state in a session."""
    rows = await state.database.fetch(
        "SELECT state_data, timestamp FROM agent_states WHERE session_id = ? AND agent_name = ?"
        " ORDER BY id DESC LIMIT 1",
        (session_id, agent_name),
    )
    if not rows:
        raise NotFound("State not found")
    shown = {"state": orjson.loads(rows[0]["state_data"]), "timestamp": rows[0]["timestamp"]}
    return Json({"session_id": session_id, "agent_name": agent_name, **shown})


@router.post("/workflow")
async def workflow(state: Opened, runner: Running, given: Workflow) -> Response:
    """Run a graph with the parameters as its input, on the session's thread."""
    session = given.session_id or f"session_{uuid.uuid4().hex}"
    thread_id = thread_of(session)
    wanted = RunCreate(assistant_id=given.workflow_name, input=given.parameters, if_not_exists="create")
    job = await launch(state, runner, wanted, thread_id)
    started = {"workflow": given.workflow_name, "session_id": session, "status": "started"}
    return Json({**started, "thread_id": thread_id, "run_id": job.run_id})
