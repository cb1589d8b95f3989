"""The configuration of an MCP client: on stdout as its file has it, what else there is to do on stderr."""

from __future__ import annotations

import json as json_text

from build import console
from build.stack.mcp_clients import Configuration


def configuration(result: Configuration, *, json: bool = False) -> None:
    """Print it."""
    if json:
        console.result(result)
        return
    console.text(json_text.dumps(result.configuration, indent=2, ensure_ascii=False))
    console.note(f"goes into {result.file}")
    for note in result.notes:
        console.note(note)
