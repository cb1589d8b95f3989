"""One log line and one measurement for each tool call."""

from __future__ import annotations

import time
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types import CallToolResult
from prometheus_client import CollectorRegistry, Counter, Histogram
from ucservice import logs

_log = logs.get("tools")
_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60)


class ToolCalls:
    """Server middleware. Only known tool names become labels, so a client can't grow the metrics."""

    def __init__(self, registry: CollectorRegistry, known: frozenset[str]) -> None:
        self.known = known
        self.calls = Counter("mcp_tool_calls", "Tool calls by outcome", ["tool", "outcome"], registry=registry)
        self.seconds = Histogram(
            "mcp_tool_call_duration_seconds", "Time of a call", ["tool"], registry=registry, buckets=_BUCKETS
        )

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method != "tools/call":
            return await call_next(ctx)
        name = ctx.params.get("name") if ctx.params else None
        tool = name if isinstance(name, str) and name in self.known else "unknown"
        started, outcome = time.perf_counter(), "failed"
        try:
            result = await call_next(ctx)
            outcome = "refused" if _is_error(result) else "ok"
            return result
        finally:
            seconds = time.perf_counter() - started
            self.calls.labels(tool, outcome).inc()
            self.seconds.labels(tool).observe(seconds)
            _log.info("tool_call", tool=tool, outcome=outcome, ms=round(seconds * 1000, 1))


def _is_error(result: HandlerResult) -> bool:
    if isinstance(result, CallToolResult):
        return bool(result.is_error)
    return isinstance(result, dict) and bool(result.get("isError"))
