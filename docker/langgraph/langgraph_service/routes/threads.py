"""Threads: create, read, change, find, copy and forget."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from fastapi import Header, Query
from starlette.responses import Response
from uuid_utils.compat import uuid7

from langgraph_service import shapes
from langgraph_service.encode import Json
from langgraph_service.errors import Conflict, Invalid
from langgraph_service.feeds import MODES
from langgraph_service.fields import Metadata
from langgraph_service.openapi import EVENTS
from langgraph_service.routes.access import Opened, Running, ThreadId, checked
from langgraph_service.routes.answers import watching
from langgraph_service.routes.states import apply
from langgraph_service.routes.strict import strict_router
from langgraph_service.runner import Runner
from langgraph_service.schemas import Prune, ThreadCreate, ThreadFilter, ThreadPatch, ThreadSearch
from langgraph_service.state import State

router = strict_router()

_PART = re.compile(r"([^.\[\]]+)|\[(-?\d{1,9})\]")
ThreadMode = Literal["run_modes", "lifecycle", "state_update"]


async def stop_runs(runner: Runner, thread_id: str) -> None:
    """Cancel a thread's runs and wait until they let go."""
    active = runner.active(thread_id)
    await runner.cancel(active, "interrupt")
    for job in active:
        await job.done.wait()


async def _forget(state: State, runner: Runner, thread_id: str) -> None:
    await stop_runs(runner, thread_id)
    await state.delete_thread(thread_id)


async def _replay(state: State, given: ThreadCreate, thread_id: str) -> None:
    name = given.metadata.get("graph_id")
    if not isinstance(name, str):
        raise Invalid("supersteps need metadata.graph_id: the graph they belong to")
    steps = [[(update.values, update.as_node) for update in step.updates] for step in given.supersteps or ()]
    await apply(state, thread_id, state.graphs.resolve(name), steps)


def _at(value: Any, path: str) -> Any:
    """What stands at a path like values.messages[-1].content; None where nothing does."""
    for name, index in _PART.findall(path):
        try:
            value = value[int(index)] if index else value[name]
        except (LookupError, TypeError):
            return None
    return value


def _chosen(given: ThreadSearch, thread: dict[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in thread.items() if not given.select or key in given.select}
    if given.extract:
        shown["extracted"] = {alias: _at(thread, path) for alias, path in given.extract.items()}
    return shown


@router.post("/threads", response_model=shapes.Thread)
async def create(state: Opened, given: ThreadCreate | None = None) -> Response:
    """A new thread, or the existing one if that is what the request asks for."""
    given = given or ThreadCreate()
    thread, made = await state.threads.create(given.thread_id, given.metadata, existing=given.if_exists, ttl=given.ttl)
    if made and given.supersteps:
        await _replay(state, given, thread["thread_id"])
        thread = await state.threads.get(thread["thread_id"])
    return Json(thread)


@router.post("/threads/search", response_model=list[shapes.Thread] | list[Metadata])
async def search(state: Opened, given: ThreadSearch) -> Response:
    """A page of threads; X-Pagination-Total counts them all, X-Pagination-Next is the next offset."""
    for thread_id in given.ids or ():
        checked(thread_id, "thread")
    found: list[dict[str, Any]] = await state.threads.search(given)
    total = await state.threads.count(given)
    headers = {"x-pagination-total": str(total)}
    if given.offset + len(found) < total:
        headers["x-pagination-next"] = str(given.offset + len(found))
    return Json([_chosen(given, item) for item in found], headers=headers)


@router.post("/threads/count", response_model=int)
async def count(state: Opened, given: ThreadFilter) -> Response:
    """How many threads match."""
    return Json(await state.threads.count(given))


@router.post("/threads/prune", response_model=shapes.Pruned)
async def prune(state: Opened, runner: Running, given: Prune) -> Response:
    """Forget threads, or all but their newest state. Threads that do not exist are passed over."""
    pruned = 0
    for thread_id in given.thread_ids:
        if await state.threads.find(thread_id) is None:
            continue
        if given.strategy == "delete":
            await _forget(state, runner, thread_id)
        else:
            await state.checkpoints.keep_latest(thread_id)
        pruned += 1
    return Json({"pruned_count": pruned})


@router.get("/threads/{thread_id}", response_model=shapes.Thread)
async def get(state: Opened, thread_id: ThreadId) -> Response:
    """One thread."""
    return Json(await state.threads.get(thread_id))


@router.patch(
    "/threads/{thread_id}",
    response_model=shapes.Thread,
    responses={204: {"description": "Changed; Prefer: return=minimal"}},
)
async def patch(
    state: Opened, thread_id: ThreadId, given: ThreadPatch, prefer: str | None = Header(default=None)
) -> Response:
    """Merge metadata into a thread's own."""
    thread = await state.threads.merge(thread_id, given.metadata, ttl=given.ttl)
    return Response(status_code=204) if prefer == "return=minimal" else Json(thread)


@router.delete("/threads/{thread_id}", status_code=204)
async def delete(state: Opened, runner: Running, thread_id: ThreadId) -> Response:
    """Forget a thread; its runs are cancelled first."""
    await state.threads.get(thread_id)
    await _forget(state, runner, thread_id)
    return Response(status_code=204)


@router.get("/threads/{thread_id}/stream", response_class=Response, responses=EVENTS)
async def watch(
    state: Opened, runner: Running, thread_id: ThreadId, stream_mode: Annotated[list[ThreadMode] | None, Query()] = None
) -> Response:
    """The events of every run of a thread from now on: all, their begin and end, or the state's changes."""
    await state.threads.get(thread_id)
    chosen = [MODES[mode] for mode in stream_mode or ["run_modes"]]
    modes = None if None in chosen else frozenset(mode for some in chosen for mode in some or ())
    return watching(runner, thread_id, modes)


@router.post("/threads/{thread_id}/copy", response_model=shapes.Thread)
async def copy(state: Opened, runner: Running, thread_id: ThreadId) -> Response:
    """A new thread with the same metadata and the same checkpoints."""
    source = await state.threads.get(thread_id)
    if runner.active(thread_id):
        raise Conflict(f"Thread {thread_id} has a run in flight: copy it when the run is over")
    target = str(uuid7())
    await state.threads.create(target, source["metadata"])
    await state.checkpoints.copy(thread_id, target)
    await state.refresh(target)
    return Json(await state.threads.get(target))
