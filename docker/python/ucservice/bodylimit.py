"""Refuses a request body that is too large, before it is read into memory."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

from ucservice.web import App, Receive, Scope, Send


class BodyLimit:
    """Answer 413 to a body of more than `limit` bytes, whether announced by Content-Length or sent in chunks."""

    def __init__(self, app: App, *, limit: int) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = next((value for key, value in scope["headers"] if key == b"content-length"), b"0")
        if announced.isdigit() and int(announced) > self.limit:
            await self._refuse(send)
        else:
            await self.app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        seen = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit:
                # Raised inside the route that reads the body, and answered by the application's own handler.
                raise HTTPException(413, self._reason)
            return message

        return counted

    @property
    def _reason(self) -> str:
        return f"the body is larger than {self.limit} bytes"

    async def _refuse(self, send: Send) -> None:
        # The connection stays open, so that the client can finish sending and read this: a reset would hide it.
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps({"detail": self._reason}).encode()})
