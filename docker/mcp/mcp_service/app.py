"""Puts a toolset on the wire: MCP over streamable HTTP at /mcp, probes beside it."""

from __future__ import annotations

from mcp.server.caching import CacheHint
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError
from mcp.server.mcpserver.resources import FunctionResource, Resource
from mcp.server.transport_security import TransportSecuritySettings
from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry
from ucservice.metrics import HttpMetrics
from ucservice.secretfile import Secret
from ucservice.web import App, Observer, RequestLog

from mcp_service import toolsets
from mcp_service.addresses import ByAddress
from mcp_service.bearer import FileTokens, auth_settings
from mcp_service.envelope import Envelope
from mcp_service.observe import ToolCalls
from mcp_service.offers import CheckedPrompts, ListedResources
from mcp_service.peer import token_problem
from mcp_service.probes import Probes
from mcp_service.settings import Settings
from mcp_service.toolset import Toolset

_TOOLS_STAY = CacheHint(ttl_ms=60_000, scope="public")


def build(settings: Settings) -> App:
    """The whole ASGI application of the server that the settings pick."""
    registry = CollectorRegistry()
    for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
        registry.register(collector)
    secret = Secret("mcp_token")
    chosen = toolsets.build(settings)
    server = _server(settings, chosen, secret, registry)
    checks = {"mcp_token": lambda: token_problem(secret), **chosen.checks}
    probes = Probes(settings.server, chosen, checks, registry)
    for path, handler in (("/health", probes.health), ("/ready", probes.ready), ("/metrics", probes.metrics)):
        server.custom_route(path, methods=["GET"])(handler)
    return on_wire(server, settings, observer=HttpMetrics(registry))


def on_wire(
    server: MCPServer[None],
    settings: Settings,
    *,
    stateless: bool = True,
    streams: bool = False,
    observer: Observer | None = None,
) -> App:
    """The transport with its Host and Origin checks; the defaults are what is served.

    A call is answered with JSON, not with a stream: a stream would be cut at SIGTERM, and the call in it with it.
    """
    application = server.streamable_http_app(
        stateless_http=stateless,
        json_response=not streams,
        transport_security=TransportSecuritySettings(
            allowed_hosts=list(settings.allowed_hosts), allowed_origins=list(settings.allowed_origins)
        ),
    )
    reachable = ByAddress(application, next(iter(settings.allowed_hosts), ""))
    return RequestLog(Envelope(reachable), observer=observer)


def _server(settings: Settings, chosen: Toolset, secret: Secret, registry: CollectorRegistry) -> MCPServer[None]:
    server: MCPServer[None] = MCPServer(
        f"mcp-{settings.server}",
        title=chosen.title,
        version=settings.version or "0.0.0",
        instructions=chosen.instructions,
        tools=list(chosen.tools),
        resources=[*chosen.resources, *_release(settings)],
        auth=auth_settings(settings.public_url),
        token_verifier=FileTokens(secret),
        cache_hints={"tools/list": _TOOLS_STAY},
        # The tools never change while a server runs: nothing to subscribe to, and no stream that outlives SIGTERM.
        subscriptions=False,
        middleware=[ToolCalls(registry, frozenset(tool.name for tool in chosen.tools)), CheckedPrompts(chosen.prompts)],
    )
    if chosen.listed is not None:
        server.middleware.append(ListedResources(chosen.listed))
    for prompt in chosen.prompts:
        server.add_prompt(prompt)
    for one in chosen.templates:
        server.resource(one.uri, title=one.title, mime_type=one.mime_type)(one.function)
    return server


def _release(settings: Settings) -> list[Resource]:
    """The release in force, where the stack says it; read at each call, for it changes while the server runs."""
    file = settings.release_file
    if not file:
        return []

    def read() -> str:
        try:
            return file.read_text("utf-8")
        except OSError as error:
            raise ResourceError(f"the stack does not say which release runs: {error.strerror}") from error

    return [
        FunctionResource(
            uri="release:///current",
            name="release",
            title="The release in force",
            description="The version of the stack, and of each service with its image; null for what is no release.",
            fn=read,
            mime_type="application/json",
        )
    ]
