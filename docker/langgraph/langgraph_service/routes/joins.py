"""Runs that were started: find, join, cancel and forget them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Header, Query
from starlette.responses import Response

from langgraph_service import runs, shapes
from langgraph_service.encode import Json
from langgraph_service.errors import Invalid, NotFound
from langgraph_service.fields import Metadata, Offset, RunField
from langgraph_service.openapi import EVENTS
from langgraph_service.routes.access import Opened, RunId, Running, ThreadId
from langgraph_service.routes.answers import Values, events, location
from langgraph_service.routes.strict import strict_router
from langgraph_service.runner import Runner
from langgraph_service.schemas import RunsCancel
from langgraph_service.state import State

router = strict_router()

Modes = Annotated[list[str] | None, Query()]
Action = Literal["interrupt", "rollback"]
GONE = (
    "No matching runs to cancel. Please verify the thread ID and run IDs are correct, "
    "and the runs haven't been deleted or completed."
)


async def joined(state: State, runner: Runner, run_id: str, thread_id: str | None) -> Response:
    """The values of a run when it is over: from the run in motion, or from what it left in its thread."""
    if (job := runner.job(run_id)) and thread_id in {None, job.thread_id}:
        return Values(runner, job)
    run = await state.runs.get(run_id, thread_id)
    thread = await state.threads.get(run["thread_id"])
    if run["status"] in {"error", "timeout"} and thread["error"]:
        return Json({"__error__": thread["error"]})
    waiting = [item for items in thread["interrupts"].values() for item in items]
    return Json({**(thread["values"] or {}), "__interrupt__": waiting} if waiting else thread["values"])


@router.post("/runs/cancel", status_code=204)
async def cancel_many(runner: Running, given: RunsCancel, action: Action = "interrupt") -> Response:
    """Cancel runs of a thread by their ids, or the runs of every thread by status."""
    if given.status is None and not (given.thread_id and given.run_ids):
        raise Invalid("name the runs by thread_id and run_ids, or by status")
    if given.status is not None and (given.thread_id or given.run_ids):
        raise Invalid("status is for the runs of every thread: name no thread_id or run_ids beside it")
    chosen = [
        job
        for job in runner.active(given.thread_id)
        if (not given.run_ids or job.run_id in given.run_ids) and given.status in {None, "all", job.status}
    ]
    if not chosen:
        raise NotFound(GONE)
    await runner.cancel(chosen, action, f"{action} requested via POST /runs/cancel")
    return Response(status_code=204)


@router.get("/threads/{thread_id}/runs", response_model=list[shapes.Run] | list[Metadata])
async def page(
    state: Opened,
    thread_id: ThreadId,
    limit: Annotated[int, Query(ge=1, le=1000)] = 10,
    offset: Offset = 0,
    status: str | None = None,
    select: Annotated[list[RunField] | None, Query()] = None,
) -> Response:
    """A thread's runs, newest first; `select` leaves all but these fields out."""
    await state.threads.get(thread_id)
    found = await state.runs.of_thread(thread_id, limit=limit, offset=offset, status=status)
    return Json([runs.shown(run, select) for run in found])


@router.get("/threads/{thread_id}/runs/{run_id}", response_model=shapes.Run)
async def get(state: Opened, thread_id: ThreadId, run_id: RunId) -> Response:
    """One run."""
    return Json(runs.shown(await state.runs.get(run_id, thread_id)))


@router.get("/runs/{run_id}", response_model=shapes.Run)
async def get_stateless(state: Opened, run_id: RunId) -> Response:
    """One run, by its id alone."""
    return Json(runs.shown(await state.runs.get(run_id)))


@router.get("/threads/{thread_id}/runs/{run_id}/join")
async def join(state: Opened, runner: Running, thread_id: ThreadId, run_id: RunId) -> Response:
    """The last values of a run, when it is over."""
    return await joined(state, runner, run_id, thread_id)


@router.get("/runs/{run_id}/join")
async def join_stateless(state: Opened, runner: Running, run_id: RunId) -> Response:
    """The same for a run without a thread."""
    return await joined(state, runner, run_id, None)


async def _rejoined(
    state: State,
    runner: Runner,
    run_id: str,
    thread_id: str | None,
    *,
    modes: list[str] | None = None,
    after: str | None = None,
    cancel: bool = False,
) -> Response:
    job = runner.job(run_id)
    if job is None or thread_id not in {None, job.thread_id}:
        job = runner.ended(await state.runs.get(run_id, thread_id))
    # A client without a wish sends an empty one.
    wanted = frozenset("messages" if mode == "messages-tuple" else mode for mode in modes or () if mode)
    reader = job.log.reader(after)
    return events(runner, job, reader, modes=wanted or None, headers=location(job, "stream"), cancel=cancel)


@router.get("/threads/{thread_id}/runs/{run_id}/stream", response_class=Response, responses=EVENTS)
async def join_stream(
    state: Opened,
    runner: Running,
    thread_id: ThreadId,
    run_id: RunId,
    *,
    stream_mode: Modes = None,
    cancel_on_disconnect: bool = False,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """The events of a run from now on; of a resumable one, those after Last-Event-ID."""
    return await _rejoined(
        state, runner, run_id, thread_id, modes=stream_mode, after=last_event_id, cancel=cancel_on_disconnect
    )


@router.get("/runs/{run_id}/stream", response_class=Response, responses=EVENTS)
async def join_stream_stateless(
    state: Opened, runner: Running, run_id: RunId, last_event_id: Annotated[str | None, Header()] = None
) -> Response:
    """The same for a run without a thread."""
    return await _rejoined(state, runner, run_id, None, after=last_event_id)


@router.post("/threads/{thread_id}/runs/{run_id}/cancel", responses={202: {"description": "It will be cancelled"}})
async def cancel(
    runner: Running, thread_id: ThreadId, run_id: RunId, *, wait: bool = False, action: Action = "interrupt"
) -> Response:
    """Cancel a run; with `wait` the answer comes when it has let go."""
    job = runner.job(run_id)
    if job is None or job.done.is_set() or job.thread_id != thread_id:
        raise NotFound(GONE)
    await runner.cancel([job], action)
    if not wait:
        return Response(status_code=202)
    await job.done.wait()
    return Json({})


@router.delete("/threads/{thread_id}/runs/{run_id}", status_code=204)
async def delete(state: Opened, runner: Running, thread_id: ThreadId, run_id: RunId) -> Response:
    """Forget a run; one that is not over is cancelled first."""
    if (job := runner.job(run_id)) and not job.done.is_set():
        await runner.cancel([job], "interrupt")
        await job.done.wait()
    await state.runs.get(run_id, thread_id)
    await state.runs.delete([run_id])
    return Response(status_code=204)
