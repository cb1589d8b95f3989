"""Bodies as strict JSON: what answers and tables can't hold again is refused at the door."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Scope

# How much deeper a value may stand in an answer or an event than in the body it came with.
_ROOM = 32


def _answerable(value: Any) -> bool:
    # The reader takes deeper nesting than the writer.
    for _ in range(_ROOM):
        value = [value]
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True


def _as_json(scope: Scope) -> Scope:
    """The request with its body as JSON, which LangGraph Studio sends as text/plain to spare itself the preflight."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
    kinds = [value.partition(b";")[0].strip().lower() for name, value in scope["headers"] if name == b"content-type"]
    if kinds not in ([], [b"text/plain"]):
        return scope
    return {**scope, "headers": [*headers, (b"content-type", b"application/json")]}


class _StrictRequest(Request):
    async def json(self) -> Any:
        # No NaN, no half of a character, no nesting without end; a number beyond 64 bits is a float.
        found = orjson.loads(await self.body())
        if not _answerable(found):
            raise orjson.JSONDecodeError("nested too deeply to be answered again", "", 0)
        return found


class _StrictRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(_StrictRequest(_as_json(request.scope), request.receive))

        return strict


def strict_router() -> APIRouter:
    """A router whose routes read their bodies so."""
    return APIRouter(route_class=_StrictRoute)
