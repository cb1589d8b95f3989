"""What every route reaches for: the open state, the runner, and ids that are UUIDs."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Path, Request
from ucservice import logs

from langgraph_service.errors import Invalid
from langgraph_service.runner import Runner
from langgraph_service.state import State


async def _state(request: Request) -> State:
    state: State = request.app.state.opened
    return state


async def _runner(request: Request) -> Runner:
    runner: Runner = request.app.state.runner
    return runner


def checked(value: str, what: str) -> str:
    """`value` in the canonical form of a UUID."""
    try:
        return str(UUID(value))
    except ValueError as error:
        raise Invalid(f"Invalid {what} ID: must be a UUID") from error


async def _thread_id(thread_id: Annotated[str, Path()]) -> str:
    return checked(thread_id, "thread")


async def _run_id(run_id: Annotated[str, Path()]) -> str:
    return checked(run_id, "run")


async def _asked_as(x_request_id: Annotated[str | None, Header()] = None) -> str | None:
    # The log takes over no id that could forge a line; such a one counts as not given.
    return x_request_id if x_request_id == logs.request_id.get() else None


Opened = Annotated[State, Depends(_state)]
Running = Annotated[Runner, Depends(_runner)]
ThreadId = Annotated[str, Depends(_thread_id)]
RunId = Annotated[str, Depends(_run_id)]
# The X-Request-Id that the caller gave; None when the service had to make one.
AskedAs = Annotated[str | None, Depends(_asked_as)]
