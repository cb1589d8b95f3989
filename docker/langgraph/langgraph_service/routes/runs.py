"""Runs: start one and wait, stream or walk away; join, cancel and forget it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from starlette.responses import Response
from ucservice import logs
from uuid_utils.compat import uuid7

from langgraph_service import runs
from langgraph_service.encode import Json
from langgraph_service.errors import NotFound
from langgraph_service.job import Job
from langgraph_service.plugins import assistant_id
from langgraph_service.routes.access import Opened, RunId, Running, ThreadId
from langgraph_service.routes.answers import Values, events
from langgraph_service.runner import Runner
from langgraph_service.schemas import RunCreate, RunsCancel
from langgraph_service.state import State

router = APIRouter()

IdempotencyKey = Annotated[str | None, Header(max_length=255)]
Modes = Annotated[list[str] | None, Query()]
Action = Literal["interrupt", "rollback"]
GONE = (
    "No matching runs to cancel. Please verify the thread ID and run IDs are correct, "
    "and the runs haven't been deleted or completed."
)


def _kwargs(given: RunCreate, *, temporary: bool) -> dict[str, Any]:
    checkpoint = {key: value for key, value in (given.checkpoint or {}).items() if not key.startswith("__")}
    if given.checkpoint_id:
        checkpoint["checkpoint_id"] = given.checkpoint_id
    return {
        "input": given.input,
        "command": given.command.model_dump(exclude_unset=True) if given.command else None,
        "config": given.config,
        "context": given.context,
        "stream_mode": given.stream_mode,
        "interrupt_before": given.interrupt_before,
        "interrupt_after": given.interrupt_after,
        "durability": given.durability,
        "subgraphs": given.stream_subgraphs,
        "resumable": given.stream_resumable,
        "temporary": temporary,
        "checkpoint": checkpoint or None,
        "after_seconds": given.after_seconds,
    }


async def launch(
    state: State,
    runner: Runner,
    given: RunCreate,
    thread_id: str | None,
    idempotency_key: str | None = None,
    *,
    protocol: bool = False,
) -> Job:
    """Accept a run: on a thread, or on one that lives only as long as the run."""
    graph = state.graphs.resolve(given.assistant_id)
    temporary = thread_id is None and given.on_completion == "delete"
    if thread_id is not None and await state.threads.find(thread_id) is None:
        if given.if_not_exists != "create":
            raise NotFound("Thread or assistant not found.")
        await state.threads.create(thread_id, {}, existing="do_nothing")
    elif thread_id is not None and (known := await state.runs.with_key(thread_id, idempotency_key)):
        return runner.job(known["run_id"]) or runner.ended(known)
    if thread_id is None and not temporary:
        thread_id = (await state.threads.create(None, {}))[0]["thread_id"]
    assistant = assistant_id(graph)
    run = {
        "run_id": str(uuid7()),
        "thread_id": thread_id or str(uuid7()),
        "assistant_id": assistant,
        "metadata": {"created_by": "system", **given.metadata, "graph_id": graph, "assistant_id": assistant},
        "multitask_strategy": given.multitask_strategy,
        "kwargs": {**_kwargs(given, temporary=temporary), "protocol": protocol},
        "request_id": logs.request_id.get(),
        "idempotency_key": idempotency_key,
    }
    return await runner.submit(run, graph, given.multitask_strategy)


def _location(job: Job, route: str) -> dict[str, str]:
    base = f"/runs/{job.run_id}" if job.temporary else f"/threads/{job.thread_id}/runs/{job.run_id}"
    headers = {"content-location": base}
    return headers if not route else {**headers, "location": f"{base}/{route}"}


async def _waited(state: State, runner: Runner, given: RunCreate, thread_id: str | None, key: str | None) -> Response:
    job = await launch(state, runner, given, thread_id, key)
    if runner.job(job.run_id) is None:
        return await _joined(state, runner, job.run_id, job.thread_id)
    return Values(runner, job, headers=_location(job, "join"), cancel=given.on_disconnect == "cancel")


async def _streamed(state: State, runner: Runner, given: RunCreate, thread_id: str | None, key: str | None) -> Response:
    job = await launch(state, runner, given, thread_id, key)
    cancel = given.on_disconnect == "cancel"
    return events(runner, job, job.log.reader(), headers=_location(job, "stream"), cancel=cancel)


async def _joined(state: State, runner: Runner, run_id: str, thread_id: str | None) -> Response:
    if (job := runner.job(run_id)) and thread_id in {None, job.thread_id}:
        return Values(runner, job)
    run = await state.runs.get(run_id, thread_id)
    thread = await state.threads.get(run["thread_id"])
    if run["status"] == "error" and thread["error"]:
        return Json({"__error__": thread["error"]})
    waiting = [item for items in thread["interrupts"].values() for item in items]
    return Json({**(thread["values"] or {}), "__interrupt__": waiting} if waiting else thread["values"])


@router.post("/threads/{thread_id}/runs")
async def create(
    state: Opened, runner: Running, thread_id: ThreadId, given: RunCreate, idempotency_key: IdempotencyKey = None
) -> Response:
    """Start a run and answer at once."""
    job = await launch(state, runner, given, thread_id, idempotency_key)
    return Json(runs.shown(job.run), headers=_location(job, ""))


@router.post("/threads/{thread_id}/runs/wait")
async def wait(
    state: Opened, runner: Running, thread_id: ThreadId, given: RunCreate, idempotency_key: IdempotencyKey = None
) -> Response:
    """Start a run and answer with its last values."""
    return await _waited(state, runner, given, thread_id, idempotency_key)


@router.post("/threads/{thread_id}/runs/stream")
async def stream(
    state: Opened, runner: Running, thread_id: ThreadId, given: RunCreate, idempotency_key: IdempotencyKey = None
) -> Response:
    """Start a run and answer with its events."""
    return await _streamed(state, runner, given, thread_id, idempotency_key)


@router.post("/runs")
async def create_stateless(state: Opened, runner: Running, given: RunCreate) -> Response:
    """Start a run without a thread and answer at once."""
    job = await launch(state, runner, given, None)
    return Json(runs.shown(job.run), headers=_location(job, ""))


@router.post("/runs/wait")
async def wait_stateless(state: Opened, runner: Running, given: RunCreate) -> Response:
    """Start a run without a thread and answer with its last values."""
    return await _waited(state, runner, given, None, None)


@router.post("/runs/stream")
async def stream_stateless(state: Opened, runner: Running, given: RunCreate) -> Response:
    """Start a run without a thread and answer with its events."""
    return await _streamed(state, runner, given, None, None)


@router.post("/runs/batch")
async def batch(state: Opened, runner: Running, given: list[RunCreate]) -> Response:
    """Start several runs without threads."""
    return Json([runs.shown((await launch(state, runner, one, None)).run) for one in given])


@router.post("/runs/cancel")
async def cancel_many(runner: Running, given: RunsCancel, action: Action = "interrupt") -> Response:
    """Cancel runs by thread and ids, or by status."""
    if not given.run_ids and not given.status:
        raise NotFound(GONE)
    chosen = [
        job
        for job in runner.active(given.thread_id)
        if (not given.run_ids or job.run_id in given.run_ids) and given.status in {None, "all", job.status}
    ]
    if not chosen:
        raise NotFound(GONE)
    await runner.cancel(chosen, action)
    return Response(status_code=204)


@router.get("/threads/{thread_id}/runs")
async def page(
    state: Opened,
    thread_id: ThreadId,
    limit: Annotated[int, Query(ge=1, le=1000)] = 10,
    offset: Annotated[int, Query(ge=0)] = 0,
    status: str | None = None,
) -> Response:
    """A thread's runs, newest first."""
    await state.threads.get(thread_id)
    found = await state.runs.of_thread(thread_id, limit=limit, offset=offset, status=status)
    return Json([runs.shown(run) for run in found])


