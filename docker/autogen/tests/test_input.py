"""Bad input gets a 4xx with a reason: never a 5xx, never a traceback, and the service goes on."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from groupchat_harness import Api

CHAT = "/groupchat"
EVENTS = "/groupchat/{id}/events"
TEAM = '{"task": "t", "agents": ["\\ud800"]}'
BODIES = {
    "nothing": b"",
    "cut off": b'{"task": "x',
    "not UTF-8": b'{"task": "\xff"}',
    "an array": b"[]",
    "null": b"null",
    "100,000 deep": b"[" * 100_000,
    "NaN": b'{"task": "x", "max_rounds": NaN}',
    "infinite": b'{"task": "x", "max_rounds": 1e999}',
    "a number of 5,000 digits": b'{"task": "x", "max_rounds": ' + b"9" * 5000 + b"}",
    "half a character": b'{"task": "\\ud800"}',
    "half a character in a name": TEAM.encode(),
    "wrong types": b'{"task": 1, "agents": "x", "max_rounds": "16", "wait": "maybe", "stream": []}',
    "a path for an id": b'{"task": "x", "session_id": "../../etc/passwd"}',
    "a line end in an id": b'{"task": "x", "session_id": "a\\r\\nX-Evil: 1"}',
}


def refused(status: int, text: str) -> None:
    """A client's mistake, with a reason and nothing of the inside."""
    assert 400 <= status < 500, (status, text[:500])
    assert text.strip()
    assert "Traceback" not in text
    assert "site-packages" not in text


@pytest.mark.parametrize("path", [CHAT, "/groupchat/none/messages", "/agent/message"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_request_is_refused(server: Api, path: str, body: bytes) -> None:
    """Malformed JSON and wrong types, on every route that takes a body."""
    answer = server.client.post(path, content=body, headers={"content-type": "application/json"})
    refused(answer.status_code, answer.text)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_a_body_of_another_kind_is_refused(server: Api, content_type: str) -> None:
    """A form of a foreign page can't start a chat."""
    answer = server.client.post(CHAT, content=b'{"task": "x"}', headers={"content-type": content_type})
    refused(answer.status_code, answer.text)


@pytest.mark.parametrize(
    "query", ["after=-1", "after=x", f"after={2**63}", f"after={'9' * 5000}", "after=%00", "follow=perhaps"]
)
def test_a_place_in_the_log_that_cannot_be_is_refused(server: Api, query: str) -> None:
    """SSE and WebSocket take a number that the log can hold."""
    session_id = server.chat(max_rounds=1)["session_id"]
    answer = server.client.get(f"/groupchat/{session_id}/events?{query}")
    refused(answer.status_code, answer.text)
    upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    key = {"sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    assert server.client.get(f"/groupchat/{session_id}/ws?{query}", headers=upgrade | key).status_code == 403


@pytest.mark.parametrize(
    "path", ["/groupchat/..%2f..%2fetc%2fpasswd", "/groupchat/%ff%00", "/groupchat/%zz", "/%2e%2e/x"]
)
def test_a_path_leads_nowhere_else(server: Api, path: str) -> None:
    """Traversal and bytes that are no text find no session."""
    answer = server.client.get(path)
    refused(answer.status_code, answer.text)
    assert "root:" not in answer.text


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "status=odd"])
def test_a_list_that_cannot_be_is_refused(server: Api, query: str) -> None:
    """Limits are limits."""
    answer = server.client.get(f"/sessions?{query}")
    refused(answer.status_code, answer.text)


def test_a_refused_method_names_all_that_are_allowed(server: Api) -> None:
    """The router alone would name those of the path's first route."""
    answer = server.client.put("/groupchat/none")
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET")


@pytest.mark.parametrize(
    "header",
    [
        b"X-Request-Id: a\rSet-Cookie: evil=1",
        b"X-Request-Id: a\nSet-Cookie: evil=1",
        b"X-Request-Id: a\r\n Set-Cookie: evil=1",
        b"X-Request-Id: " + b"a" * 5000,
        b"X-Request-Id: \xff\xfe",
        b"Last-Event-ID: \xb2",
        b"Content-Length: -1",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"X-Filler: " + b"a" * 200_000,
    ],
    ids=lambda header: repr(header[:30]),
)
def test_a_header_cannot_put_another_into_the_answer(server: Api, header: bytes) -> None:
    """Whatever stands in a header, the answer is the service's own, and no 5xx."""
    at = urlsplit(server.url)
    request = f"GET /agents HTTP/1.1\r\nHost: x\r\nConnection: close\r\nx-api-key: {server.token}\r\n".encode()
    answer = b""
    with socket.create_connection((at.hostname or "", at.port or 80), timeout=60) as client, suppress(ConnectionError):
        client.sendall(request + header + b"\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    head = answer.partition(b"\r\n\r\n")[0]
    assert not head or int(head.split()[1]) in (200, 400, 401, 422, 431), head
    assert b"evil" not in head.lower()


def test_a_task_of_odd_facts_is_only_text(server: Api) -> None:
    """Facts of the wrong kind in a task end in a chat like any other."""
    event = {"path": {"a": 1}, "kind": [1]}
    summary = {"result": [{"file": 1, "line": {}, "code": [], "count": "x"}], "errors": float("nan")}
    for task in (json.dumps({"event": event, "summary": summary}), "[" * 20_000, "\0", '{"event":' * 5_000):
        assert server.chat(task)["status"] == "finished"
