"""The four servers by name; each module here has a `build(settings)`."""

from __future__ import annotations

from importlib import import_module

from mcp_service.settings import Settings
from mcp_service.toolset import Toolset


def build(settings: Settings) -> Toolset:
    """The toolset that the settings pick. Only that one is imported: the others' libraries cost start-up and memory."""
    module = import_module(f"mcp_service.toolsets.{settings.server}")
    toolset: Toolset = module.build(settings)
    return toolset