@router.get("/threads/{thread_id}/runs/{run_id}")
async def get(state: Opened, thread_id: ThreadId, run_id: RunId) -> Response:
    """One run."""
    return Json(runs.shown(await state.runs.get(run_id, thread_id)))


@router.get("/runs/{run_id}")
async def get_stateless(state: Opened, run_id: RunId) -> Response:
    """One run, by its id alone."""
    return Json(runs.shown(await state.runs.get(run_id)))


@router.get("/threads/{thread_id}/runs/{run_id}/join")
async def join(state: Opened, runner: Running, thread_id: ThreadId, run_id: RunId) -> Response:
    """The last values of a run, when it is over."""
    return await _joined(state, runner, run_id, thread_id)


@router.get("/runs/{run_id}/join")
async def join_stateless(state: Opened, runner: Running, run_id: RunId) -> Response:
    """The same for a run without a thread."""
    return await _joined(state, runner, run_id, None)


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
    return events(runner, job, reader, modes=wanted or None, headers=_location(job, "stream"), cancel=cancel)


@router.get("/threads/{thread_id}/runs/{run_id}/stream")
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


@router.get("/runs/{run_id}/stream")
async def join_stream_stateless(
    state: Opened, runner: Running, run_id: RunId, last_event_id: Annotated[str | None, Header()] = None
) -> Response:
    """The same for a run without a thread."""
    return await _rejoined(state, runner, run_id, None, after=last_event_id)


@router.post("/threads/{thread_id}/runs/{run_id}/cancel")
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


@router.delete("/threads/{thread_id}/runs/{run_id}")
async def delete(state: Opened, runner: Running, thread_id: ThreadId, run_id: RunId) -> Response:
    """Forget a run; one that is not over is cancelled first."""
    if (job := runner.job(run_id)) and not job.done.is_set():
        await runner.cancel([job], "interrupt")
        await job.done.wait()
    await state.runs.get(run_id, thread_id)
    await state.runs.delete([run_id])
    return Response(status_code=204)
