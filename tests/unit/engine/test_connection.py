"""Requests over the stdin and stdout of a program, as `docker system dial-stdio` carries them; here it answers itself."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from build.engine import connection
from build.engine.connection import Request, Unanswered, exchange
from build.errors import MissingTool
from build.parallel import together

# Answers with its pid, its count of requests and the body it got; a path says how it misbehaves.
_SERVER = """
import json, os, sys, time
served = 0
while head := sys.stdin.buffer.readline():
    length = 0
    while (line := sys.stdin.buffer.readline()) != b"\\r\\n":
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    body = sys.stdin.buffer.read(length).decode()
    served += 1
    path = head.split()[1].decode()
    if path == "/slow":
        time.sleep(30)
    if path == "/dies" or (path == "/dies-later" and served > 1):
        sys.exit("why it died")
    content = json.dumps({"pid": os.getpid(), "served": served, "body": body}).encode()
    status = b"404 Not Found" if path == "/missing" else b"200 OK"
    if path == "/chunked":
        half = len(content) // 2
        chunks = b"".join(b"%x\\r\\n%s\\r\\n" % (len(one), one) for one in (content[:half], content[half:], b""))
        answer = b"Transfer-Encoding: chunked\\r\\n\\r\\n" + chunks
    elif path == "/cut":
        answer = b"Content-Length: 9999\\r\\n\\r\\n" + content
    elif path == "/closes":
        answer = b"Connection: close\\r\\n\\r\\n" + content
    else:
        answer = b"Content-Length: %d\\r\\n\\r\\n" % len(content) + content
    sys.stdout.buffer.write(b"HTTP/1.1 " + status + b"\\r\\n" + answer)
    sys.stdout.buffer.flush()
    if path in {"/cut", "/closes"}:
        sys.exit(0)
"""
_ARGV = [sys.executable, "-S", "-c", _SERVER]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    connection.close()
    yield
    connection.close()


def _ask(path: str, method: str = "GET", body: str = "", seconds: float = 20) -> Mapping[str, Any]:
    _, content = exchange(_ARGV, Request(method=method, target=path, content=body.encode()), seconds=seconds)
    answer: Mapping[str, Any] = json.loads(content)
    return answer


def test_one_program_serves_requests_one_after_the_other() -> None:
    """It is started once; an answer in chunks, and one that refuses, leave it open."""
    answers = [_ask("/"), _ask("/chunked", "POST", "text"), _ask("/missing"), _ask("/")]

    assert [answer["served"] for answer in answers] == [1, 2, 3, 4]
    assert answers[1]["body"] == "text"


def test_the_status_is_that_of_the_answer() -> None:
    """A refusal is an answer."""
    assert exchange(_ARGV, Request(method="GET", target="/missing"), seconds=20)[0] == 404


def test_requests_at_once_have_programs_of_their_own() -> None:
    """No request waits for another one's answer."""
    ready = threading.Barrier(3, timeout=20)

    def ask() -> int:
        ready.wait()
        return int(_ask("/")["pid"])

    assert len(set(together([ask] * 3))) == 3


def test_another_engine_has_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """DOCKER_HOST chooses the engine as well as the command line."""
    first = _ask("/")["pid"]
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2375")
    assert _ask("/")["pid"] != first


def test_what_was_closed_meanwhile_is_opened_again() -> None:
    """An engine that was restarted is no failure for a request that may be repeated."""
    first = _ask("/closes")["pid"]
    second = _ask("/")["pid"]
    third = _ask("/dies-later")["pid"]
    assert len({first, second, third}) == 3


@pytest.mark.parametrize(("method", "path"), [("POST", "/dies-later"), ("GET", "/dies"), ("GET", "/cut")])
def test_a_request_that_may_have_been_carried_out_is_not_repeated(method: str, path: str) -> None:
    """Nor one whose program never answers; what it wrote to stderr says why, and the next request has a new one."""
    first = _ask("/")["pid"]
    with pytest.raises(Unanswered) as caught:
        _ask(path, method)
    assert caught.value.output.strip() == ("" if path == "/cut" else "why it died")
    assert _ask("/")["pid"] != first


def test_an_answer_that_takes_too_long_is_given_up() -> None:
    """At the deadline the program is ended, and the message says after how long."""
    first = _ask("/")["pid"]
    with pytest.raises(Unanswered, match=r"GET /slow: timed out after 0\.3 s"):
        _ask("/slow", seconds=0.3)
    assert _ask("/")["pid"] != first


def test_a_program_that_can_not_be_started() -> None:
    """The error names it."""
    with pytest.raises(MissingTool, match="not-a-program"):
        exchange(["not-a-program"], Request(method="GET", target="/"), seconds=1)
