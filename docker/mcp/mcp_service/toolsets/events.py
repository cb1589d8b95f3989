"""What changed in the watched tree, and what the triggers made of it."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field
from ucservice.secretfile import Secret

from mcp_service.peer import Peer
from mcp_service.settings import Settings
from mcp_service.toolset import Toolset, reads

_PAGE = 500
_PAGES = 40


class Events:
    """Each tool reads GET /events of monitoring."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    async def list_events(
        self,
        after: Annotated[str, Field(description="Only events after this id")] = "",
        path: Annotated[str, Field(description="Only events of this path")] = "",
        limit: Annotated[int, Field(ge=1, le=_PAGE)] = 50,
    ) -> dict[str, Any]:
        """List changes of the watched tree: id, path, kind (added, modified, deleted), time, and each delivery."""
        query = {"after": after, "path": path, "limit": str(limit)}
        return await self.peer.get("/events", {name: value for name, value in query.items() if value})

    async def get_event(self, event_id: Annotated[str, Field(min_length=1, max_length=200)]) -> dict[str, Any]:
        """Get one event with the state, the attempts and the answer of each of its deliveries."""
        after = ""
        for _ in range(_PAGES):
            events = (await self.list_events(after=after, limit=_PAGE)).get("events", [])
            for event in events:
                if str(event.get("id")) == event_id:
                    return dict(event)
            if len(events) < _PAGE:
                break
            after = str(events[-1]["id"])
        raise ToolError(f"no event {event_id}")


def build(settings: Settings) -> Toolset:
    """The events server."""
    peer = Peer("monitoring", settings.monitoring_url, Secret("monitoring_token"), timeout=settings.peer_timeout)
    tools = Events(peer)
    return Toolset(
        title="Events of the watched tree",
        instructions="list_events shows what changed and what the triggers answered; get_event shows one in full.",
        tools=reads(tools.list_events, tools.get_event),
        checks={"monitoring_token": peer.check_secret},
        peer=peer,
    )
