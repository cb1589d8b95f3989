"""Refuse bodies that are too large, before they are read."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from ucservice.web import App, Receive, Scope, Send

from langgraph_service.encode import dumps


class _TooLarge(Exception):
    """The body went past the limit while it was read."""


class BodyLimit:
    """Answer 413 to a request whose body is larger than `limit` bytes, announced or not."""

    def __init__(self, app: App, *, limit: int) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = next((value for key, value in scope["headers"] if key == b"content-length"), b"0")
        if announced.isdigit() and int(announced) > self.limit:
            await self._refuse(send)
            return
        seen, started = 0, False

        async def counted() -> MutableMapping[str, Any]:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit:
                raise _TooLarge
            return message

        async def noted(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except _TooLarge:
            if not started:
                await self._refuse(send)

    async def _refuse(self, send: Send) -> None:
        body = dumps({"detail": f"the body is larger than {self.limit} bytes"})
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body})
