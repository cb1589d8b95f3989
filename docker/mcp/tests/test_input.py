"""Bad input gets a 4xx, or a JSON-RPC or tool error, with a reason: never a 5xx, never a traceback."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from typing import Any

import httpx2
import pytest
from mcp_rig import Server

NAMES = ("modules", "docs", "repository", "events")
BODIES = {
    "nothing": b"",
    "cut off": b'{"jsonrpc":',
    "not UTF-8": b'"\xff\xfe"',
    "an array": b"[]",
    "a number": b"1",
    "null": b"null",
    "100,000 deep": b"[" * 100_000,
    "a number of 5,000 digits": b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"ping"}',
    "no method": b'{"jsonrpc":"2.0","id":1}',
    "parameters of a wrong type": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"x"}',
    "half a character": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\\ud800"}}',
}
PASSWD = "../../../../etc/passwd"
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("docs", "nothing_like_it", {}),
    ("docs", "search", {}),
    ("docs", "search", {"query": ["x"], "limit": "many"}),
    ("docs", "search", {"query": "x" * 501}),
    ("docs", "read", {"page": PASSWD}),
    ("docs", "read", {"page": "\0"}),
    ("repository", "read_file", {"path": PASSWD}),
    ("repository", "read_file", {"path": "/etc/passwd"}),
    ("repository", "read_file", {"path": "a\0b"}),
    ("repository", "read_file", {"path": "a/" * 2000}),
    ("repository", "read_file", {"path": {"a": 1}}),
    ("repository", "list_files", {"path": PASSWD}),
    ("repository", "list_files", {"glob": "[", "limit": 0}),
    ("repository", "search", {"pattern": "("}),
    ("repository", "search", {"pattern": "a\0b"}),
    ("repository", "search", {"pattern": "a", "glob": "\0"}),
    ("repository", "search", {"pattern": "a", "path": PASSWD}),
    ("repository", "git_log", {"revision": "\0"}),
    ("repository", "git_log", {"revision": "--output=/tmp/x"}),
    ("repository", "git_show", {"revision": "HEAD:../../etc/passwd"}),
    ("repository", "git_status", {"path": PASSWD}),
    ("modules", "list_commands", {"module": PASSWD}),
    ("modules", "list_commands", {"module": "M\r\nX-Evil: 1"}),
    ("modules", "invoke", {"module": "M", "command": "C", "parameters": "x"}),
    ("modules", "invoke", {"module": "M; Get-Date", "command": "C|D"}),
    ("events", "get_event", {"event_id": "../health"}),
    ("events", "list_events", {"limit": 10**9, "status": "odd"}),
]


def told(text: str) -> None:
    """A reason, and nothing of the inside."""
    assert text.strip()
    assert "Traceback" not in text
    assert "site-packages" not in text
    assert "root:" not in text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_message_is_refused(servers: dict[str, Server], name: str, body: bytes) -> None:
    """400 with the reason, from every server."""
    status, text, _ = servers[name].post(body)
    assert status == 400
    told(text)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_too_large_a_body_is_refused(servers: dict[str, Server], name: str, chunked: bool) -> None:
    """10 MB end in 413, with and without a Content-Length; without a token they are not looked at."""
    content = b'{"jsonrpc":"2.0","id":1,"method":"' + b"x" * 10_000_000 + b'"}'
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    for token, status in ((servers[name].token, 413), ("wrong", 401)):
        parts = (content[start : start + 65536] for start in range(0, len(content), 65536))
        answer = httpx2.post(
            f"{servers[name].url}/mcp",
            content=parts if chunked else content,
            headers={"authorization": f"Bearer {token}", **headers},
            timeout=60,
        )
        assert answer.status_code == status
        told(answer.text)


@pytest.mark.parametrize(("name", "tool", "arguments"), CALLS, ids=lambda value: str(value)[:40])
def test_arguments_that_cannot_be_are_refused(
    servers: dict[str, Server], name: str, tool: str, arguments: dict[str, Any]
) -> None:
    """The call fails for the model to read why; the transport is none the worse."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    status, text, _ = servers[name].post(json.dumps(message).encode(), MCP_Protocol_Version="2025-11-25")
    assert status == 200
    answer = json.loads(text)
    assert "error" in answer or answer["result"]["isError"]
    said = answer["error"]["message"] if "error" in answer else answer["result"]["content"][0]["text"]
    told(said)
    assert said != f"Error executing tool {tool}", "the reason is missing: an exception that nobody expected"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "header",
    [
        b"X-Request-Id: a\rSet-Cookie: evil=1",
        b"X-Request-Id: a\nSet-Cookie: evil=1",
        b"X-Request-Id: a\r\n Set-Cookie: evil=1",
        b"X-Request-Id: " + b"a" * 5000,
        b"X-Request-Id: \xff\xfe",
        b"MCP-Protocol-Version: \xff",
        b"Mcp-Session-Id: ../../x",
        b"Last-Event-ID: \xb2",
        b"Content-Length: -1",
        b"X-Filler: " + b"a" * 200_000,
    ],
    ids=lambda header: repr(header[:30]),
)
def test_a_header_cannot_put_another_into_the_answer(servers: dict[str, Server], name: str, header: bytes) -> None:
    """Whatever stands in a header, the answer is the server's own, and no 5xx."""
    head = _raw(servers[name], b"Accept: application/json\r\n" + header).partition(b"\r\n\r\n")[0]
    assert not head or int(head.split()[1]) in (400, 401, 405, 406, 431), head
    assert b"evil" not in head.lower()


@pytest.mark.parametrize("path", ["/mcp/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/%ff%00"])
def test_a_path_leads_nowhere_else(servers: dict[str, Server], path: str) -> None:
    """Only /mcp and the probes are there."""
    status, text = servers["docs"].get(path)
    assert status == 404
    told(text)


def _raw(server: Server, head: bytes) -> bytes:
    """The answer to a head of these bytes; nothing when the connection was cut instead."""
    host, _, port = server.host.partition(":")
    gate = f"GET /mcp HTTP/1.1\r\nHost: {server.host}\r\nConnection: close\r\nAuthorization: Bearer {server.token}\r\n"
    with socket.create_connection((host, int(port)), timeout=60) as client, suppress(ConnectionError):
        client.sendall(gate.encode() + head + b"\r\n\r\n")
        return b"".join(iter(lambda: client.recv(65536), b""))
    return b""
