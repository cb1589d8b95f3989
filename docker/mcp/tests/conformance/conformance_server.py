"""The suite's fixtures on the transport, the checks and the server loop of the real servers; no token.

Streams are on, for the scenarios about progress and messages; without `--stateless` there are sessions too, which the
older protocol's scenarios need.
"""

from __future__ import annotations

import os
import sys

import conformance_content
import conformance_rounds
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp_service.app import on_wire
from mcp_service.settings import Settings
from ucservice import logs
from ucservice.web import serve


async def accept(_ctx: ServerRequestContext, _params: types.RequestParams) -> types.EmptyResult:
    """Enough for logging/setLevel and subscriptions, whose effects the suite does not ask for."""
    return types.EmptyResult()


def main() -> None:
    """Listen on UC_HOST and UC_PORT."""
    logs.setup()
    server: MCPServer[None] = MCPServer(
        "conformance", version="1.0.0", tools=conformance_content.tools() + conformance_rounds.tools()
    )
    conformance_content.add_resources(server)
    conformance_content.add_prompts(server)
    conformance_rounds.add_prompt(server)
    for method, params in (
        ("logging/setLevel", types.SetLevelRequestParams),
        ("resources/subscribe", types.SubscribeRequestParams),
        ("resources/unsubscribe", types.UnsubscribeRequestParams),
    ):
        server._lowlevel_server.add_request_handler(method, params, accept)
    settings = Settings.from_env({**os.environ, "MCP_SERVER": "docs"})
    serve(on_wire(server, settings, stateless="--stateless" in sys.argv, streams=True), port=settings.port)


if __name__ == "__main__":
    main()
