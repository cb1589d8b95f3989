"""How the server starts, logs and ends."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import httpx
import pytest
from docs_rig import Server, Start, pack


@pytest.fixture
def own_server(packed: Path, start_any: Start) -> Server:
    """A server that the test may end."""
    return start_any(packed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_cleanly(own_server: Server, number: signal.Signals) -> None:
    """As PID 1 there is no default action for SIGTERM: the server itself must end, with exit code 0."""
    with httpx.Client(base_url=own_server.url) as client:
        client.get("/")  # leaves an idle keep-alive connection behind
        own_server.process.send_signal(number)

        assert own_server.process.wait(timeout=10) == 0
    assert [line["event"] for line in own_server.rest()][-2:] == ["stopping", "stopped"]


def test_a_download_in_flight_is_finished_before_the_end(tmp_path: Path, fake_mermaid: Path, start_any: Start) -> None:
    """A reader in the middle of a download gets all of it although SIGTERM has come."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("x")
    (site / "big.zip").write_bytes(os.urandom(24 << 20))
    assert pack(site, tmp_path / "packed", fake_mermaid).code == 0
    server = start_any(tmp_path / "packed")

    with httpx.stream("GET", f"{server.url}/big.zip") as answer:
        chunks = answer.iter_raw()
        received = len(next(chunks))
        server.process.send_signal(signal.SIGTERM)
        received += sum(len(chunk) for chunk in chunks)

    assert received == 24 << 20
    assert server.process.wait(timeout=10) == 0


def test_a_client_that_reads_nothing_does_not_hold_the_server(
    tmp_path: Path, fake_mermaid: Path, start_any: Start
) -> None:
    """After a grace time the server ends whether or not a stalled client has its bytes."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("x")
    (site / "big.zip").write_bytes(os.urandom(24 << 20))
    assert pack(site, tmp_path / "packed", fake_mermaid).code == 0
    server = start_any(tmp_path / "packed")
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"GET /big.zip HTTP/1.1\r\nHost: docs\r\n\r\n")
        assert connection.recv(10)

        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(timeout=10) == 0


def test_each_line_is_json_with_the_requests_id(own_server: Server) -> None:
    """Whoever collects logs parses every line and finds a request by its id; a query may hold private words."""
    httpx.get(f"{own_server.url}/services/?token=hidden", headers={"x-request-id": "find-me"})
    httpx.get(f"{own_server.url}/health")
    own_server.process.send_signal(signal.SIGTERM)
    lines = own_server.rest()

    assert all({"time", "level", "service", "event"} <= line.keys() for line in lines)
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["request_id"], line["path"], line["status"]) for line in requests] == [("find-me", "/services/", 200)]
    assert "hidden" not in json.dumps(lines)


def test_probes_are_logged_at_debug(packed: Path, start_any: Start) -> None:
    """UC_LOG_LEVEL=DEBUG shows what is left out by default."""
    server = start_any(packed, UC_LOG_LEVEL="DEBUG")
    httpx.get(f"{server.url}/health")
    server.process.send_signal(signal.SIGTERM)

    assert [line["path"] for line in server.rest() if line["event"] == "request"] == ["/health"]


def test_a_site_that_is_not_there_ends_the_start(tmp_path: Path, start_any: Start) -> None:
    """Without its site the server says so in one log line and ends with exit code 1, instead of serving nothing."""
    server = start_any(tmp_path / "nowhere")

    assert server.lines[0]["event"] == "start_failed"
    assert "manifest.json" in str(server.lines[0]["error"])
    assert server.process.wait(timeout=10) == 1


def test_a_taken_port_ends_the_start(packed: Path, start_any: Start) -> None:
    """The log line names the address that could not be had."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = start_any(packed, UC_PORT=str(port))

    assert server.lines[0]["event"] == "listen_failed"
    assert server.lines[0]["port"] == port
    assert server.process.wait(timeout=10) == 1


def test_a_port_that_is_no_port_ends_the_start(packed: Path, start_any: Start) -> None:
    """A typo in UC_PORT is told, not answered with a random port or a stack trace."""
    server = start_any(packed, UC_PORT="80a")

    assert server.lines[0]["event"] == "start_failed"
    assert "UC_PORT" in str(server.lines[0]["error"])
    assert server.process.wait(timeout=10) == 1


def test_half_a_request_is_given_up(own_server: Server) -> None:
    """A connection that sends garbage is closed with 400 and the server goes on."""
    with socket.create_connection(("127.0.0.1", own_server.port), timeout=5) as connection:
        connection.sendall(b"\x16\x03\x01 garbage\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")

    assert httpx.get(f"{own_server.url}/ready").status_code == 200


def test_a_log_reader_that_stalls_stalls_neither_the_site_nor_its_end(own_server: Server) -> None:
    """When nobody reads stdout, requests are still answered, and SIGTERM still ends the server."""
    with socket.create_connection(("127.0.0.1", own_server.port), timeout=10) as connection:
        for _ in range(80):
            connection.sendall(b"HEAD /troubleshooting/ HTTP/1.1\r\nHost: docs\r\n\r\n" * 100)
            answer = b""
            while answer.count(b"HTTP/1.1 200") < 100:
                answer += connection.recv(1 << 20)

    own_server.process.send_signal(signal.SIGTERM)

    assert own_server.process.wait(timeout=10) == 0
