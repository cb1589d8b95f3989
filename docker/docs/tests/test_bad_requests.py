"""Requests that no browser sends: each is answered with a 4xx, and the server goes on."""

from __future__ import annotations

import socket

import httpx
import pytest
from docs_rig import Server

HEAD = "host: docs\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (f"GET /{'a' * 20_000} HTTP/1.1\r\n{HEAD}", 431),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        (f"GET / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n{HEAD}", 400),
        (f"GET / HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n{HEAD}", 400),
        (f"GET / HTTP/1.1\r\nx-request-id: a\x00b\r\n{HEAD}", 400),
        (f"GET / HTTP/1.1\r\nexpect: nonsense\r\n{HEAD}", 417),
        (f"GET /\xff HTTP/1.1\r\n{HEAD}", 400),
        (f"GET /%zz HTTP/1.1\r\n{HEAD}", 404),
        (f"GET /%00 HTTP/1.1\r\n{HEAD}", 404),
        (f"GET /services%0d%0aset-cookie:a HTTP/1.1\r\n{HEAD}", 404),
        (f"GET /__proto__ HTTP/1.1\r\n{HEAD}", 404),
        (f"GET http://[bad/ HTTP/1.1\r\n{HEAD}", 404),
        (f"GET * HTTP/1.1\r\n{HEAD}", 404),
        (f"CONNECT elsewhere:443 HTTP/1.1\r\n{HEAD}", 405),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ],
    ids=lambda value: str(value)[:50].strip(),
)
def test_a_strange_request_is_refused(server: Server, request_text: str, status: int) -> None:
    """Malformed, oversized and smuggling requests end with their 4xx; no header of the client's making comes back."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(request_text.encode("latin-1"))
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk

    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert head.startswith(f"http/1.1 {status} ".encode()), head[:200]
    assert b"set-cookie" not in head
    assert httpx.get(f"{server.url}/ready").status_code == 200


def test_a_body_of_ten_megabytes_is_refused_with_its_reason(server: Server) -> None:
    """The client can finish sending and read why, instead of a connection that breaks under it."""
    for _ in range(5):
        answer = httpx.post(f"{server.url}/", content=b"{" * 10_000_000)

        assert (answer.status_code, answer.text) == (405, "only GET and HEAD\n")
