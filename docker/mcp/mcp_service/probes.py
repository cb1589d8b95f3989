"""/health, /ready and /metrics: open, cheap, and true about local dependencies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import anyio
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mcp_service.peer import Peer
from mcp_service.toolset import Check, Toolset

_SLOWEST_CHECK = 2.0
_PEER_CACHED = 2.0


class Probes:
    """The three handlers over one server's toolset, with the checks of its local dependencies."""

    def __init__(self, server: str, toolset: Toolset, checks: Mapping[str, Check], registry: CollectorRegistry) -> None:
        self.server, self.toolset, self.checks, self.registry = server, toolset, checks, registry
        self.peer = toolset.peer
        self._peer_state, self._peer_asked = "", float("-inf")
        self._asking: asyncio.Task[str] | None = None
        gauge = Gauge("mcp_dependency_up", "1 when a local dependency can be used", ["check"], registry=registry)
        for name, check in checks.items():
            gauge.labels(name).set_function(_as_number(check))

    async def health(self, _request: Request) -> Response:
        """200 while every local dependency can be used; a peer that is down changes nothing but its entry."""
        found = await self._local()
        return _answer(self.server, found, good="healthy", bad="unhealthy", inventory=self._inventory(found))

    async def ready(self, _request: Request) -> Response:
        """As health, and the peer must answer."""
        found = await self._local()
        if self.peer is not None:
            found[self.peer.name] = await self._ask_peer(self.peer)
        return _answer(self.server, found, good="ready", bad="not ready")

    async def metrics(self, request: Request) -> Response:
        """The registry in the format that the scraper asks for."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self.registry), headers={"content-type": content_type})

    async def _local(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, check in self.checks.items():
            # In a thread with a deadline: a dead network mount must not stop the event loop.
            found[name] = f"no answer in {_SLOWEST_CHECK:g} s"
            with anyio.move_on_after(_SLOWEST_CHECK):
                found[name] = await anyio.to_thread.run_sync(check, abandon_on_cancel=True)
        return found

    def _inventory(self, found: Mapping[str, str]) -> list[dict[str, Any]]:
        """Every tool, and what they serve. A peer's state is the last known: it is asked again, not waited for."""
        entries = [_entry("tool", tool.name) for tool in self.toolset.tools]
        for source in self.toolset.sources:
            count = {} if source.count is None else {"count": source.count}
            entries.append(_entry("source", source.name, found[source.check]) | count)
        if self.peer is not None:
            asked = self._peer_asked > float("-inf")
            entry = _entry("source", self.peer.name, self._peer_state, critical=False)
            entries.append(entry if asked else entry | {"state": "pending", "reason": "not asked yet"})
            if time.monotonic() - self._peer_asked > _PEER_CACHED and (self._asking is None or self._asking.done()):
                self._asking = asyncio.create_task(self._ask_peer(self.peer))
        return entries

    async def _ask_peer(self, peer: Peer) -> str:
        if time.monotonic() - self._peer_asked > _PEER_CACHED:
            self._peer_state, self._peer_asked = await peer.ready(), time.monotonic()
        return self._peer_state


def _as_number(check: Check) -> Callable[[], float]:
    return lambda: float(not check())


def _entry(kind: str, name: str, reason: str = "", *, critical: bool = True) -> dict[str, Any]:
    state = "failed" if reason else "ready"
    return {"kind": kind, "name": name, "state": state, "reason": " ".join(reason.split())[:300], "critical": critical}


def _answer(
    server: str, found: Mapping[str, str], *, good: str, bad: str, inventory: list[dict[str, Any]] | None = None
) -> Response:
    fine = not any(found.values())
    body: dict[str, Any] = {
        "status": good if fine else bad,
        "server": server,
        "checks": {name: reason or "ok" for name, reason in found.items()},
    }
    if inventory is not None:
        body["inventory"] = inventory
    if not fine:
        body["reason"] = "; ".join(f"{name}: {reason}" for name, reason in found.items() if reason)[:1000]
    return JSONResponse(body, status_code=200 if fine else 503)
