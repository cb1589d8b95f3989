"""What one server is made of: its tools, its local dependencies, the peer it speaks to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mcp.server.mcpserver.tools import Tool
from mcp_types import ToolAnnotations

from mcp_service.peer import Peer

Check = Callable[[], str]
"""Says why a local dependency can't be used; an empty string when it can."""

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
ACTS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Toolset:
    """One server's content; `app.build` puts it on the wire."""

    title: str
    instructions: str
    tools: tuple[Tool, ...]
    checks: Mapping[str, Check] = field(default_factory=dict)
    peer: Peer | None = None


def reads(*functions: Callable[..., object]) -> tuple[Tool, ...]:
    """Tools that change nothing."""
    return tuple(Tool.from_function(function, annotations=READS) for function in functions)


def acts(*functions: Callable[..., object]) -> tuple[Tool, ...]:
    """Tools that may change something outside."""
    return tuple(Tool.from_function(function, annotations=ACTS) for function in functions)
