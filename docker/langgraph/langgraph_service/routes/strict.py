"""Bodies as strict JSON: what answers and tables can't hold again is refused at the door."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute


class _StrictRequest(Request):
    async def json(self) -> Any:
        # No NaN, no half of a character, no nesting without end; a number beyond 64 bits is a float.
        return orjson.loads(await self.body())


class _StrictRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return strict


def strict_router() -> APIRouter:
    """A router whose routes read their bodies so."""
    return APIRouter(route_class=_StrictRoute)
