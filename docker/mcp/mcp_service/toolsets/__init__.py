"""The four servers by name."""

from __future__ import annotations

from collections.abc import Callable

from mcp_service.settings import Settings
from mcp_service.toolset import Toolset
from mcp_service.toolsets import docs, events, modules, repository

BUILDERS: dict[str, Callable[[Settings], Toolset]] = {
    "modules": modules.build,
    "docs": docs.build,
    "repository": repository.build,
    "events": events.build,
}


def build(settings: Settings) -> Toolset:
    """The toolset that the settings pick."""
    return BUILDERS[settings.server](settings)
