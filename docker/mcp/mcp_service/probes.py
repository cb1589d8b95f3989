"""/health, /ready and /metrics: open, cheap, and true about local dependencies."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import anyio
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mcp_service.peer import Peer
from mcp_service.toolset import Check

_SLOWEST_CHECK = 2.0
_PEER_CACHED = 2.0


class Probes:
    """The three handlers over one server's checks and its peer, if it has one."""

    def __init__(
        self, server: str, checks: Mapping[str, Check], peer: Peer | None, registry: CollectorRegistry
    ) -> None:
        self.server, self.checks, self.peer, self.registry = server, checks, peer, registry
        self._peer_state, self._peer_asked = "", float("-inf")
        gauge = Gauge("mcp_dependency_up", "1 when a local dependency can be used", ["check"], registry=registry)
        for name, check in checks.items():
            gauge.labels(name).set_function(_as_number(check))

    async def health(self, _request: Request) -> Response:
        """200 while every local dependency can be used; a peer that is down changes nothing here."""
        return _answer(self.server, await self._local(), good="healthy", bad="unhealthy")

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

    async def _ask_peer(self, peer: Peer) -> str:
        if time.monotonic() - self._peer_asked > _PEER_CACHED:
            self._peer_state, self._peer_asked = await peer.ready(), time.monotonic()
        return self._peer_state


def _as_number(check: Check) -> Callable[[], float]:
    return lambda: float(not check())


def _answer(server: str, found: Mapping[str, str], *, good: str, bad: str) -> Response:
    fine = not any(found.values())
    body = {
        "status": good if fine else bad,
        "server": server,
        "checks": {name: reason or "ok" for name, reason in found.items()},
    }
    return JSONResponse(body, status_code=200 if fine else 503)
