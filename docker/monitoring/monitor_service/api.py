"""The HTTP side: what happened, which triggers are in force, health and metrics."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from ucservice.secretfile import Secret
from ucservice.web import RequestLog, TokenAuth

from monitor_service import metrics
from monitor_service.health import report
from monitor_service.service import Service

_STATUSES = ("pending", "delivered", "dead")
_OPENAPI = Path(__file__).with_name("openapi.json").read_bytes()


def create_app(service: Service) -> Starlette:
    """The ASGI application; its lifespan is the service's."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.service = service
        service.start()
        yield
        await service.stop()

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/health", _health),
            Route("/ready", _ready),
            Route("/metrics", _metrics),
            Route("/events", _events),
            Route("/events/{id}", _event),
            Route("/events/{id}/redeliver", _redeliver, methods=["POST"]),
            Route("/triggers", _triggers),
            Route("/openapi.json", _openapi),
        ],
        middleware=[
            Middleware(RequestLog, observer=metrics.HTTP),
            Middleware(TokenAuth, secret=Secret("monitoring_token")),
        ],
        exception_handlers={HTTPException: _told, sqlite3.Error: _store_failed},
    )


def _service(request: Request) -> Service:
    found: Service = request.app.state.service
    return found


async def _told(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def _store_failed(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"the event store failed: {error}"}, 503)


async def _health(request: Request) -> Response:
    found = await asyncio.to_thread(report, _service(request))
    return JSONResponse(found, 200 if found["status"] == "healthy" else 503)


async def _ready(request: Request) -> Response:
    found = await asyncio.to_thread(report, _service(request))
    ready = found["status"] == "healthy" and found["deliveries"]["running"]
    status = "ready" if ready else "not ready"
    return JSONResponse({"status": status, "reasons": found["reasons"]}, 200 if ready else 503)


async def _metrics(request: Request) -> Response:
    service = _service(request)
    depths = await asyncio.to_thread(service.outbox.depths)
    metrics.OUTBOX.set(depths["pending"])
    metrics.DEAD.set(depths["dead"])
    age = service.watcher.scan_age()
    metrics.SCAN_AGE.set(float("nan") if age is None else age)
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(REGISTRY), media_type=content_type)


async def _events(request: Request) -> Response:
    query, service = request.query_params, _service(request)
    status = query.get("status", "")
    if status and status not in _STATUSES:
        raise HTTPException(400, f"status={status!r}: expected one of {', '.join(_STATUSES)}")
    after = _position(service, query["after"]) if query.get("after") else None
    limit = _limit(query.get("limit", "100"))
    path = query.get("path", "")
    found = await asyncio.to_thread(service.outbox.events, after=after, path=path, status=status, limit=limit)
    return JSONResponse({"events": found})


def _position(service: Service, after: str) -> int:
    found = 0 if after == "0" else service.store.sequence(after)
    if found is None:
        raise HTTPException(400, f"after={after!r}: expected the id of an event of this store, or 0 for its beginning")
    return found


def _limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= 1000:
        raise HTTPException(400, f"limit={text[:20]!r}: expected 1 to 1000")
    return int(text)


async def _event(request: Request) -> Response:
    found = await asyncio.to_thread(_find, request)
    return JSONResponse(found)


def _find(request: Request) -> dict[str, Any]:
    service, event_id = _service(request), request.path_params["id"]
    seq = service.store.sequence(event_id)
    found = None if seq is None else service.outbox.event(seq)
    if found is None:
        raise HTTPException(404, f"no event {event_id!r}")
    return found


async def _redeliver(request: Request) -> Response:
    found = await asyncio.to_thread(_find, request)
    service = _service(request)
    made = await asyncio.to_thread(service.outbox.redeliver, service.store.sequence(found["id"]) or 0)
    if not made:
        raise HTTPException(409, "the event has no dead letter")
    service.dispatcher.nudge()
    return JSONResponse({"pending": made}, 202)


async def _triggers(request: Request) -> Response:
    return JSONResponse(_service(request).rules.shown())


async def _openapi(_request: Request) -> Response:
    return Response(_OPENAPI, media_type="application/json")
