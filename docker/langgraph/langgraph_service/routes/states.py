"""A thread's state: now, at a checkpoint, over time; and changing it by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import Query
from langgraph.errors import InvalidUpdateError
from langgraph.types import StateSnapshot
from langgraph.types import StateUpdate as Write
from starlette.responses import Response

from langgraph_service import encode, shapes
from langgraph_service.encode import Json
from langgraph_service.errors import BadRequest, Conflict, Invalid, NotFound
from langgraph_service.routes.access import Opened, Running, ThreadId
from langgraph_service.routes.strict import strict_router
from langgraph_service.schemas import History, StateAt, StateUpdate
from langgraph_service.state import State, thread_config

router = strict_router()

_EMPTY = StateSnapshot({}, (), {"configurable": {}}, None, None, None, (), ())


async def apply(
    state: State,
    thread_id: str,
    graph: str,
    steps: Sequence[Sequence[tuple[Any, str | None]]],
    checkpoint: Mapping[str, Any] | None = None,
) -> Mapping[str, Any]:
    """Write to a thread as if nodes of `graph` had; the config of the checkpoint that results."""
    config = thread_config(thread_id, checkpoint)
    config["metadata"] = {"graph_id": graph}
    writes = [[Write(values, as_node) for values, as_node in step] for step in steps]
    try:
        made = await state.graphs.loaded[graph].abulk_update_state(config, writes)
    except (InvalidUpdateError, ValueError, KeyError, TypeError) as error:
        raise BadRequest(f"{type(error).__name__}: {error}") from error
    await state.refresh(thread_id)
    return made


async def _snapshot(
    state: State, thread_id: str, checkpoint: Mapping[str, Any] | None, *, subgraphs: bool
) -> dict[str, Any]:
    thread = await state.threads.get(thread_id)
    graph = state.graph_of(thread)
    if graph is None:
        return encode.snapshot(_EMPTY)
    try:
        found = await graph.aget_state(thread_config(thread_id, checkpoint), subgraphs=subgraphs)
    except ValueError as error:
        raise NotFound(str(error)) from error
    if checkpoint and checkpoint.get("checkpoint_id") and found.created_at is None:
        raise NotFound(f"Checkpoint {checkpoint['checkpoint_id']} of thread {thread_id} not found")
    return encode.snapshot(found if found.created_at else _EMPTY)


@router.get("/threads/{thread_id}/state", response_model=shapes.ThreadState)
async def now(state: Opened, thread_id: ThreadId, *, subgraphs: bool = False) -> Response:
    """The newest state."""
    return Json(await _snapshot(state, thread_id, None, subgraphs=subgraphs))


@router.post("/threads/{thread_id}/state/checkpoint", response_model=shapes.ThreadState)
async def at(state: Opened, thread_id: ThreadId, given: StateAt) -> Response:
    """The state at a checkpoint."""
    return Json(await _snapshot(state, thread_id, given.checkpoint, subgraphs=given.subgraphs))


@router.get("/threads/{thread_id}/state/{checkpoint_id}", response_model=shapes.ThreadState)
async def at_id(state: Opened, thread_id: ThreadId, checkpoint_id: str, *, subgraphs: bool = False) -> Response:
    """The state at a checkpoint, by its id alone."""
    return Json(await _snapshot(state, thread_id, {"checkpoint_id": checkpoint_id}, subgraphs=subgraphs))


@router.post("/threads/{thread_id}/state", response_model=shapes.Written)
async def update(state: Opened, runner: Running, thread_id: ThreadId, given: StateUpdate) -> Response:
    """Write to the state as if a node had."""
    thread = await state.threads.get(thread_id)
    if runner.active(thread_id):
        raise Conflict(f"Thread {thread_id} has a run in flight: write to it when the run is over")
    name = thread["metadata"].get("graph_id")
    if not isinstance(name, str):
        raise BadRequest(f"Thread {thread_id} has no graph yet: run one on it, or create it with metadata.graph_id")
    checkpoint = given.checkpoint or ({"checkpoint_id": given.checkpoint_id} if given.checkpoint_id else None)
    steps = [[(given.values, given.as_node)]]
    made = await apply(state, thread_id, state.graphs.resolve(name), steps, checkpoint)
    shown = encode.checkpoint({"configurable": made["configurable"]}) or {}
    return Json({"checkpoint": shown, "configurable": shown, "checkpoint_id": shown.get("checkpoint_id")})


async def _history(state: State, thread_id: str, given: History) -> Response:
    thread = await state.threads.get(thread_id)
    graph = state.graph_of(thread)
    if graph is None:
        return Json([])
    before = {"checkpoint_id": given.before} if isinstance(given.before, str) else given.before
    found = graph.aget_state_history(
        thread_config(thread_id, given.checkpoint),
        filter=given.metadata,
        before=thread_config(thread_id, before) if before else None,
        limit=given.limit,
    )
    try:
        return Json([encode.snapshot(item) async for item in found])
    except ValueError as error:  # a filter that the checkpoints cannot be searched by, or an unknown subgraph
        raise Invalid(str(error)) from error


@router.post("/threads/{thread_id}/history", response_model=list[shapes.ThreadState])
async def history(state: Opened, thread_id: ThreadId, given: History | None = None) -> Response:
    """The thread's states, newest first."""
    return await _history(state, thread_id, given or History())


@router.get("/threads/{thread_id}/history", response_model=list[shapes.ThreadState])
async def history_page(
    state: Opened,
    thread_id: ThreadId,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1,
    before: str | None = None,
) -> Response:
    """The same, for a client that can only GET."""
    return await _history(state, thread_id, History(limit=limit, before=before))
