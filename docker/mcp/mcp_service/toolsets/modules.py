"""The PowerShell modules of the stack, as tools."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import quote

from mcp_types import CallToolResult, TextContent
from pydantic import Field
from ucservice.secretfile import Secret

from mcp_service.peer import Peer
from mcp_service.settings import Settings
from mcp_service.toolset import Toolset, acts, reads

Name = Annotated[str, Field(min_length=1, max_length=128)]


class Modules:
    """Each tool is one request to powershell-modules."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    async def list_modules(self) -> dict[str, Any]:
        """List the PowerShell modules with version, state and the number of commands; list_commands names those."""
        answer = await self.peer.get("/modules")
        modules = [dict(module) for module in answer.get("modules", [])]
        for module in modules:
            module["commands"] = len(module.get("commands") or ())
        return {"modules": modules}

    async def list_commands(self, module: Name) -> dict[str, Any]:
        """List the commands of one PowerShell module, with their parameters where they are known."""
        return await self.peer.get(f"/modules/{quote(module, safe='')}/commands")

    async def invoke(
        self,
        module: Name,
        command: Name,
        parameters: Annotated[dict[str, Any] | None, Field(description="Named parameters, by name")] = None,
    ) -> CallToolResult:
        """Call one command of a PowerShell module. The answer has `result`, `errors`, `ms` and `truncated`."""
        body = {"module": module, "command": command, "parameters": parameters or {}}
        answer = await self.peer.post("/invoke", body)
        # A command that wrote errors is a failed call for the model, which still sees what it returned.
        return CallToolResult(
            content=[TextContent(type="text", text=json.dumps(answer, ensure_ascii=False, indent=1))],
            structured_content=answer,
            is_error=not answer.get("ok", False),
        )


def build(settings: Settings) -> Toolset:
    """The modules server."""
    peer = Peer(
        "powershell-modules", settings.powershell_url, Secret("powershell_token"), timeout=settings.peer_timeout
    )
    tools = Modules(peer)
    return Toolset(
        title="PowerShell modules",
        instructions="Find a module with list_modules, its commands with list_commands, then call one with invoke.",
        tools=reads(tools.list_modules, tools.list_commands) + acts(tools.invoke),
        checks={"powershell_token": peer.check_secret},
        peer=peer,
    )
