"""Chats through the API of a running server: results, refusals, follow-ups, people."""

from __future__ import annotations

import json

import httpx
import pytest
from groupchat_harness import COMPILE_ERRORS, Api, Server
from groupchat_service.roles import MEMBERS


def test_every_worker_contributes_to_the_recommendation(server: Api) -> None:
    """Each worker uses its tool, the reviewer sends the operator back once, the supervisor decides."""
    view = server.chat()
    assert (view["status"], view["stop_reason"], view["model"]) == ("finished", "approved", "rules")
    assert all(f"Assets/{name}.cs:3" in str(view["result"]) for name in "ABCDE")
    messages = list(view["messages"])
    assert {"source", "content", "type"} <= set(messages[0])
    used = [call["name"] for message in messages for call in message.get("calls", ())]
    assert used == ["read_event", "propose_action", "check_proposal", "propose_action", "check_proposal"]


def test_a_monitoring_event_in_json_is_triaged(server: Api) -> None:
    """The task may be the event with its summary as JSON, as the triage graph sends it."""
    event = {"id": "e", "path": "Old/Gone.cs", "kind": "deleted"}
    view = server.chat("Advise on this event: " + json.dumps({"event": event, "summary": {"files": 2}}))
    assert "high risk" in str(view["result"])
    assert "git checkout HEAD -- Old/Gone.cs" in str(view["result"])


def test_a_task_without_an_event_is_not_approved(server: Api) -> None:
    """The rules don't pretend to know what they can't know."""
    view = server.chat("write a poem")
    assert (view["status"], view["stop_reason"]) == ("finished", "rejected")


def test_answers_without_waiting_and_shows_the_session_later(server: Api) -> None:
    """202 at once with the address where the result will be."""
    answer = server.client.post("/groupchat", json={"task": COMPILE_ERRORS})
    assert (answer.status_code, answer.json()["status"]) == (202, "running")
    view = server.wait_for(answer.headers["location"].rpartition("/")[2], lambda view: view["status"] == "finished")
    assert view["result"]


def test_a_smaller_team_and_a_round_limit_are_kept(server: Api) -> None:
    """Only the named workers speak, and never more turns than allowed."""
    view = server.chat(agents=["analyst"], max_rounds=2)
    assert {message["source"] for message in list(view["messages"])} == {"user", "supervisor", "analyst"}
    assert view["stop_reason"] == "max_rounds"
    assert "5 compile errors" in str(view["result"])


def test_a_follow_up_runs_the_team_again_on_the_earlier_event(server: Api) -> None:
    """A second message starts a new round of work instead of ending on the first approval."""
    first = server.chat()
    answer = server.client.post(
        f"/groupchat/{first['session_id']}/messages", json={"content": "and once more, please", "wait": True}
    )
    second = answer.json()
    assert (answer.status_code, second["status"], second["stop_reason"]) == (200, "finished", "approved")
    assert len(second["messages"]) > len(list(first["messages"])) + 5
    assert "Assets/A.cs" in second["result"]


@pytest.mark.parametrize(("words", "reason"), [("Yes, go on.", "approved"), ("no, wait", "rejected")])
def test_a_person_decides_when_one_is_in_the_team(server: Api, words: str, reason: str) -> None:
    """A risky change waits for the person's answer, and the answer decides."""
    asked = server.chat(agents=["analyst", "operator", "human"])
    assert (asked["status"], asked["stop_reason"]) == ("input_required", "input_required")
    assert "Shall this go ahead?" in str(asked["result"])
    answer = server.client.post(f"/groupchat/{asked['session_id']}/messages", json={"content": words, "wait": True})
    assert (answer.json()["status"], answer.json()["stop_reason"]) == ("finished", reason)
    assert "human" in {message["source"] for message in answer.json()["messages"]}


