"""Runs: start one and wait, stream or walk away."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header
from starlette.responses import Response
from ucservice import logs
from uuid_utils.compat import uuid7

from langgraph_service import runs, shapes
from langgraph_service.encode import Json
from langgraph_service.errors import BadRequest, NotFound
from langgraph_service.job import Job
from langgraph_service.openapi import EVENTS
from langgraph_service.plugins import Graph, assistant_id
from langgraph_service.routes.access import AskedAs, Opened, Running, ThreadId
from langgraph_service.routes.answers import Values, events, location
from langgraph_service.routes.joins import joined
from langgraph_service.routes.strict import strict_router
from langgraph_service.runner import Runner
from langgraph_service.schemas import RunCreate
from langgraph_service.state import State

router = strict_router()

IdempotencyKey = Annotated[str | None, Header(max_length=255)]


def _mirrored(given: RunCreate, graph: Graph) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The run's config and context: `context` and `config.configurable` are two names of the same values.

    A graph that declares its context gets of them what it declares.
    """
    configurable = given.config.get("configurable") or {}
    if configurable and given.context:
        raise BadRequest("Cannot specify both configurable and context: context alone is enough")
    schema = graph.get_context_jsonschema() if graph.context_schema else None
    names = (schema or {}).get("properties")
    chosen = {key: value for key, value in (given.context or configurable).items() if names is None or key in names}
    if given.context:
        return {**given.config, "configurable": chosen}, given.context
    return given.config, chosen or None


def _kwargs(given: RunCreate, graph: Graph, *, temporary: bool) -> dict[str, Any]:
    config, context = _mirrored(given, graph)
    checkpoint = {key: value for key, value in (given.checkpoint or {}).items() if not key.startswith("__")}
    if given.checkpoint_id:
        checkpoint["checkpoint_id"] = given.checkpoint_id
    return {
        "input": given.input,
        "command": given.command.model_dump(exclude_unset=True) if given.command else None,
        "config": config,
        "context": context,
        "stream_mode": given.stream_mode,
        "interrupt_before": given.interrupt_before,
        "interrupt_after": given.interrupt_after,
        "durability": given.durability or ("exit" if given.checkpoint_during is False else "async"),
        "subgraphs": given.stream_subgraphs,
        "resumable": given.stream_resumable,
        "temporary": temporary,
        "checkpoint": checkpoint or None,
        "after_seconds": given.after_seconds,
    }


async def _request_id(state: State, given: RunCreate, thread_id: str | None, asked_as: str | None) -> str:
    """The id that the run's log lines and outgoing calls carry: the caller's, if it gave one.

    Who answers a question without an id of their own continues the story of the run that asked.
    """
    continues = given.input is None and (given.command is None or "resume" in given.command.model_fields_set)
    if asked_as is None and continues and thread_id is not None:
        before = await state.runs.of_thread(thread_id, limit=1, offset=0, status=None)
        if before and before[0]["request_id"]:
            return str(before[0]["request_id"])
    return asked_as or logs.request_id.get()


async def launch(
    state: State,
    runner: Runner,
    given: RunCreate,
    thread_id: str | None,
    idempotency_key: str | None = None,
    *,
    asked_as: str | None = None,
    protocol: bool = False,
) -> Job:
    """Accept a run: on a thread, or on one that lives only as long as the run."""
    graph = state.graphs.resolve(given.assistant_id)
    if thread_id is None and given.command is not None and given.command.resume is not None:
        raise BadRequest("command.resume answers a question of a thread: a run without a thread has none")
    temporary = thread_id is None and given.on_completion == "delete"
    kwargs = _kwargs(given, state.graphs.loaded[graph], temporary=temporary)
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
        "kwargs": {**kwargs, "protocol": protocol},
        "request_id": await _request_id(state, given, thread_id, asked_as),
        "idempotency_key": idempotency_key,
    }
    return await runner.submit(run, graph, given.multitask_strategy)


async def _waited(
    state: State,
    runner: Runner,
    given: RunCreate,
    thread_id: str | None = None,
    key: str | None = None,
    *,
    asked_as: str | None = None,
) -> Response:
    job = await launch(state, runner, given, thread_id, key, asked_as=asked_as)
    if runner.job(job.run_id) is None:
        return await joined(state, runner, job.run_id, job.thread_id)
    return Values(runner, job, headers=location(job, "join"), cancel=given.on_disconnect == "cancel")


async def _streamed(
    state: State,
    runner: Runner,
    given: RunCreate,
    thread_id: str | None = None,
    key: str | None = None,
    *,
    asked_as: str | None = None,
) -> Response:
    job = await launch(state, runner, given, thread_id, key, asked_as=asked_as)
    cancel = given.on_disconnect == "cancel"
    return events(runner, job, job.log.reader(), headers=location(job, "stream"), cancel=cancel)


@router.post("/threads/{thread_id}/runs", response_model=shapes.Run)
async def create(
    state: Opened,
    runner: Running,
    thread_id: ThreadId,
    given: RunCreate,
    asked_as: AskedAs,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Start a run and answer at once."""
    job = await launch(state, runner, given, thread_id, idempotency_key, asked_as=asked_as)
    return Json(runs.shown(job.run), headers=location(job, ""))


@router.post("/threads/{thread_id}/runs/wait")
async def wait(
    state: Opened,
    runner: Running,
    thread_id: ThreadId,
    given: RunCreate,
    asked_as: AskedAs,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Start a run and answer with its last values."""
    return await _waited(state, runner, given, thread_id, idempotency_key, asked_as=asked_as)


@router.post("/threads/{thread_id}/runs/stream", response_class=Response, responses=EVENTS)
async def stream(
    state: Opened,
    runner: Running,
    thread_id: ThreadId,
    given: RunCreate,
    asked_as: AskedAs,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Start a run and answer with its events."""
    return await _streamed(state, runner, given, thread_id, idempotency_key, asked_as=asked_as)


@router.post("/runs", response_model=shapes.Run)
async def create_stateless(state: Opened, runner: Running, given: RunCreate) -> Response:
    """Start a run without a thread and answer at once."""
    job = await launch(state, runner, given, None)
    return Json(runs.shown(job.run), headers=location(job, ""))


@router.post("/runs/wait")
async def wait_stateless(state: Opened, runner: Running, given: RunCreate) -> Response:
    """Start a run without a thread and answer with its last values."""
    return await _waited(state, runner, given)


@router.post("/runs/stream", response_class=Response, responses=EVENTS)
async def stream_stateless(state: Opened, runner: Running, given: RunCreate) -> Response:
    """Start a run without a thread and answer with its events."""
    return await _streamed(state, runner, given)


@router.post("/runs/batch", response_model=list[shapes.Run])
async def batch(state: Opened, runner: Running, given: list[RunCreate]) -> Response:
    """Start several runs without threads."""
    return Json([runs.shown((await launch(state, runner, one, None)).run) for one in given])
