"""How the service is: probes, metrics, and what it is."""

from __future__ import annotations

import shutil
import time
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from langgraph_service import metrics
from langgraph_service.encode import Json
from langgraph_service.inventory import failure, inventory
from langgraph_service.routes.access import Opened, Running
from langgraph_service.runner import Runner
from langgraph_service.state import State

router = APIRouter()

VERSION = "1.0.0"
CHECK_SECONDS = 2.0


class Health:
    """Whether the state is writable, asked of the disk every two seconds at most."""

    def __init__(self) -> None:
        self._at = 0.0
        self._reason: str | None = None

    async def reason(self, state: State) -> str | None:
        """Why the state is not writable; None when it is."""
        if time.monotonic() - self._at > CHECK_SECONDS:
            try:
                await state.check()
                self._reason = None
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
                self._reason = f"{type(error).__name__}: {error}"
            self._at = time.monotonic()
        return self._reason


def _graphs(state: State) -> dict[str, Any]:
    loaded: dict[str, Any] = {name: {"state": "loaded"} for name in state.graphs.loaded}
    return loaded | {name: {"state": "failed", "reason": reason} for name, reason in state.graphs.failed.items()}


async def _report(request: Request, state: State, runner: Runner) -> dict[str, Any]:
    health: Health = request.app.state.health
    reason, entries = await health.reason(state), inventory(state.graphs, state.settings.critical)
    free = shutil.disk_usage(state.settings.checkpoints.parent).free
    database = {"state": "writable"} if reason is None else {"state": "failed", "reason": reason}
    wrong = reason or failure(entries)
    return {
        "status": "unhealthy" if wrong else "healthy",
        **({"reason": wrong} if wrong else {}),
        "service": "langgraph-api",
        "version": VERSION,
        "database": {**database, "free_bytes": free},
        "graphs": _graphs(state),
        "inventory": entries,
        "runs": {"in_flight": len(runner.active())},
    }


@router.get("/health")
async def health(request: Request, state: Opened, runner: Running) -> Response:
    """Alive, with state that can be written and every declared graph loaded; `reason` says what is wrong."""
    report = await _report(request, state, runner)
    return Json(report, status_code=200 if report["status"] == "healthy" else 503)


@router.get("/ready")
async def ready(request: Request, state: Opened, runner: Running) -> Response:
    """Able to take work: state that can be written, not stopping, at least one graph. The graphs that load can run."""
    report = await _report(request, state, runner)
    able = report["database"]["state"] == "writable" and not runner.stopping.is_set() and bool(state.graphs.loaded)
    return Json({**report, "status": "ready" if able else "not ready"}, status_code=200 if able else 503)


@router.get("/metrics", response_class=PlainTextResponse)
async def scrape(request: Request) -> Response:
    """What Prometheus reads."""
    return metrics.scrape(request.headers.get("accept"))


@router.get("/ok")
async def ok() -> Response:
    """Alive, in the official server's words."""
    return Json({"ok": True})


@router.get("/info")
async def info() -> Response:
    """What this server is and can do."""
    flags = {"assistants": True, "crons": False, "langsmith": False}
    return Json({"version": VERSION, "langgraph_py_version": version("langgraph"), "flags": flags})
