"""Hostile input on every published port is refused with a reason, never with a server error or a traceback."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import random
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.stack.live import Live, tool_call

pytestmark = pytest.mark.timeout(300)

_SEED = 20261122
_BUDGET_SECONDS = 50.0
_TREE = {"module": "Unity-Claude-FileTree", "command": "Get-FileTreeSummary", "parameters": {"Path": "."}}
# Valid bodies for a container, from which invalid ones are derived; and those of any other container.
BODIES: dict[str, list[tuple[str, str, Any]]] = {
    "powershell-modules": [("POST", "/invoke", _TREE)],
    "langgraph-api": [
        ("POST", "/threads", {"metadata": {"a": 1}, "if_exists": "raise"}),
        ("POST", "/threads/search", {"limit": 3, "offset": 0, "status": "idle", "metadata": {}}),
        ("POST", "/runs/wait", {"assistant_id": "nobody", "input": {"event": {}}, "config": {}, "stream_mode": []}),
        ("PUT", "/store/items", {"namespace": ["a"], "key": "k", "value": {"b": 1}}),
    ],
    "autogen-groupchat": [
        ("POST", "/groupchat", {"task": "x", "agents": ["nobody"], "max_rounds": 1, "session_id": "s", "wait": True}),
        ("POST", "/agent/message", {"agent": "nobody", "content": "x"}),
    ],
    "mcp-modules": [("POST", "/mcp", tool_call("invoke", _TREE))],
    "mcp-docs": [("POST", "/mcp", tool_call("search", {"query": "x"}))],
    "mcp-repository": [("POST", "/mcp", tool_call("read_file", {"path": "README.md"}))],
    "mcp-events": [("POST", "/mcp", tool_call("get_event", {"id": "x"}))],
    "monitoring": [("POST", "/events/x/redeliver", {"a": 1})],
}
_ANY_BODY: list[tuple[str, str, Any]] = [("POST", "/", {"a": 1})]
# {} stands for a path, a name or an id chosen by the client.
PATHS: dict[str, list[str]] = {
    "powershell-modules": ["/{}", "/modules/{}/commands"],
    "langgraph-api": ["/{}", "/threads/{}", "/threads/{}/state", "/assistants/{}", "/store/items?key={}&namespace={}"],
    "autogen-groupchat": ["/{}", "/groupchat/{}", "/groupchat/{}/events", "/sessions?limit={}"],
    "docs-server": ["/{}", "/search/{}", "/assets/{}"],
    "monitoring": ["/{}", "/events/{}", "/events?path={}", "/events?after={}&limit={}"],
}
_ANY_PATH = ["/{}"]
_SEGMENTS = [
    "../../../../etc/passwd", "%2e%2e/%2e%2e/%2e%2e/etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "..%5c..%5cetc%5cpasswd",
    "%252e%252e%252fetc%252fpasswd", "....//....//etc/passwd", "/etc/passwd", "%00", "a%00.html", "%0d%0aX-Injected:%20yes",
    "%0d%0a%0d%0a<html>", "%ff%fe", "%", "%zz", "%c0%ae%c0%ae/", "a" * 6000, "'%20OR%201=1--", "%7b%7b7*7%7d%7d",
    "-1", "99999999999999999999999999", "NaN", "1e400", "*", "%5b", "[", "null", "%F0%9F%92%A5", ".git/config", "",
]  # fmt: skip
_METHODS = ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "FOO", "get", "HEAD", "POST", "CONNECT"]
_VALUES: list[Any] = [
    None, True, 0, -1, 1.5, 10**30, "", "x" * 5000, "\x00", "../../etc/passwd", "$(id)", "'; Get-Process #", [], [[]],
    [None], {}, {"$ne": 1}, {"a": {"b": {}}}, "\ud800", "💥", [1, "a", None], {"": ""},
]  # fmt: skip
_UNSPOKEN = "HTTP/9.9"
_TOO_LARGE = 10 * 1024 * 1024
# Words that appear in a response only after an unhandled failure.
_TRACES = re.compile(
    rb'Traceback \(most recent|File "/|\.py", line \d|\n\s+at .+:\d+:\d+\)?|node:internal|ScriptStackTrace'
    rb"|at <ScriptBlock>|\.psm1: line \d|System\.[A-Z]\w+Exception|sqlite3\.\w*Error|pydantic_core\."
)


@dataclass
class Tally:
    """The requests to one container and its responses; `faults` are the responses that break the rule."""

    answers: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    left_out: int = 0


def _request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogatepass") + body


def _bodies(rng: random.Random, right: Any) -> Iterator[tuple[str, bytes]]:
    """Bodies that are not JSON, JSON of another kind, and the valid one with a wrongly typed value in each place."""
    text = json.dumps(right).encode()
    yield "empty", b" "
    yield from (("not JSON", wrong) for wrong in (text[:-1], text + b"}", b"{'a': 1}", b"\xff\xfe\x00", b"NaN", b"{]"))
    yield "no UTF-8", text.replace(b"a", b"\xff", 1)
    yield "deep", b"[" * 20_000
    yield "deep object", b'{"a":' * 20_000
    yield "long number", b'{"limit": ' + b"9" * 6000 + b"}"
    yield "twice a key", b'{"a": 1, "a": 2}'
    yield from (("wrong kind", json.dumps(value).encode()) for value in (None, 1, "x", [], [1], True))
    places = [path for path in _places(right) if path]
    for place in places:
        for value in rng.sample(_VALUES, 7):
            yield f"wrong value at {'.'.join(map(str, place))}", json.dumps(_with(right, place, value)).encode()
    yield "unknown key", json.dumps({**right, "\x00": 1, "__proto__": {"a": 1}}).encode()


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from _places(inner, (*path, key))


def _with(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    return {key: _with(inner, place[1:], new) if key == place[0] else inner for key, inner in value.items()}


def _cases(container: str, authorised: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    """Every request to one container, in the same order on each run."""
    rng = random.Random(f"{_SEED} {container}")
    for method, path, right in BODIES.get(container, _ANY_BODY):
        for name, body in _bodies(rng, right):
            yield f"{method} {path} {name}", _request(method, path, authorised, body)
        large = json.dumps({"task": "x" * _TOO_LARGE}).encode()
        yield f"{method} {path} 10 MB", _request(method, path, authorised, large)
        yield f"{method} {path} 10 MB without a token", _request(method, path, {}, large)
        for other in _METHODS:
            yield f"{other} {path}", _request(other, path, authorised)
        right_body = json.dumps(right).encode()
        for name, headers in _headers().items():
            yield f"{method} {path} header {name}", _request(method, path, authorised | headers, right_body)
    for pattern, segment in itertools.product(PATHS.get(container, _ANY_PATH), _SEGMENTS):
        yield f"GET {pattern} {segment[:40]}", _request("GET", pattern.replace("{}", segment), authorised)
    yield from _broken(authorised)


def _headers() -> dict[str, dict[str, str]]:
    return {
        "id with a line break": {"X-Request-Id": "a\r\n b"},
        "id that is long": {"X-Request-Id": "a" * 5000},
        "id with markup": {"X-Request-Id": "<script>\u00e9"},
        "wrong type": {"Content-Type": "text/xml"},
        "wrong accept": {"Accept": "image/png"},
        "foreign host": {"X-Forwarded-Host": "evil.invalid", "Forwarded": "host=evil.invalid"},
        "foreign origin": {"Origin": "http://evil.invalid"},
        "odd credentials": {"Authorization": "Bearer \u00ff\u00fe"},
        "many": {f"X-{number}": "a" for number in range(150)},
        "last event id": {"Last-Event-ID": "-1; DROP"},
        "idempotency key": {"Idempotency-Key": "\u00e9" * 300},
        "range": {"Range": "bytes=9-1,-,0-0", "If-None-Match": "W/*,"},
        "encoding": {"Accept-Encoding": "br;q=x,,", "Content-Encoding": "gzip"},
    }


def _broken(authorised: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    """Malformed or self-contradictory HTTP."""
    token = "".join(f"{name}: {value}\r\n" for name, value in authorised.items())
    head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{token}"
    yield "no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"
    yield "words", b"hello there\r\n\r\n"
    yield _UNSPOKEN, b"GET / HTTP/9.9\r\nHost: x\r\n\r\n"
    yield "no host", f"GET /health HTTP/1.1\r\n{token}\r\n".encode()
    yield "negative length", f"{head}Content-Length: -5\r\n\r\n".encode()
    yield "no number as length", f"{head}Content-Length: 5x\r\n\r\nabcde".encode()
    yield "two lengths", f"{head}Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef".encode()
    yield "length and chunks", f"{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode()
    yield "broken chunk", f"{head}Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n".encode()
    yield "10 MB in chunks", f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + (
        b"10000\r\n" + b"x" * 0x10000 + b"\r\n") * 160 + b"0\r\n\r\n"  # fmt: skip
    yield "header without a colon", f"{head}nonsense\r\n\r\n".encode()
    yield "header with a null", f"{head}X-A: a\x00b\r\n\r\n".encode()
    yield "long header", f"{head}X-A: {'a' * 200_000}\r\n\r\n".encode()
    yield "long path", f"GET /{'a' * 200_000} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    yield "absolute address", f"GET http://evil.invalid/ HTTP/1.1\r\nHost: evil.invalid\r\n{token}\r\n".encode()


def _answer(port: int, request: bytes, method: str) -> tuple[int, bytes, bytes]:
    """Return status, headers and body; status 0 if the connection was closed without a response."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as opened:
        # Refused before all of it was read; there may still be a response.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            opened.sendall(request)
        response = http.client.HTTPResponse(opened, method=method)
        try:
            response.begin()
            stream = response.headers.get_content_type() == "text/event-stream"
            body = response.read1() if stream else response.read()
        except (ConnectionResetError, BrokenPipeError, http.client.HTTPException):
            return 0, b"", b""
        return response.status, str(response.headers).encode("utf-8", "replace"), body


