"""Clients of the old server: what LEGACY_API adds to the answers, and what stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from groupchat_harness import COMPILE_ERRORS, Server
from sse_reader import all_events

OLD_NAMES = ["repo_analyst", "code_reviewer"]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the old answers."""
    folder = tmp_path_factory.mktemp("old") / "service"
    folder.mkdir()
    running = Server(folder, LEGACY_API="true")
    yield running
    running.client.close()
    running.stop()


def test_s9_an_old_client_opens_and_follows_a_chat(old: Server, fresh_id: str) -> None:
    """Unknown agents and `config` are taken, the start is 200 and `started`, the end is `completed`; its keys are there."""
    body = {"task": COMPILE_ERRORS, "agents": OLD_NAMES, "max_rounds": 100, "session_id": fresh_id, "config": {"a": 1}}
    started = old.client.post("/groupchat", json=body)
    assert (started.status_code, started.json()) == (
        200,
        {
            "session_id": fresh_id,
            "status": "started",
            "messages": [],
            "metadata": {"task": COMPILE_ERRORS, "agents": OLD_NAMES, "max_rounds": 100},
        },
    )
    view = old.wait_for(fresh_id, lambda found: bool(found["status"] != "running"))
    assert (view["status"], view["metadata"]["task"]) == ("completed", COMPILE_ERRORS)
    assert view["metadata"]["agents"] == ["analyst", "operator", "reviewer"]
    assert {"agent", "content", "timestamp"} <= view["messages"][0].keys()
    assert [one["agent"] for one in view["messages"]] == [one["source"] for one in view["messages"]]
    assert (view["stop_reason"], bool(view["result"])) == ("approved", True)
    assert old.client.delete(f"/groupchat/{fresh_id}").json()["message"] == f"Session {fresh_id} deleted"
    gone = old.client.get(f"/groupchat/{fresh_id}")
    assert (gone.status_code, gone.json()["detail"]) == (404, f"Session {fresh_id} not found")
    assert old.client.delete(f"/groupchat/{fresh_id}").status_code == 404


def test_s9_known_agents_make_the_team(old: Server) -> None:
    """Of the names that an old client sends, those that are there take part."""
    started = old.client.post("/groupchat", json={"task": "x", "agents": ["repo_analyst", "reviewer"]}).json()
    view = old.wait_for(started["session_id"], lambda found: bool(found["status"] != "running"))
    assert view["agents"] == ["reviewer"]


def test_s9_lists_have_the_old_keys(old: Server) -> None:
    """Sessions have `id` and the old status, agents have `capabilities`."""
    chat = old.chat()["session_id"]
    listed = {one["id"]: one["status"] for one in old.client.get("/sessions").json()["sessions"]}
    assert listed[chat] == "completed"
    agents = {one["name"]: one["capabilities"] for one in old.client.get("/agents").json()["agents"]}
    assert agents["analyst"] == ["read_event"]


def test_s9_a_message_to_an_agent(old: Server) -> None:
    """An unknown agent's message comes back as received; a known agent answers."""
    sent = {"agent": "doc_generator", "content": "hello", "timestamp": "2025-01-01T00:00:00"}
    echo = old.client.post("/agent/message", json=sent).json()
    assert (echo["status"], echo["agent"], echo["content"]) == ("received", "doc_generator", "hello")
    answer = old.client.post("/agent/message", json={"agent": "analyst", "content": COMPILE_ERRORS}).json()
    assert "5 compile errors" in answer["content"]
    assert answer["timestamp"]


def test_s9_the_front_door_is_open(old: Server) -> None:
    """`/` and `/openapi.json` need no token, everything else does; /health has the old keys too."""
    root = httpx.get(old.url + "/")
    assert (root.status_code, root.json()["service"]) == (200, "AutoGen GroupChat API")
    assert httpx.get(old.url + "/openapi.json").status_code == 200
    assert httpx.get(old.url + "/agents").status_code == 401
    assert httpx.post(old.url + "/groupchat", json={}).status_code == 401
    assert {"autogen_version", "active_sessions", "timestamp", "inventory"} <= httpx.get(
        old.url + "/health"
    ).json().keys()


def test_s9_the_stack_s_own_clients_are_answered_as_ever(old: Server) -> None:
    """A chat with `wait` ends `finished`, and events have their own words: nothing in the stack has to know of it."""
    chat = old.chat()
    assert (chat["status"], chat["messages"][0]["source"]) == ("finished", "user")
    assert all_events(old.client, str(chat["session_id"]))[-1].event == "finished"


WRONG: list[tuple[bytes, int]] = [
    (b"{", 422),
    (b"[]", 422),
    (b'{"task": "x"}', 422),
    (b'{"task": "", "agents": []}', 422),
    (b'{"task": "x", "agents": [], "session_id": "a b"}', 422),
    (b'{"task": "x", "agents": ["nobody"], "wait": true}', 422),
    (b'{"task": "\xff"}', 422),
]


@pytest.mark.parametrize(("body", "status"), WRONG)
def test_s9_a_wrong_body_is_refused_with_its_place(old: Server, body: bytes, status: int) -> None:
    """422 with a list of what is wrong, as ever; the new form is as strict as without the setting."""
    answer = old.client.post("/groupchat", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert answer.json()["detail"][0]["loc"][0] == "body"


def test_s9_it_is_off_by_default(local_server: Server, fresh_id: str) -> None:
    """Without the setting unknown agents are refused, no old key is there, and the front door is closed."""
    refused = local_server.client.post("/groupchat", json={"task": "x", "agents": OLD_NAMES, "session_id": fresh_id})
    assert refused.status_code == 422
    view: dict[str, Any] = local_server.chat()
    assert "metadata" not in view
    assert httpx.get(local_server.url + "/").status_code == 401


def test_s9_a_switch_is_true_or_false(tmp_path: Path) -> None:
    """Another value is refused by its name."""
    folder = tmp_path / "service"
    folder.mkdir()
    with pytest.raises(AssertionError, match="LEGACY_API: 'maybe' is neither true nor false"):
        Server(folder, LEGACY_API="maybe")
