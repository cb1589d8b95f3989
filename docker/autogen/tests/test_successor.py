"""Another framework takes AutoGen's place by one module: here a team without any, where AutoGen can't be imported."""

from __future__ import annotations

from typing import Any

from groupchat_harness import COMPILE_ERRORS, Server, StartServer
from sse_reader import all_events


def conversation(view: dict[str, Any]) -> list[tuple[str, str]]:
    """Who said what, without the tools."""
    return [(one["source"], one["content"]) for one in view["messages"] if one["type"] == "text"]


def test_a_team_of_another_make_holds_the_same_chat(local_server: Server, start_server: StartServer) -> None:
    """The same words in the same order, a question to a person and its answer, events without a gap, one agent alone."""
    plain = start_server("plain_server")
    assert conversation(plain.chat()) == conversation(local_server.chat())
    asked = plain.chat(agents=["analyst", "human"])
    address = f"/groupchat/{asked['session_id']}"
    ended = plain.client.post(f"{address}/messages", json={"content": "yes", "wait": True}).json()
    assert (asked["status"], ended["stop_reason"], ended["model"]) == ("input_required", "approved", "plain")
    seen = all_events(plain.client, str(asked["session_id"]))
    assert [event.id for event in seen] == list(range(1, len(seen) + 1))
    alone = plain.client.post("/agent/message", json={"agent": "analyst", "content": COMPILE_ERRORS}).json()
    assert "5 compile errors" in alone["content"]
