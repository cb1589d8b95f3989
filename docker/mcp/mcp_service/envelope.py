"""What the SDK's transport lets pass: an id that no request can have, and the path with a slash at its end."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from typing import Any

from mcp_types import INVALID_REQUEST
from ucservice.web import App, Receive, Scope, Send

_PATH, _LARGEST = "/mcp", 4 * 1024 * 1024  # of a body that the SDK reads


class Envelope:
    """ASGI middleware around the transport.

    A request whose id is neither a string nor an integer (JSON-RPC 2.0 section 4, MCP's basic protocol) is taken for a
    notification by the SDK and answered 202: the client would wait forever. It gets 400 instead. `/mcp/` is `/mcp`: a
    redirect would make some clients drop their token.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["path"] == f"{_PATH}/":
            scope = {**scope, "path": _PATH, "raw_path": _PATH.encode()}
        if scope["method"] != "POST" or scope["path"] != _PATH:
            await self.app(scope, receive, send)
            return
        body, refused = bytearray(), False

        async def kept() -> MutableMapping[str, Any]:
            message = await receive()
            if len(body) <= _LARGEST:
                body.extend(message.get("body", b""))
            return message

        async def judged(message: MutableMapping[str, Any]) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] == 202 and _has_wrong_id(bytes(body)):
                refused = True
                await _refuse(send)
            elif not refused:
                await send(message)

        await self.app(scope, kept, judged)


def _has_wrong_id(body: bytes) -> bool:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(message, dict) and "method" in message and "id" in message


async def _refuse(send: Send) -> None:
    error = {"code": INVALID_REQUEST, "message": "id: expected a string or an integer"}
    content = json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": content})
