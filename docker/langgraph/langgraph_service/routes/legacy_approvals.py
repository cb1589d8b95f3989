"""The first server's approvals, with LEGACY_API=true: requests that wait for a person's decision."""

from __future__ import annotations

import uuid
from typing import Any

import orjson
from pydantic import BaseModel, Field
from starlette.responses import Response

from langgraph_service.database import now
from langgraph_service.encode import Json, dumps
from langgraph_service.errors import NotFound
from langgraph_service.routes.access import Opened
from langgraph_service.routes.strict import strict_router
from langgraph_service.state import State

router = strict_router()

_STATUS = (
    "approval_id",
    "status",
    "workflow_id",
    "title",
    "created_at",
    "approved_by",
    "approved_at",
    "comments",
    "escalation_level",
)
_PENDING = ("approval_id", "workflow_id", "title", "urgency_level", "created_at", "request_type")


class Request(BaseModel):
    """POST /approval/request"""

    workflow_id: str
    title: str
    description: str
    changes_summary: str | None = ""
    impact_analysis: str | None = ""
    urgency_level: str = "medium"
    request_type: str = "documentation"
    metadata: dict[str, Any] | None = Field(default_factory=dict)


class Decision(BaseModel):
    """POST /approval/{id}/respond"""

    approved: bool
    approved_by: str
    comments: str | None = ""
    timestamp: str | None = None


async def _read(state: State, approval_id: str) -> dict[str, Any]:
    rows = await state.database.fetch("SELECT data FROM approvals WHERE approval_id = ?", (approval_id,))
    if not rows:
        raise NotFound(f"Approval request {approval_id} not found")
    found: dict[str, Any] = orjson.loads(rows[0]["data"])
    return found


async def _write(state: State, data: dict[str, Any]) -> None:
    await state.database.run(
        "INSERT INTO approvals (approval_id, status, data) VALUES (?,?,?)"
        " ON CONFLICT (approval_id) DO UPDATE SET status = excluded.status, data = excluded.data",
        (data["approval_id"], data["status"], dumps(data).decode()),
    )


async def _create(state: State, given: Request) -> dict[str, Any]:
    data = {
        "approval_id": str(uuid.uuid4()),
        "thread_id": str(uuid.uuid4()),
        **given.model_dump(),
        "status": "pending",
        "created_at": now(),
        "expires_at": None,
        "escalation_level": 0,
    }
    await _write(state, data)
    return data


@router.post("/approval/request")
async def request(state: Opened, given: Request) -> Response:
    """A new request, which waits."""
    data = await _create(state, given)
    named = {"approval_id": data["approval_id"], "thread_id": data["thread_id"]}
    return Json({**named, "status": "created", "timestamp": now(), "approval_data": data})


@router.get("/approval/pending")
async def pending(state: Opened) -> Response:
    """The requests that nobody has decided, oldest first."""
    rows = await state.database.fetch("SELECT data FROM approvals WHERE status = 'pending' ORDER BY id LIMIT 1000")
    waiting = [{key: data.get(key) for key in _PENDING} for data in (orjson.loads(row["data"]) for row in rows)]
    return Json({"pending_approvals": waiting, "count": len(waiting), "timestamp": now()})


@router.get("/approval/{approval_id}")
async def status(state: Opened, approval_id: str) -> Response:
    """What became of a request."""
    data = await _read(state, approval_id)
    return Json({key: data.get(key) for key in _STATUS})


@router.post("/approval/{approval_id}/respond")
async def respond(state: Opened, approval_id: str, given: Decision) -> Response:
    """Decide a request."""
    data, at = await _read(state, approval_id), now()
    decision = {"decision": given.approved, "approved_by": given.approved_by, "comments": given.comments}
    decided = "approved" if given.approved else "rejected"
    await _write(state, {**data, **decision, "status": decided, "approved_at": given.timestamp or at})
    named = {"approval_id": approval_id, "thread_id": data["thread_id"]}
    return Json({**named, "status": "processed", "decision": given.approved, "timestamp": at})


@router.post("/approval/{approval_id}/escalate")
async def escalate(state: Opened, approval_id: str) -> Response:
    """Raise a request by one level."""
    data = await _read(state, approval_id)
    level, at = data["escalation_level"] + 1, now()
    await _write(state, {**data, "escalation_level": level, "escalated_at": at})
    return Json({"approval_id": approval_id, "escalation_level": level, "status": "escalated", "timestamp": at})


@router.post("/workflow/{workflow_id}/interrupt")
async def interrupt(state: Opened, workflow_id: str, given: Request) -> Response:
    """A request on behalf of a workflow. As there, no run stops for it: a graph asks by an interrupt of its own."""
    data = await _create(state, given.model_copy(update={"workflow_id": workflow_id}))
    named = {"approval_id": data["approval_id"], "thread_id": data["thread_id"]}
    return Json({**named, "status": "created", "timestamp": now(), "approval_data": data})
