"""The long-term store that graphs share across threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from langgraph.store.base import InvalidNamespaceError, Item, SearchItem
from starlette.responses import Response

from langgraph_service import schemas, shapes
from langgraph_service.encode import Json
from langgraph_service.errors import Invalid
from langgraph_service.routes.access import Opened
from langgraph_service.routes.strict import strict_router

router = strict_router()


@contextmanager
def _understood() -> Iterator[None]:
    # What a namespace or a filter may be made of is the store's to say.
    try:
        yield
    except (InvalidNamespaceError, ValueError) as error:
        raise Invalid(str(error)) from error


def _utc(moment: datetime) -> str:
    # SQLite's CURRENT_TIMESTAMP is UTC and does not say so.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _shown(item: Item) -> dict[str, Any]:
    shown = {
        "namespace": list(item.namespace),
        "key": item.key,
        "value": item.value,
        "created_at": _utc(item.created_at),
        "updated_at": _utc(item.updated_at),
    }
    return {**shown, "score": item.score} if isinstance(item, SearchItem) else shown


@router.put("/store/items", status_code=204)
async def put(state: Opened, given: schemas.Item) -> Response:
    """Store a value under a namespace and key."""
    with _understood():
        await state.store.aput(tuple(given.namespace), given.key, given.value, ttl=given.ttl)
    return Response(status_code=204)


@router.get("/store/items", response_model=shapes.Stored | None)
async def get(state: Opened, key: str, namespace: str, *, refresh_ttl: bool | None = None) -> Response:
    """One item; the namespace's labels are joined by dots. Reading puts its end off, unless refresh_ttl=false."""
    with _understood():
        item = await state.store.aget(
            tuple(part for part in namespace.split(".") if part), key, refresh_ttl=refresh_ttl
        )
    return Json(_shown(item) if item else None)


@router.delete("/store/items", status_code=204)
async def delete(state: Opened, given: schemas.ItemKey) -> Response:
    """Forget an item."""
    with _understood():
        await state.store.adelete(tuple(given.namespace), given.key)
    return Response(status_code=204)


@router.post("/store/items/search", response_model=shapes.Found)
async def search(state: Opened, given: schemas.ItemSearch) -> Response:
    """A page of the items under a namespace whose values match the filter."""
    if given.query:
        raise Invalid("query: this store has no semantic index; use filter")
    with _understood():
        found = await state.store.asearch(
            tuple(given.namespace_prefix),
            filter=given.filter,
            limit=given.limit,
            offset=given.offset,
            refresh_ttl=given.refresh_ttl,
        )
    return Json({"items": [_shown(item) for item in found]})


@router.post("/store/namespaces", response_model=shapes.Namespaces)
async def namespaces(state: Opened, given: schemas.Namespaces) -> Response:
    """The namespaces that hold items."""
    with _understood():
        found = await state.store.alist_namespaces(
            prefix=tuple(given.prefix) if given.prefix else None,
            suffix=tuple(given.suffix) if given.suffix else None,
            max_depth=given.max_depth,
            limit=given.limit,
            offset=given.offset,
        )
    return Json({"namespaces": [list(item) for item in found]})
