"""What one server is made of: its tools, resources and prompts, its local dependencies, the peer it speaks to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.resources import Resource
from mcp.server.mcpserver.tools import Tool
from mcp_types import ToolAnnotations

from mcp_service.offers import Listed, Template
from mcp_service.peer import Peer

Check = Callable[[], str]
"""Says why a local dependency can't be used; an empty string when it can."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """What a server serves: the name of its check, and how many things there are of it, where that is known."""

    name: str
    check: str
    count: int | None = None


READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
ACTS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Toolset:
    """One server's content; `app.build` puts it on the wire."""

    title: str
    instructions: str
    tools: tuple[Tool, ...]
    prompts: tuple[Prompt, ...] = ()
    resources: tuple[Resource, ...] = ()
    templates: tuple[Template, ...] = ()
    listed: Callable[[], Awaitable[Sequence[Listed]]] | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    peer: Peer | None = None


def reads(*functions: Callable[..., object]) -> tuple[Tool, ...]:
    """Tools that change nothing."""
    return tuple(_strict(Tool.from_function(function, annotations=READS)) for function in functions)


def acts(*functions: Callable[..., object]) -> tuple[Tool, ...]:
    """Tools that may change something outside."""
    return tuple(_strict(Tool.from_function(function, annotations=ACTS)) for function in functions)


def _strict(tool: Tool) -> Tool:
    """The tool with a refusal of arguments that it has not: a misspelt one would be passed over without a word."""
    model = tool.fn_metadata.arg_model
    model.model_config["extra"] = "forbid"
    model.model_rebuild(force=True)
    return tool.model_copy(update={"parameters": model.model_json_schema(by_alias=True)})
