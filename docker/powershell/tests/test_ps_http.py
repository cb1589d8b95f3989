"""The service at its edge: probes, framing, bodies, tokens, request ids and logs."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from psserver import DEADLINE, TOKEN, Service, running, write_module
from pstrees import GOOD


def test_health_names_every_critical_module_and_the_runspace(service: Service) -> None:
    """Healthy means: each critical module is available and a runspace opens, and the answer says so without a token."""
    answer = service.request("GET", "/health", token=None)
    body = answer.json()
    assert answer.status_code == 200
    assert body["status"] == "healthy"
    assert [(row["name"], row["available"]) for row in body["modules"]] == [
        ("Probe", True),
        ("Unity-Claude-CompileLog", True),
    ]
    assert body["runspace"]["ok"] is True


def test_metrics_are_prometheus_text(service: Service) -> None:
    """Every line is a comment or a sample with a number, every family has a type, and modules are counted by state."""
    answer = service.request("GET", "/metrics", token=None)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    sample = re.compile(r'[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9.E+-]+')
    lines = answer.text.splitlines()
    assert [line for line in lines if not line.startswith("# ") and not sample.fullmatch(line)] == []
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE ")}
    named = {re.sub(r"_(bucket|sum|count)$", "", re.split(r"[{ ]", line)[0]) for line in lines if line[0] != "#"}
    assert named <= typed
    assert any(line.startswith('http_requests_total{method="GET",route="/health",status="200"} ') for line in lines)
    assert 'powershell_modules{state="importable"} 5' in lines


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("GET", "/invoke", 405), ("POST", "/modules", 405), ("POST", "/health", 405)],
)
def test_unknown_paths_and_methods_are_refused(service: Service, method: str, path: str, status: int) -> None:
    """Nothing but the documented endpoints answers."""
    assert service.request(method, path).status_code == status


@pytest.mark.parametrize("path", ["/modules", "/modules/Probe/commands"])
def test_everything_but_the_probes_needs_the_token(service: Service, path: str) -> None:
    """Without a token, or with a wrong one, the answer is 401 and names the scheme."""
    for token in (None, "wrong", TOKEN + "x"):
        answer = service.request("GET", path, token=token)
        assert (answer.status_code, answer.headers.get("www-authenticate")) == (401, "Bearer")
    assert service.request("GET", path, token=None, headers={"x-api-key": TOKEN}).status_code == 200


def test_a_rotated_token_counts_at_once(service: Service) -> None:
    """Two lines are two valid tokens, the old one ends with its line, an empty moment while writing changes nothing."""

    def statuses(*tokens: str) -> list[int]:
        return [service.request("GET", "/modules", token=token).status_code for token in tokens]

    try:
        service.token_file.write_text(f"{TOKEN}\nthe-next-one\n")
        assert statuses(TOKEN, "the-next-one") == [200, 200]
        service.token_file.write_text("the-next-one\n")
        assert statuses(TOKEN, "the-next-one") == [401, 200]
        service.token_file.write_text("")
        assert statuses(TOKEN, "the-next-one") == [401, 200]
        service.token_file.unlink()
        assert statuses(TOKEN, "the-next-one") == [401, 401]
    finally:
        service.token_file.write_text(f"{TOKEN}\n")
    assert statuses(TOKEN) == [200]


def test_a_token_file_without_a_token_is_reported(pwsh: str, tmp_path: Path) -> None:
    """Missing, unreadable, empty from the start: a call is 401, never a failure, and /ready names what the operator has to fix."""
    write_module(tmp_path / "Modules", "Good", GOOD)
    with running(pwsh, tmp_path / "Modules", tmp_path, ["Good"], UC_WORKERS=1) as service:
        told = []
        makings: tuple[Callable[[], object], ...] = (
            service.token_file.unlink,
            lambda: service.token_file.touch(0o000),
            lambda: service.token_file.chmod(0o600),
        )
        for make in makings:
            make()
            assert service.request("GET", "/modules").status_code == 401
            answer = service.request("GET", "/ready")
            assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
            told.append(answer.json()["reason"].removesuffix(", so every call is refused"))
        assert told == [
            "there is no token file",
            "the token file may not be read by this user",
            "the token file is empty",
        ]


def test_request_ids_are_taken_made_answered_and_logged(service: Service) -> None:
    """A caller's id comes back and is in the log line; one that is unsafe to log is replaced."""
    taken = service.request("GET", "/modules", headers={"X-Request-Id": "from-the-caller.1"})
    assert taken.headers["x-request-id"] == "from-the-caller.1"
    line = service.event("request", request_id="from-the-caller.1")
    assert (line["method"], line["path"], line["status"], line["level"]) == ("GET", "/modules", 200, "info")
    assert line["ms"] > 0
    made = service.request("GET", "/modules", headers={"X-Request-Id": 'un"safe'}).headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)


