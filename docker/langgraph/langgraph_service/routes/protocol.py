"""The thread-centric protocol: commands go in, one stream of numbered events comes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pydantic import ValidationError
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from langgraph_service.encode import Json
from langgraph_service.errors import ApiError, NotFound
from langgraph_service.openapi import EVENTS
from langgraph_service.routes.access import AskedAs, Opened, Running, ThreadId
from langgraph_service.routes.runs import launch
from langgraph_service.routes.strict import strict_router
from langgraph_service.runner import Runner
from langgraph_service.schemas import CommandBody, ProtocolCommand, Respond, RunCreate, Subscribe
from langgraph_service.state import State

router = strict_router()

SETTLE_SECONDS = 10.0


class _NoSuchInterrupt(Exception):
    """Nobody waits for this answer."""


async def _start(
    state: State, runner: Runner, thread_id: str, params: dict[str, Any], asked_as: str | None
) -> dict[str, Any]:
    given = RunCreate.model_validate({**params, "if_not_exists": "create"})
    job = await launch(state, runner, given, thread_id, asked_as=asked_as, protocol=True)
    return {"run_id": job.run_id}


async def _respond(
    state: State, runner: Runner, thread_id: str, params: dict[str, Any], asked_as: str | None
) -> dict[str, Any]:
    given = Respond.model_validate(params)
    # The question is heard before the run that asks it is over: let it end first.
    if asking := [job for job in runner.active(thread_id) if not job.held]:
        await asyncio.wait([asyncio.ensure_future(job.done.wait()) for job in asking], timeout=SETTLE_SECONDS)
    thread = await state.threads.get(thread_id)
    if given.interrupt_id not in {item["id"] for items in thread["interrupts"].values() for item in items}:
        raise _NoSuchInterrupt(f"Unknown or already-consumed interrupt: {given.interrupt_id}")
    command = CommandBody(resume={given.interrupt_id: given.response})
    resumed = RunCreate(assistant_id=str(thread["metadata"]["graph_id"]), command=command)
    await launch(state, runner, resumed, thread_id, asked_as=asked_as, protocol=True)
    return {}


COMMANDS = {"run.start": _start, "input.respond": _respond}


@router.post("/threads/{thread_id}/commands")
async def command(
    state: Opened, runner: Running, thread_id: ThreadId, given: ProtocolCommand, asked_as: AskedAs
) -> Response:
    """Start a run, or answer a question; what is wrong with a command is an answer of type error."""
    act = COMMANDS.get(given.method)
    try:
        if act is None:
            raise NotFound(f"Unknown protocol command: {given.method}")
        result = await act(state, runner, thread_id, given.params, asked_as)
    except (ApiError, ValidationError, _NoSuchInterrupt) as error:
        code = "unknown_command" if act is None else "unknown_error"
        code = "no_such_interrupt" if isinstance(error, _NoSuchInterrupt) else code
        return Json({"type": "error", "id": given.id, "error": code, "message": str(error)})
    meta = {"applied_through_seq": runner.sessions.of(thread_id).log.count}
    return Json({"type": "success", "id": given.id, "result": result, "meta": meta})


async def _events(runner: Runner, thread_id: str, given: Subscribe) -> AsyncIterator[ServerSentEvent]:
    wanted = given.model_dump(exclude_none=True, exclude={"since"})
    try:
        async for number, event in runner.sessions.of(thread_id).follow(wanted, given.since):
            yield ServerSentEvent(data=event.data, event=event.name, id=str(number), sep="\r\n")
    finally:
        runner.sessions.release(thread_id)


@router.post("/threads/{thread_id}/stream/events", response_class=Response, responses=EVENTS)
async def subscribe(runner: Running, thread_id: ThreadId, given: Subscribe) -> Response:
    """The thread's events on the channels named, from the beginning or after number `since`, as long as one listens."""
    return EventSourceResponse(_events(runner, thread_id, given), ping=15, sep="\r\n")
