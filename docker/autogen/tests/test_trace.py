"""One request id leads through all that a chat logs, also when another process ends the chat."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable

import httpx
from groupchat_harness import COMPILE_ERRORS, Provider, Server, StartServer, StartSlowServer
from sse_reader import all_events

Lines = list[dict[str, object]]


def logged(server: Server, request_id: str, complete: Callable[[Lines], bool]) -> Lines:
    """The lines of one request, once they are complete: a line may follow its answer."""
    deadline = time.monotonic() + 5
    while not complete(lines := server.lines(request_id)):
        assert time.monotonic() < deadline, lines
        time.sleep(0.02)
    return lines


def test_every_event_of_a_chat_is_logged_with_the_request_s_id(local_server: Server) -> None:
    """Start, each turn with its place in the event log, end, request; and no text of a message."""
    body = {"task": f"SECRETTEXT\n{COMPILE_ERRORS}", "wait": True}
    answer = local_server.client.post("/groupchat", json=body, headers={"x-request-id": "find-me"})
    view = answer.json()
    lines = logged(local_server, "find-me", lambda lines: any(line["event"] == "request" for line in lines))
    turns = [line for line in lines if line["event"] == "chat_turn"]
    seqs = [seq for seq, message in enumerate(view["messages"], 1) if message["type"] in ("text", "tool_summary")]
    assert [(line["seq"], line["source"]) for line in turns] == [
        (seq, view["messages"][seq - 1]["source"]) for seq in seqs if seq > 1
    ]
    assert [line["event"] for line in lines if line["event"] != "chat_turn"] == [
        "chat_started",
        "chat_stopped",
        "request",
    ]
    assert (answer.headers["x-request-id"], view["request_id"]) == ("find-me", "find-me")
    assert all_events(local_server.client, view["session_id"])[-1].data["request_id"] == "find-me"
    assert "SECRETTEXT" not in local_server.log.read_text()


def test_a_follow_up_is_logged_with_its_own_id(local_server: Server) -> None:
    """A chat belongs to the request that set it going last."""
    address = f"/groupchat/{local_server.chat()['session_id']}/messages"
    sent = {"content": "once more", "wait": True}
    view = local_server.client.post(address, json=sent, headers={"x-request-id": "second-id"}).json()
    lines = logged(local_server, "second-id", lambda lines: any(line["event"] == "request" for line in lines))
    assert {"chat_started", "chat_turn", "chat_stopped"} <= {line["event"] for line in lines}
    assert view["request_id"] == "second-id"


def test_the_id_goes_on_after_kill_9(
    start_server: StartServer, slow_server: StartSlowServer, provider: Provider
) -> None:
    """The next process logs the rest of the chat under the same id, and passes it to the provider."""
    server = slow_server(0)
    provider.set(stall_from=2)
    body = {"task": COMPILE_ERRORS}
    session_id = server.client.post("/groupchat", json=body, headers={"x-request-id": "kept-id"}).json()["session_id"]
    provider.wait_for_calls(2)
    server.stop(signal.SIGKILL)
    provider.set(stall_from=0)
    again = start_server(OPENAI_BASE_URL=f"{provider.url}/v1")
    assert all_events(again.client, session_id)[-1].event == "finished"
    lines = logged(again, "kept-id", lambda lines: any(line["event"] == "chat_stopped" for line in lines))
    assert lines[0]["event"] == "chat_started"
    assert {call["request_id"] for call in provider.calls()} == {"kept-id"}


def test_every_log_line_is_json(local_server: Server) -> None:
    """Whatever reads the log needs one parser; a header that would break a line is not taken as an id."""
    httpx.get(local_server.url + "/agents", headers={"x-request-id": 'a"} {"event":"forged'})
    for line in local_server.log.read_text().splitlines():
        assert {"time", "level", "service", "event"} <= set(json.loads(line))
