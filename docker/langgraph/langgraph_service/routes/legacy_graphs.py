"""The first server's graphs and threads, with LEGACY_API=true: execute a graph, answer its question, list what ran."""

from __future__ import annotations

import uuid
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import Response

from langgraph_service.database import now
from langgraph_service.encode import Json
from langgraph_service.errors import BadRequest, NotFound
from langgraph_service.routes.access import Opened, Running
from langgraph_service.routes.legacy import thread_of
from langgraph_service.routes.runs import launch
from langgraph_service.routes.strict import strict_router
from langgraph_service.runner import Runner
from langgraph_service.schemas import CommandBody, RunCreate, ThreadSearch
from langgraph_service.state import State, thread_config

router = strict_router()

_STATUS = {"idle": "completed", "busy": "running", "interrupted": "interrupted", "error": "error"}


class Execution(BaseModel):
    """POST /graphs/{graph}/execute"""

    initial_state: dict[str, Any] = Field(default_factory=dict)
    thread_id: str | None = None
    interrupt_points: list[str] = Field(default_factory=list)


class Resumption(BaseModel):
    """POST /graphs/{graph}/resume"""

    thread_id: str
    resume_value: Any


def _loaded(state: State, graph: str) -> str:
    if graph not in state.graphs.loaded:
        reason = state.graphs.failed.get(graph)
        raise NotFound(f"Graph {graph} failed to load: {reason}" if reason else f"Graph {graph} not found")
    return graph


def _info(state: State) -> dict[str, Any]:
    return {"type": "declared", "created_at": state.graphs.at, "config": {}}


@router.get("/graphs")
async def graphs(state: Opened) -> Response:
    """The declared graphs that loaded."""
    shown = {name: _info(state) for name in state.graphs.loaded}
    return Json({"graphs": shown, "total": len(shown), "timestamp": now()})


@router.get("/graphs/{graph}")
async def graph_info(state: Opened, graph: str) -> Response:
    """One graph."""
    return Json({"graph_id": _loaded(state, graph), **_info(state), "status": "active", "timestamp": now()})


async def _answer(state: State, runner: Runner, graph: str, thread: str, given: RunCreate) -> Response:
    """Run to the end or to a question, and answer in the first server's words."""
    job = await launch(state, runner, given, thread_of(thread))
    await job.done.wait()
    shown = {"graph_id": graph, "thread_id": thread, "timestamp": now()}
    if job.error:
        return Json({"detail": job.error["message"]}, status_code=500)
    snapshot = await state.graphs.loaded[graph].aget_state(thread_config(thread_of(thread)))
    if not snapshot.next:
        return Json({**shown, "status": "completed", "result": job.values})
    waits = {"next_nodes": list(snapshot.next), "pending_tasks": len(snapshot.tasks)}
    asked = [item.value for item in snapshot.interrupts]
    message = "Graph paused for human input"
    return Json({**shown, "status": "interrupted", "message": message, **waits, "interrupts": asked})


@router.post("/graphs/{graph}/execute")
async def execute(state: Opened, runner: Running, graph: str, given: Execution) -> Response:
    """Run a graph on a thread, and answer when it is over or asks."""
    thread = given.thread_id or str(uuid.uuid4())
    wanted = RunCreate(
        assistant_id=_loaded(state, graph),
        input=given.initial_state,
        if_not_exists="create",
        interrupt_before=given.interrupt_points or None,
    )
    return await _answer(state, runner, graph, thread, wanted)


@router.post("/graphs/{graph}/resume")
async def resume(state: Opened, runner: Running, graph: str, given: Resumption) -> Response:
    """Answer the question that a thread waits for."""
    thread = await state.threads.find(thread_of(given.thread_id))
    if thread is None:
        raise NotFound(f"Thread {given.thread_id} not found")
    if thread["status"] != "interrupted":
        raise BadRequest(f"Thread {given.thread_id} is not interrupted")
    wanted = RunCreate(assistant_id=_loaded(state, graph), command=CommandBody(resume=given.resume_value))
    return await _answer(state, runner, graph, given.thread_id, wanted)


@router.get("/threads")
async def threads(state: Opened) -> Response:
    """The threads that have run a graph, newest first, a thousand at most."""
    rows = await state.threads.search(ThreadSearch(limit=1000, sort_by="updated_at"))
    shown = {
        row["thread_id"]: {
            "graph_id": row["metadata"]["graph_id"],
            "status": _STATUS[row["status"]],
            "last_update": row["updated_at"],
        }
        for row in rows
        if "graph_id" in row["metadata"]
    }
    return Json({"threads": shown, "total": len(shown), "timestamp": now()})
