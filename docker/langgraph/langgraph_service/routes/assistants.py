"""Assistants: one for each graph, made by the graph's declaration and not by a request."""

from __future__ import annotations

from typing import Any

from langgraph.pregel import Pregel
from pydantic import create_model
from starlette.responses import Response

from langgraph_service import shapes
from langgraph_service.encode import Json
from langgraph_service.errors import ApiError, NotFound
from langgraph_service.fields import Metadata
from langgraph_service.plugins import Graph, assistant_id
from langgraph_service.routes.access import Opened
from langgraph_service.routes.strict import strict_router
from langgraph_service.schemas import Assistants
from langgraph_service.state import State

router = strict_router()


def _assistant(state: State, name: str) -> dict[str, Any]:
    return {
        "assistant_id": assistant_id(name),
        "graph_id": name,
        "name": name,
        "description": None,
        "config": {},
        "context": {},
        "metadata": {"created_by": "system"},
        "version": 1,
        "created_at": state.graphs.at,
        "updated_at": state.graphs.at,
    }


def _found(state: State, given: Assistants) -> list[dict[str, Any]]:
    wanted = given.metadata or {}
    every = [_assistant(state, name) for name in state.graphs.loaded]
    if given.sort_by or given.sort_order:
        every.sort(key=lambda item: item[given.sort_by or "created_at"], reverse=given.sort_order != "asc")
    return [
        item
        for item in every
        if given.graph_id in {None, item["graph_id"]}
        and (given.name is None or given.name.lower() in item["name"].lower())
        and wanted.items() <= item["metadata"].items()
    ]


def _named(state: State, assistant: str) -> str:
    try:
        return state.graphs.resolve(assistant)
    except ApiError as error:
        raise NotFound(f"Assistant with ID {assistant} not found") from error


def _state_schema(graph: Graph) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in graph.stream_channels_list:
        kind = graph.channels[name].UpdateType  # type: ignore[union-attr]
        try:
            create_model(name, value=(kind, None)).model_json_schema()
        except Exception:  # noqa: BLE001 - a channel may hold a type that has no JSON schema: anything, then
            kind = Any
        fields[name] = (kind, None)
    schema: dict[str, Any] = create_model(graph.get_name("State"), **fields).model_json_schema()
    return schema


def _schemas(graph: Graph) -> dict[str, Any]:
    def attempt(make: Any) -> Any:
        try:
            return make()
        except Exception:  # noqa: BLE001 - the same: no schema is an answer here, and no reason to fail
            return None

    return {
        "input_schema": attempt(graph.get_input_jsonschema),
        "output_schema": attempt(graph.get_output_jsonschema),
        "state_schema": attempt(lambda: _state_schema(graph)),
        "config_schema": {},
        "context_schema": attempt(graph.get_context_jsonschema),
    }


@router.get("/assistants")
async def overview(state: Opened) -> Response:
    """Every declared graph, the failed ones with their reason."""
    loaded = [{**_assistant(state, name), "state": "loaded"} for name in state.graphs.loaded]
    failed = [
        {"assistant_id": assistant_id(name), "graph_id": name, "name": name, "state": "failed", "reason": reason}
        for name, reason in state.graphs.failed.items()
    ]
    return Json({"assistants": loaded + failed})


@router.post("/assistants/search", response_model=list[shapes.Assistant] | list[Metadata])
async def search(state: Opened, given: Assistants) -> Response:
    """A page of the assistants that can run."""
    found = _found(state, given)[given.offset : given.offset + given.limit]
    if given.select:
        found = [{key: value for key, value in item.items() if key in given.select} for item in found]
    return Json(found)


@router.post("/assistants/count", response_model=int)
async def count(state: Opened, given: Assistants) -> Response:
    """How many assistants match."""
    return Json(len(_found(state, given)))


@router.get("/assistants/{assistant}", response_model=shapes.Assistant)
async def get(state: Opened, assistant: str) -> Response:
    """One assistant, by its id or its graph's name."""
    return Json(_assistant(state, _named(state, assistant)))


@router.get("/assistants/{assistant}/graph", response_model=shapes.Drawing)
async def drawing(state: Opened, assistant: str, *, xray: bool = False) -> Response:
    """The graph's nodes and edges."""
    graph = state.graphs.loaded[_named(state, assistant)]
    drawn = (await graph.aget_graph(xray=xray)).to_json()
    for node in drawn["nodes"]:
        if isinstance(node.get("data"), dict):
            node["data"].pop("id", None)
    return Json(drawn)


@router.get("/assistants/{assistant}/schemas", response_model=shapes.Schemas)
async def schemas(state: Opened, assistant: str) -> Response:
    """The JSON schemas of the graph's input, output and state."""
    name = _named(state, assistant)
    return Json({"graph_id": name, **_schemas(state.graphs.loaded[name])})


@router.get("/assistants/{assistant}/subgraphs")
@router.get("/assistants/{assistant}/subgraphs/{namespace:path}")
async def subgraphs(state: Opened, assistant: str, *, namespace: str | None = None, recurse: bool = False) -> Response:
    """The schemas of the graphs inside the graph."""
    graph = state.graphs.loaded[_named(state, assistant)]
    inner: dict[str, Pregel[Any, Any, Any, Any]] = {}
    async for name, found in graph.aget_subgraphs(namespace=namespace, recurse=recurse):
        if isinstance(found, Pregel):
            inner[name] = found
    return Json({name: _schemas(found) for name, found in inner.items()})
