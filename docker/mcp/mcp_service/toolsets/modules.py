"""The PowerShell modules of the stack, as tools."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import quote

from mcp_types import CallToolResult, TextContent
from pydantic import Field
from ucservice.secretfile import Secret

from mcp_service.offers import Listed, NotThere, prompt, template
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

    async def listed(self) -> list[Listed]:
        """The modules' helps, as a client lists them."""
        names = [str(module.get("name", "")) for module in (await self.list_modules())["modules"]]
        return [
            Listed(uri=f"module:///{quote(name)}", name=name, title=f"Help of {name}", mime_type="text/markdown")
            for name in names
        ]

    async def module_help(self, module: Name) -> str:
        """The help of a PowerShell module: its commands with their synopses and parameters."""
        commands = (await self.list_commands(module)).get("commands", [])
        return f"# {module}\n\n" + "\n\n".join(map(_command_help, commands))

    async def command_help(self, module: Name, command: Name) -> str:
        """The help of one command of a PowerShell module."""
        commands = (await self.list_commands(module)).get("commands", [])
        found = next((one for one in commands if _name_of(one).lower() == command.lower()), None)
        if found is None:
            raise NotThere(f"module {module} has no command {command!r}; it has {', '.join(map(_name_of, commands))}")
        return _command_help(found)

    async def explain(self, module: Name, command: str = "") -> str:
        """Explain a PowerShell module, or one of its commands, and how to call it with the tool invoke."""
        text = await (self.command_help(module, command) if command else self.module_help(module))
        return (
            f"Explain {f'the command {command} of ' if command else ''}the PowerShell module {module}: what it is for, "
            "what its parameters mean, and an example of a call with the tool `invoke`, with its parameters as JSON. "
            f"This is its help:\n\n{text}"
        )


def _name_of(command: Any) -> str:
    return str(command.get("name", "")) if isinstance(command, dict) else str(command)


def _command_help(command: Any) -> str:
    if not isinstance(command, dict):
        return f"## {command}"
    lines = [f"## {_name_of(command)}", str(command.get("synopsis") or "").strip()]
    for one in command.get("parameters", ()):
        notes = [str(one.get("type") or one.get("accepts") or "")]
        notes += ["mandatory"] if one.get("mandatory") else []
        notes += [f"one of {', '.join(map(str, one['values']))}"] if one.get("values") else []
        lines.append(f"- `-{one.get('name')}` ({', '.join(filter(None, notes))}) {one.get('help') or ''}".rstrip())
    return "\n".join(line for line in lines if line)


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
        prompts=(prompt("Help of a module or a command", tools.explain),),
        listed=tools.listed,
        templates=(
            template("module:///{module}", "Help of a module", tools.module_help),
            template("module:///{module}/{command}", "Help of a command", tools.command_help),
        ),
        checks={"powershell_token": peer.check_secret},
        peer=peer,
    )