def test_every_line_on_stdout_is_one_json_object(service: Service) -> None:
    """Modules print at import, past every stream and by programs of their own; the log stays readable by machines."""
    service.request("GET", "/health")
    lines = [json.loads(line) for line in service.stdout().splitlines()]
    assert all({"time", "level", "service", "event"} <= line.keys() for line in lines)
    assert "printed" not in service.stdout()
    assert (service.folder / "stderr").read_text() == ""


def test_a_body_of_10_mb_is_refused_readably(service: Service) -> None:
    """413, and the caller gets to read it although it was still sending."""
    head = f"POST /invoke HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
    answer = service.raw(f"{head}Content-Length: 10000000\r\n\r\n".encode() + b" " * 10_000_000)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"too-large" in answer


def test_a_chunked_body_is_counted(service: Service) -> None:
    """A body without a Content-Length can't grow past the limit either."""
    answer = service.request("POST", "/invoke", content=(b" " * 65536 for _ in range(40)))
    assert answer.status_code == 413


def test_content_length_beside_transfer_encoding_is_refused(service: Service) -> None:
    """Two statements about a body's end are how requests are smuggled: 400, and the connection ends."""
    head = f"POST /invoke HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
    answer = service.raw(f"{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"bad-framing" in answer
    assert answer.count(b"HTTP/1.1") == 1


@contextlib.contextmanager
def trickling(service: Service, head: str, count: int) -> Iterator[None]:
    """Hold connections open on which a body of a megabyte has begun and goes on with a byte each tenth of a second."""
    over = threading.Event()
    with contextlib.ExitStack() as held:
        connections = []
        for _ in range(count):
            connection = held.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            connection.sendall(f"{head}\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n".encode())
            connections.append(connection)

        def trickle() -> None:
            while not over.wait(0.1):
                for connection in connections:
                    with contextlib.suppress(OSError):  # the service may have closed it, that is its right
                        connection.sendall(b" ")

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(
    ("line", "token", "count"),
    [
        ("GET /health", False, 8),
        ("POST /health", False, 8),
        ("GET /modules", True, 16),
        ("GET /modules", False, 16),
        ("POST /invoke", False, 16),
        ("GET /nowhere", False, 16),
        ("POST /invoke", True, 8),  # these may hold the four workers for the body's time, a second, twice
    ],
)
def test_bodies_that_never_end_hold_nobody_up(service: Service, line: str, token: bool, count: int) -> None:
    """Whatever they were sent to, with or without a token: meanwhile a probe and a good call are answered."""
    head = f"{line} HTTP/1.1" + (f"\r\nAuthorization: Bearer {TOKEN}" if token else "")
    with trickling(service, head, count):
        started = time.monotonic()
        assert service.request("GET", "/health").status_code == 200
        assert service.result("Probe", "Get-Nothing") == []
        assert time.monotonic() - started < 5


def test_a_body_that_never_comes_is_408(service: Service) -> None:
    """After the body's time, and the connection ends."""
    head = f"POST /invoke HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
    assert service.raw(f"{head}Content-Length: 50\r\n\r\n{{".encode()).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(("line", "status"), [("POST /invoke", 401), ("GET /health", 200), ("POST /health", 405)])
def test_an_answer_before_the_body_is_readable(service: Service, line: str, status: int) -> None:
    """A caller that sends its body a moment after the head is answered without it, told that it was the last, and not reset."""
    body = b" " * 100_000
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", service.port), timeout=DEADLINE) as connection:
            head = f"{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode())
            answer = connection.recv(65536)
            assert answer.startswith(f"HTTP/1.1 {status} ".encode())
            assert b"\r\nConnection: close\r\n" in answer
            connection.sendall(body[:50_000])
            time.sleep(0.05)
            connection.sendall(body[50_000:])
            while connection.recv(65536):
                pass


BAD_JSON = [
    b"",
    b"[]",
    b'"text"',
    b"{'module':'Probe'}",
    b'{"module":"Probe","command":"Get-Nothing",}',
    b'{"module":"Probe","command":"Get-Nothing"} // why',
    b'{"module":"Probe","command":"Get-Echo","parameters":{"Number":NaN}}',
    b'{"module":"Probe","command":"Get-Echo","parameters":{"text":"a","Text":"b"}}',
    b'{"module":"Probe","command":"\xff"}',
    b'{"module":"Probe","command":7}',
    b'{"module":"Probe"}',
    b'{"module":"Probe","command":"Get-Nothing","parameters":[1]}',
    b'{"module":"Probe","command":"Get-Nothing","more":1}',
    b'{"a":' * 100 + b"1" + b"}" * 100,
]


@pytest.mark.parametrize("body", BAD_JSON)
def test_only_strict_json_of_the_right_shape_is_read(service: Service, body: bytes) -> None:
    """Anything else is 400 with a sentence, never a guess."""
    answer = service.request("POST", "/invoke", content=body)
    assert answer.status_code == 400
    assert answer.json()["detail"]
