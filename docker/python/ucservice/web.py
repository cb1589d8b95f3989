"""Pure ASGI middleware and the one way a service listens."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

import uvicorn

from ucservice import logs
from ucservice.secretfile import Secret

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

GRACE_SECONDS = 2
PUBLIC_PATHS = frozenset({"/health", "/ready", "/metrics"})
_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_log = logs.get("http")


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope.get("headers", ()) if key == name), "")


class Observer(Protocol):
    """Who counts requests: metrics.HttpMetrics, in a service that has Prometheus' client."""

    def begin(self) -> None:
        """Count a request that was accepted."""

    def end(self, method: str, status: int, seconds: float) -> None:
        """Count its answer."""


class RequestLog:
    """Take or make X-Request-Id, answer with it, and log one line for each request (probes at debug level).

    A request that the server gives up because it stops is answered with 503, unless its answer has begun. `observer`
    counts requests.
    """

    def __init__(self, app: App, *, observer: Observer | None = None) -> None:
        self.app, self.observer = app, observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = _header(scope, b"x-request-id")
        identifier = given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex
        token = logs.request_id.set(identifier)
        started = time.perf_counter()
        status, begun = 500, False
        if self.observer:
            self.observer.begin()

        async def send_with_id(message: MutableMapping[str, Any]) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", identifier.encode())]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except asyncio.CancelledError:
            if begun:
                raise
            await _refuse(send_with_id, 503, {"error": "the service stops"}, (b"retry-after", b"5"))
        finally:
            seconds = time.perf_counter() - started
            if self.observer:
                self.observer.end(scope["method"], status, seconds)
            emit = _log.debug if scope["path"] in PUBLIC_PATHS and status < 400 else _log.info
            emit(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=round(seconds * 1000, 1),
            )
            logs.request_id.reset(token)


class TokenAuth:
    """Refuse with 401 what carries neither `Authorization: Bearer <token>` nor `x-api-key: <token>`.

    The paths in `public` stay open. A secret with no value refuses everything: closed by default.
    """

    def __init__(self, app: App, *, secret: Secret, public: frozenset[str] = PUBLIC_PATHS) -> None:
        self.app, self.secret, self.public = app, secret, public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"} or scope["path"] in self.public:
            await self.app(scope, receive, send)
            return
        scheme, _, bearer = _header(scope, b"authorization").partition(" ")
        given = bearer.strip() if scheme.lower() == "bearer" else _header(scope, b"x-api-key")
        if given and self.secret.matches(given):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "unauthorized"})
        else:
            told = {"error": "unauthorized", "detail": "send Authorization: Bearer <token>"}
            await _refuse(send, 401, told, (b"www-authenticate", b"Bearer"))


async def _refuse(send: Send, status: int, told: dict[str, str], header: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", b"application/json"), header]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})


def serve(app: Any, *, port: int) -> None:
    """Listen on UC_HOST (0.0.0.0 in a container) and UC_PORT or `port` until SIGTERM.

    What is under way then gets GRACE_SECONDS: a peer that hangs and a body that never arrives must not hold a stop.
    """
    logs.setup()
    uvicorn.run(
        app,
        host=os.environ.get("UC_HOST", "0.0.0.0"),
        port=int(os.environ.get("UC_PORT", str(port))),
        log_config=None,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
    )
