"""The first server's states, with LEGACY_API=true: checked, kept as snapshots, found again."""

from __future__ import annotations

import uuid
from typing import Any, Literal

import orjson
from pydantic import BaseModel
from starlette.responses import Response

from langgraph_service.database import now
from langgraph_service.encode import Json, dumps
from langgraph_service.errors import BadRequest, NotFound
from langgraph_service.routes.access import Opened
from langgraph_service.routes.strict import strict_router
from langgraph_service.state import State

router = strict_router()

_REQUIRED = {
    "basic": ("messages", "counter"),
    "hitl": ("messages", "counter", "approval_needed"),
    "multi_agent": ("messages", "agents", "current_agent"),
    "complex": (),
}
_KINDS: dict[str, tuple[type, ...]] = {
    "messages": (list,),
    "counter": (int, float),
    "approval_needed": (bool,),
    "approved": (bool, type(None)),
}
_SHOWN = "state_id, graph_id, thread_id, state_type, created_at"


class Processing(BaseModel):
    """POST /state/validate and /state/process"""

    state_data: dict[str, Any]
    state_type: Literal["basic", "hitl", "multi_agent", "complex"]
    graph_id: str
    thread_id: str | None = None


class Synchronising(BaseModel):
    """POST /state/synchronize"""

    graph_id: str
    thread_id: str
    current_state: dict[str, Any]


def _require_valid(given: Processing) -> None:
    if missing := [name for name in _REQUIRED[given.state_type] if name not in given.state_data]:
        raise BadRequest(f"Validation failed: Missing required fields: {missing}")
    wrong = [
        name
        for name, kinds in _KINDS.items()
        if given.state_type != "complex" and name in given.state_data and not isinstance(given.state_data[name], kinds)
    ]
    if wrong:
        raise BadRequest(f"Validation failed: wrong type of {wrong}")


async def _keep(state: State, graph: str, thread: str, kind: str, data: dict[str, Any]) -> None:
    await state.database.run(
        "INSERT INTO state_snapshots (state_id, graph_id, thread_id, state_type, state_data, created_at)"
        " VALUES (?,?,?,?,?,?)",
        (f"{graph}_{thread}_{uuid.uuid4().hex[:12]}", graph, thread, kind, dumps(data).decode(), now()),
    )


@router.post("/state/validate")
async def validate(given: Processing) -> Response:
    """Whether a state has what its type needs; 400 says what is missing."""
    _require_valid(given)
    return Json({"valid": True, "state_type": given.state_type, "validation_timestamp": now()})


@router.post("/state/process")
async def process(state: Opened, given: Processing) -> Response:
    """Check a state, and keep it as a snapshot if it belongs to a thread."""
    _require_valid(given)
    if given.thread_id:
        await _keep(state, given.graph_id, given.thread_id, given.state_type, given.state_data)
    named = {"graph_id": given.graph_id, "thread_id": given.thread_id, "state_type": given.state_type}
    return Json({"processed_state": given.state_data, **named, "processing_timestamp": now()})


@router.post("/state/synchronize")
async def synchronise(state: Opened, given: Synchronising) -> Response:
    """Lay a state over the newest snapshot of its thread, and keep the result."""
    rows = await state.database.fetch(
        "SELECT state_data FROM state_snapshots WHERE graph_id = ? AND thread_id = ? ORDER BY id DESC LIMIT 1",
        (given.graph_id, given.thread_id),
    )
    merged = {**(orjson.loads(rows[0]["state_data"]) if rows else {}), **given.current_state}
    await _keep(state, given.graph_id, given.thread_id, "complex", merged)
    named = {"graph_id": given.graph_id, "thread_id": given.thread_id}
    return Json({"synchronized_state": merged, **named, "synchronization_timestamp": now()})


@router.get("/state/snapshots")
async def snapshots(state: Opened, graph_id: str | None = None, thread_id: str | None = None) -> Response:
    """The snapshots, newest first, a thousand at most."""
    rows = await state.database.fetch(
        f"SELECT {_SHOWN} FROM state_snapshots"  # noqa: S608 - a constant
        " WHERE graph_id = coalesce(?, graph_id) AND thread_id = coalesce(?, thread_id) ORDER BY id DESC LIMIT 1000",
        (graph_id, thread_id),
    )
    filters = {"graph_id": graph_id, "thread_id": thread_id}
    return Json({"snapshots": rows, "total": len(rows), "filters": filters, "timestamp": now()})


@router.get("/state/snapshots/{snapshot_id}")
async def snapshot(state: Opened, snapshot_id: str) -> Response:
    """One snapshot."""
    rows = await state.database.fetch(
        f"SELECT {_SHOWN}, state_data FROM state_snapshots WHERE state_id = ?",  # noqa: S608 - a constant
        (snapshot_id,),
    )
    if not rows:
        raise NotFound(f"Snapshot {snapshot_id} not found")
    data = orjson.loads(rows[0].pop("state_data"))
    return Json({"snapshot_id": snapshot_id, "state_data": data, "metadata": rows[0], "retrieval_timestamp": now()})


@router.get("/state/statistics")
async def statistics(state: Opened) -> Response:
    """How many snapshots there are, of how many graphs and threads."""
    rows = await state.database.fetch(
        "SELECT count(*) AS total_snapshots, count(DISTINCT graph_id) AS graphs, count(DISTINCT thread_id) AS threads"
        " FROM state_snapshots"
    )
    return Json({"statistics": rows[0], "timestamp": now()})


@router.post("/state/prepare-for-powershell")
async def prepare(given: dict[str, Any], *, include_metadata: bool = False) -> Response:
    """The state as it came: what JSON holds, PowerShell reads."""
    return Json({"powershell_state": given, "include_metadata": include_metadata, "preparation_timestamp": now()})
