"""Refuses a request body that is too large before it is read into memory."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from typing import Any

from fastapi import HTTPException
from ucservice.web import App, Receive, Scope, Send

_TOO_LARGE = "the request body is too large"


class BodyLimit:
    """Answer 413 to more than `limit` bytes, whether announced by Content-Length or sent in chunks."""

    def __init__(self, app: App, *, limit: int) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = next((value for key, value in scope["headers"] if key == b"content-length"), b"0")
        if announced.isdigit() and int(announced) > self.limit:
            await _refuse(send)
            return
        await self.app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        seen = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit:
                raise HTTPException(413, _TOO_LARGE)
            return message

        return counted


async def _refuse(send: Send) -> None:
    body = json.dumps({"detail": _TOO_LARGE}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
