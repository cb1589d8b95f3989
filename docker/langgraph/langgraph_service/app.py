"""The application: routes, refusals, and what is open between start and stop."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from ucservice import logs
from ucservice.bodylimit import BodyLimit
from ucservice.secretfile import Secret
from ucservice.web import PUBLIC_PATHS, RequestLog, TokenAuth

from langgraph_service import metrics
from langgraph_service.encode import Json
from langgraph_service.errors import ApiError
from langgraph_service.openapi import REFUSALS, document
from langgraph_service.ownership import owned
from langgraph_service.recovery import recover
from langgraph_service.routes import (
    assistants,
    joins,
    legacy,
    legacy_approvals,
    legacy_graphs,
    legacy_state,
    protocol,
    runs,
    states,
    store,
    system,
    threads,
)
from langgraph_service.runner import Runner
from langgraph_service.settings import Settings
from langgraph_service.state import State, opened

# What a page may read of an answer beside its body: where the run is, and how a list goes on.
EXPOSED = ["content-location", "location", "x-pagination-total", "x-pagination-next", "x-request-id", "retry-after"]

_log = logs.get("app")


class Unforeseen:
    """Answer 500 with the request id to an error that no handler knows: the log has the traceback, under this id."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except Exception:
            if begun or scope["type"] != "http":
                raise
            _log.exception("bug", path=scope["path"])
            told = {"detail": "internal error", "request_id": logs.request_id.get()}
            await Json(told, status_code=500)(scope, receive, send)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    headers = {"retry-after": "5"} if error.status == 503 else None
    return Json({"detail": error.detail}, status_code=error.status, headers=headers)


async def _unwritable(_request: Request, error: Exception) -> Response:
    _log.error("state_failed", exc_info=error)
    return Json({"detail": f"the state cannot be used: {error}"}, status_code=503, headers={"retry-after": "5"})


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    told = []
    for item in error.errors():
        if item["type"] == "json_invalid":
            told.append(f"the body is not JSON at character {item['loc'][-1]}: {item['ctx']['error']}")
            continue
        place = ".".join(str(part) for part in item["loc"][1:]) or "body"
        told.append(f"{place}: {item['msg']}")
    return Json({"detail": "; ".join(told)}, status_code=422)


def _on_term(runner: Runner, loop: asyncio.AbstractEventLoop) -> None:
    # The server waits for open requests before it tells the application to stop, and those wait for runs: so the
    # runner has to hear of the signal itself. The handler that is there already (the server's) is called as well.
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        previous = signal.getsignal(number)

        def stop(received: int, frame: FrameType | None, previous: object = previous) -> None:
            asyncio.run_coroutine_threadsafe(runner.stop(), loop)
            if callable(previous):
                previous(received, frame)

        signal.signal(number, stop)


async def _sweep(state: State, runner: Runner) -> None:
    while True:
        await asyncio.sleep(state.settings.sweep_seconds)
        try:
            await runner.record_again()
            if removed := await state.sweep():
                _log.info("threads_expired", removed=removed)
        except Exception:  # noqa: BLE001 - the next minute may be better; the service goes on
            _log.exception("sweep_failed")


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    async with owned(settings.checkpoints.parent), opened(settings) as state:
        runner = Runner(state)
        app.state.opened, app.state.runner, app.state.health = state, runner, system.Health()
        metrics.GRAPHS.labels("loaded").set(len(state.graphs.loaded))
        metrics.GRAPHS.labels("failed").set(len(state.graphs.failed))
        _on_term(runner, asyncio.get_running_loop())
        await recover(runner)
        sweeper = asyncio.create_task(_sweep(state, runner))
        _log.info("started", graphs=sorted(state.graphs.loaded), database=str(settings.checkpoints))
        yield
        sweeper.cancel()
        await runner.stop()
        _log.info("stopped")


def create_app(settings: Settings) -> FastAPI:
    """The service, not yet started."""
    app = FastAPI(
        title="langgraph-api",
        version=system.VERSION,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        responses=REFUSALS,
    )
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    app.state.settings = settings
    # The old routes come first: /state/snapshots is one of theirs, and so is a name in /state/{session}/{agent}.
    old = (legacy_graphs, legacy_state, legacy_approvals, legacy) if settings.legacy_api else ()
    for module in (*old, system, assistants, threads, states, runs, joins, protocol, store):
        app.include_router(module.router, tags=[module.__name__.rpartition(".")[2]])
    app.add_exception_handler(ApiError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(sqlite3.Error, _unwritable)
    app.add_middleware(Unforeseen)
    app.add_middleware(BodyLimit, limit=settings.max_body)
    public = PUBLIC_PATHS | (legacy.PUBLIC_PATHS if settings.legacy_api else frozenset())
    app.add_middleware(TokenAuth, secret=Secret("langgraph_api_key"), public=public)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=EXPOSED,
            allow_private_network=True,
        )
    app.add_middleware(RequestLog, observer=metrics.HTTP)
    return app