def test_the_same_request_again_finds_its_chat_and_another_is_refused(server: Api, fresh_id: str) -> None:
    """A client may repeat a request whose answer was lost; an id can't be taken over by another task."""
    first = server.chat(session_id=fresh_id)
    again = server.chat(session_id=fresh_id)
    assert again["last_seq"] == first["last_seq"]
    other = server.client.post("/groupchat", json={"task": "another", "session_id": fresh_id})
    assert other.status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"task": "   "},
        {"task": "t", "agents": ["nobody"]},
        {"task": "t", "agents": []},
        {"task": "t", "agents": ["human"]},
        {"task": "t", "max_rounds": 0},
        {"task": "t", "max_rounds": 65},
        {"task": "t", "session_id": "../x"},
        {"task": "t" * 200_001},
        {"task": "\ud800"},
    ],
    ids=str,
)
def test_bad_requests_are_refused_with_422(server: Api, body: dict[str, object]) -> None:
    """What can't be run is told at once, not in a failed session."""
    content = json.dumps(body)
    answer = server.client.post("/groupchat", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text


def test_unknown_sessions_are_404_everywhere(server: Api) -> None:
    """No route invents a session."""
    for method, path, body in (
        ("GET", "/groupchat/none", None),
        ("DELETE", "/groupchat/none", None),
        ("POST", "/groupchat/none/messages", {"content": "x"}),
        ("POST", "/groupchat/none/cancel", None),
        ("GET", "/groupchat/none/events", None),
    ):
        assert server.client.request(method, path, json=body).status_code == 404, path


def test_a_deleted_session_is_gone(server: Api) -> None:
    """DELETE forgets the session and its log."""
    session_id = server.chat()["session_id"]
    assert server.client.delete(f"/groupchat/{session_id}").status_code == 200
    assert server.client.get(f"/groupchat/{session_id}").status_code == 404
    assert server.client.post(f"/groupchat/{session_id}/cancel").status_code == 404


def test_a_finished_chat_cannot_be_cancelled(server: Api) -> None:
    """Cancel tells that there was nothing to stop."""
    session_id = server.chat()["session_id"]
    assert server.client.post(f"/groupchat/{session_id}/cancel").status_code == 409


def test_sessions_are_listed_by_status_newest_first(server: Api, fresh_id: str) -> None:
    """The list finds what is wanted without its messages."""
    server.chat(session_id=fresh_id)
    listed = server.client.get("/sessions", params={"status": "finished", "limit": 1}).json()
    assert listed["sessions"][0]["session_id"] == fresh_id
    assert listed["total"] >= 1
    assert "messages" not in listed["sessions"][0]


def test_agents_are_listed_with_their_tools(server: Api) -> None:
    """A client can learn whom it may name."""
    agents = {agent["name"]: agent for agent in server.client.get("/agents").json()["agents"]}
    assert set(agents) == {"supervisor", *MEMBERS}
    assert agents["analyst"]["tools"] == ["read_event"]


def test_one_agent_alone_answers_a_message(server: Api) -> None:
    """POST /agent/message runs that agent with its tool and keeps nothing."""
    answer = server.client.post("/agent/message", json={"agent": "analyst", "content": COMPILE_ERRORS})
    assert "5 compile errors" in answer.json()["content"]
    refused = server.client.post("/agent/message", json={"agent": "nobody", "content": "x"})
    assert refused.status_code == 404


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"x-api-key": "wrong"}])
def test_without_the_token_only_the_probes_answer(server: Api, headers: dict[str, str]) -> None:
    """Everything but health, readiness and metrics needs the token."""
    assert httpx.get(server.url + "/sessions", headers=headers).status_code == 401
    for path in ("/health", "/ready", "/metrics"):
        assert httpx.get(server.url + path, headers=headers).status_code == 200


def test_both_header_forms_of_the_token_are_taken(server: Api) -> None:
    """x-api-key works like the bearer token."""
    assert httpx.get(server.url + "/agents", headers={"x-api-key": server.token}).status_code == 200


def test_a_rotated_token_is_taken_at_once(local_server: Server) -> None:
    """A second line in the file is valid from the next request on."""
    server = local_server
    (server.folder / "autogen_token").write_text("test-token\nnext-token\n")
    assert httpx.get(server.url + "/agents", headers={"x-api-key": "next-token"}).status_code == 200


def test_too_large_bodies_are_refused_announced_or_not(server: Api) -> None:
    """10 MB end in 413 before they are in memory, with and without a Content-Length."""
    big = b'{"task": "' + b"x" * 10_000_000 + b'"}'
    headers = {"content-type": "application/json"}
    assert server.client.post("/groupchat", content=big, headers=headers).status_code == 413
    parts = (big[start : start + 65536] for start in range(0, 2_000_000, 65536))
    assert server.client.post("/groupchat", content=parts, headers=headers).status_code == 413


def test_metrics_count_runs_and_are_plain_prometheus(server: Api) -> None:
    """A scraper sees how chats ended, without a label that grows with the sessions."""
    server.chat()
    text = server.client.get("/metrics").text
    assert 'autogen_runs_total{status="finished"}' in text
    assert "autogen_run_duration_seconds_bucket" in text
    assert 'http_requests_total{method="POST",status="' in text
    assert "http_requests_in_flight 1.0" in text
    assert "_created" not in text
