"""What every Python service shares, over real files and a real server."""

from __future__ import annotations

import codecs
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from ucservice.secretfile import Secret

from tests.support.machine import shut

SERVER = """
import asyncio
import json
from prometheus_client import CollectorRegistry, generate_latest
from ucservice import answer_sigterm, logs, web
from ucservice.metrics import HttpMetrics
from ucservice.secretfile import Secret

answer_sigterm()
registry = CollectorRegistry()

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/metrics":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": generate_latest(registry)})
        return
    if scope["path"] == "/boom":
        raise RuntimeError("boom")
    if scope["path"] == "/hang":
        logs.get("app").info("hanging")
        await asyncio.Event().wait()
    logs.get("app").info("handled", path=scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps({"id": logs.request_id.get()}).encode()})

guarded = web.TokenAuth(app, secret=Secret("test_token"))
web.serve(web.RequestLog(guarded, observer=HttpMetrics(registry)), port=1)
"""


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "token"
    path.write_text("first\n")
    monkeypatch.setenv("TEST_TOKEN_FILE", str(path))
    return path


@pytest.fixture
def server(secret: Path, tmp_path: Path) -> Iterator[tuple[str, Path, subprocess.Popen[str]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    log = tmp_path / "log"
    environment = os.environ | {"UC_HOST": "127.0.0.1", "UC_PORT": str(port), "UC_SERVICE": "test"}
    with log.open("w") as out:
        process = subprocess.Popen([sys.executable, str(script)], env=environment, stdout=out, stderr=out, text=True)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            httpx.get(url + "/health", trust_env=False)
            break
        except httpx.TransportError:
            time.sleep(0.05)
    yield url, log, process
    process.kill()
    process.wait()


def get(url: str, **headers: str) -> httpx.Response:
    return httpx.get(url, headers={key.replace("_", "-"): value for key, value in headers.items()}, trust_env=False)


def test_requests_are_counted_under_the_common_names(server: tuple[str, Path, subprocess.Popen[str]]) -> None:
    """Each answer, a refusal and a failure too, has method and status; what is in flight is counted, nothing else grows."""
    url, log, _process = server
    get(url + "/x", authorization="Bearer first")
    get(url + "/boom", authorization="Bearer first")
    get(url + "/x")
    httpx.request("PROPFIND", url + "/x", trust_env=False)
    with ThreadPoolExecutor() as pool:
        pool.submit(httpx.get, url + "/hang", headers={"authorization": "Bearer first"}, trust_env=False, timeout=2)
        while "hanging" not in log.read_text():
            time.sleep(0.05)
        during = get(url + "/metrics").text

    assert "http_requests_in_flight 2.0" in during  # the hanging one and this question
    assert 'http_requests_total{method="GET",status="200"}' in during
    assert 'http_requests_total{method="GET",status="500"} 1.0' in during
    assert 'http_requests_total{method="GET",status="401"} 1.0' in during
    assert 'http_requests_total{method="other",status="401"} 1.0' in during
    assert 'http_request_duration_seconds_bucket{le="+Inf"}' in during
    assert "_created" not in during


def test_a_replaced_and_an_overwritten_secret_are_both_seen(secret: Path) -> None:
    """A change in place and a rename are read at the next use."""
    held = Secret("test_token")
    assert held.current() == "first"
    secret.write_text("second-value\n")
    assert held.current() == "second-value"
    other = secret.with_name("new")
    other.write_text("third\n")
    other.replace(secret)

    assert held.current() == "third"


def test_several_lines_are_several_valid_values(secret: Path) -> None:
    """During a rotation old and new both match, and clients send the first."""
    secret.write_text("new\nold\n\n")
    held = Secret("test_token")

    assert (held.matches("new"), held.matches("old"), held.matches("other"), held.current()) == (
        True,
        True,
        False,
        "new",
    )


def test_a_momentarily_empty_file_keeps_the_last_values(secret: Path) -> None:
    """An overwrite in place passes through an empty file, which must not lock everybody out."""
    held = Secret("test_token")
    assert held.matches("first")
    secret.write_text("")

    assert held.matches("first")


def test_a_byte_order_mark_is_no_part_of_the_value(secret: Path) -> None:
    """An editor that begins a file with a byte order mark changes neither what is sent nor what is accepted."""
    secret.write_bytes(codecs.BOM_UTF8 + b"first\r\nsecond\r\n")
    held = Secret("test_token")

    assert (held.values(), held.matches("first")) == ((b"first", b"second"), True)


@pytest.mark.parametrize("line", ["k\u00e9y", "key\x07", "zero\u200bwidth", "\x00k\x00e\x00y"])
def test_what_no_header_can_carry_is_no_value(secret: Path, line: str) -> None:
    """A line that is not printable ASCII is passed over; a file of nothing else has no value, not the one before."""
    held = Secret("test_token")
    assert held.current() == "first"
    secret.write_text(f"{line}\nsecond\n")
    assert (held.values(), held.matches(line)) == ((b"second",), False)
    secret.write_text(f"{line}\n")

    assert held.current() is None


def test_a_missing_secret_matches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file means no value: nothing is accepted, also not the empty string."""
    monkeypatch.setenv("TEST_TOKEN_FILE", str(tmp_path / "nowhere"))
    held = Secret("test_token")

    assert (held.current(), held.matches("")) == (None, False)


def test_an_unreadable_secret_counts_as_missing(secret: Path) -> None:
    """A file of another user is no crash."""
    with shut(secret):
        assert Secret("test_token").values() == ()


def test_only_a_right_token_gets_in(server: tuple[str, Path, subprocess.Popen[str]]) -> None:
    """Bearer and x-api-key are accepted, anything else is 401, and the public paths stay open."""
    url = server[0]

    assert get(url + "/x").status_code == 401
    assert get(url + "/x", Authorization="Bearer wrong").status_code == 401
    assert get(url + "/x", Authorization="Basic first").status_code == 401
    assert get(url + "/x", Authorization="Bearer first").status_code == 200
    assert get(url + "/x", x_api_key="first").status_code == 200
    assert get(url + "/health").status_code == 200


def test_the_request_id_is_taken_made_and_logged(server: tuple[str, Path, subprocess.Popen[str]]) -> None:
    """A safe id is kept, an unsafe or missing one replaced; answer, code and log carry the same."""
    url, log, _ = server
    answer = get(url + "/x", Authorization="Bearer first", X_Request_Id="abc-1")
    unsafe = get(url + "/x", Authorization="Bearer first", X_Request_Id="a b;c")

    assert answer.headers["x-request-id"] == answer.json()["id"] == "abc-1"
    assert unsafe.headers["x-request-id"] not in {"", "a b;c"}
    handled = [line for line in map(json.loads, log.read_text().splitlines()) if line["event"] == "handled"]
    assert handled[1]["request_id"] == "abc-1"


def test_every_line_is_json_also_for_a_crash(server: tuple[str, Path, subprocess.Popen[str]]) -> None:
    """A traceback is one JSON line with its keys, not many lines of text."""
    url, log, _ = server
    assert get(url + "/boom", Authorization="Bearer first").status_code == 500

    lines = [json.loads(line) for line in log.read_text().splitlines()]

    assert all({"time", "level", "service", "event"} <= set(line) for line in lines)
    assert any("RuntimeError: boom" in line.get("exception", "") for line in lines)


def test_a_secret_is_never_logged(server: tuple[str, Path, subprocess.Popen[str]]) -> None:
    """Neither the right nor a wrong token reaches the log."""
    url, log, _ = server
    get(url + "/x", Authorization="Bearer first")
    get(url + "/x", Authorization="Bearer another-token")

    assert "Bearer" not in log.read_text()
    assert "another-token" not in log.read_text()


def test_sigterm_ends_it_at_once(server: tuple[str, Path, subprocess.Popen[str]]) -> None:
    """SIGTERM ends an idle server in under three seconds."""
    process = server[2]
    process.send_signal(signal.SIGTERM)

    assert process.wait(3) == 128 + signal.SIGTERM


def test_a_stop_does_not_wait_for_what_hangs(server: tuple[str, Path, subprocess.Popen[str]]) -> None:
    """A request that does not come to its end is answered 503 when the service stops, and the process ends."""
    url, log, process = server
    with ThreadPoolExecutor(1) as pool:
        headers = {"authorization": "Bearer first"}
        hanging = pool.submit(httpx.get, f"{url}/hang", headers=headers, timeout=60, trust_env=False)
        deadline = time.monotonic() + 20
        while "hanging" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)

        process.send_signal(signal.SIGTERM)

        answer = hanging.result()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json() == {"error": "the service stops"}
    assert process.wait(timeout=30) == 128 + signal.SIGTERM
    assert "Traceback" not in log.read_text()


def test_what_nobody_caught_is_one_line_of_json_too() -> None:
    """A destructor, a thread and the program itself that fail: each is a line that a log reader can parse."""
    program = """
import threading
from ucservice import logs
logs.setup()
class Broken:
    def __del__(self): raise ValueError("in a destructor")
del (broken := [Broken()])[0]
thread = threading.Thread(target=lambda: {}["in a thread"])
thread.start(); thread.join()
raise OSError("in the program")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in (done.stdout + done.stderr).splitlines()]
    assert [line["event"] for line in lines] == ["uncaught"] * 3
    assert all(
        f"in {where}" in line["exception"]
        for where, line in zip(("a destructor", "a thread", "the program"), lines, strict=True)
    )
    assert done.returncode == 1