def _fault(name: str, status: int, headers: bytes, body: bytes) -> str:
    # 503 is intended, and 505 is HTTP's status for an unsupported version.
    if status >= 500 and status != 503 and (name, status) != (_UNSPOKEN, 505):
        return f"status {status}"
    if b"x-injected" in headers.lower():
        return "a header of the request's making"
    if found := _TRACES.search(headers + body):
        return f"a trace: {found[0]!r}"
    if b"root:x:0:0" in body:
        return "a file from outside"
    return ""


def _attack(live: Live, container: str, deadline: float) -> Tally:
    tally = Tally()
    authorised = live.headers(container)
    for name, request in _cases(container, authorised):
        if time.monotonic() > deadline:
            tally.left_out += 1
            continue
        try:
            status, headers, body = _answer(live.port(container), request, request.split(b" ", 1)[0].decode("latin-1"))
        except TimeoutError:
            tally.faults.append(f"{container}: {name}: no answer within 20 s")
            continue
        tally.answers[str(status) if status else "closed"] += 1
        if reason := _fault(name, status, headers, body):
            tally.faults.append(f"{container}: {name}: {reason}: {body[:300]!r}")
    return tally


def test_hostile_input_is_refused_with_a_reason(live: Live) -> None:
    """No malformed, oversized, mistyped, traversing or injecting request causes a 5xx other than 503, or a traceback.

    Counts and faults go to .uc/reports/stack-hostile-input.json.
    """
    before = live.lives()
    deadline = time.monotonic() + _BUDGET_SECONDS
    with ThreadPoolExecutor(len(before)) as pool:
        tallies = dict(zip(before, pool.map(lambda name: _attack(live, name, deadline), before), strict=True))

    counts = {
        name: {
            "requests": tally.answers.total(),
            "left out": tally.left_out,
            "answers": dict(sorted(tally.answers.items())),
        }
        for name, tally in tallies.items()
    }
    faults = [fault for tally in tallies.values() for fault in tally.faults]
    report = {
        "requests": sum(tally.answers.total() for tally in tallies.values()),
        "containers": counts,
        "faults": faults,
    }
    live.report("hostile-input", report)
    assert faults == []
    assert live.lives() == before, "a container was restarted by what it was sent"
    assert {name: live.http.get(live.url(name, "/health")).status_code for name in before} == dict.fromkeys(before, 200)
    assert live.bad_log_lines() == []
