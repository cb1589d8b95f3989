"""An HTTP proxy in front of a real registry that injects faults by rules and records every request.

A rule is a small object: which requests it matches, how often, and what it does with them. Requests that no rule
matches are forwarded unchanged.
"""

from __future__ import annotations

import http.client
import http.server
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType

_HOP = {"connection", "transfer-encoding", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(slots=True)
class Request:
    """A request as received, and a way to forward it."""

    proxy: Proxy
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def forward(self) -> Answer:
        """Return the registry's response to it."""
        connection = http.client.HTTPConnection(self.proxy.upstream, timeout=60)
        try:
            connection.request(self.method, self.path, body=self.body, headers=self.headers)
            answer = connection.getresponse()
            headers = {key: value for key, value in answer.getheaders() if key.lower() not in _HOP}
            return Answer(answer.status, headers, answer.read())
        finally:
            connection.close()


class Reset(Exception):
    """Raised by a rule: the connection is reset without a response."""


@dataclass(slots=True)
class Rule:
    """`act` handles requests whose "METHOD /path" matches `pattern`: the first `times` after skipping `after`."""

    pattern: str
    act: Callable[[Request], Answer]
    times: int = 1
    after: int = 0
    taken: int = 0

    def takes(self, request: Request) -> bool:
        """Count this request, and return whether the rule applies to it."""
        if self.taken >= self.times or not re.search(self.pattern, f"{request.method} {request.path}"):
            return False
        if self.after:
            self.after -= 1
            return False
        self.taken += 1
        return True


@dataclass(frozen=True, slots=True)
class Seen:
    """A recorded request and the status of its response (0: none)."""

    method: str
    path: str
    status: int
    size: int
    at: float

    def __str__(self) -> str:
        return f"{self.method} {self.path} → {self.status}"


class Proxy:
    """The proxy, a context manager: `address` is the registry address for the release."""

    def __init__(self, address: str, upstream: str) -> None:
        self.address, self.upstream = address, upstream
        self.rules: list[Rule] = []
        self.seen: list[Seen] = []
        self._lock = threading.Lock()
        host, _, port = address.partition(":")
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = _Server((host, int(port)), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def count(self, pattern: str) -> int:
        """Return the number of requests whose "METHOD /path → STATUS" matches."""
        return sum(1 for one in self.seen if re.search(pattern, str(one)))

    def sent(self, pattern: str) -> int:
        """Return the total body size of those requests in bytes."""
        return sum(one.size for one in self.seen if re.search(pattern, str(one)))

    def heal(self) -> None:
        """Remove all rules and recorded requests."""
        self.rules, self.seen = [], []

    def answer(self, request: Request) -> Answer:
        """Return the response of the first matching rule, otherwise the registry's."""
        with self._lock:
            rule = next((one for one in self.rules if one.takes(request)), None)
        return rule.act(request) if rule else request.forward()

    def remember(self, request: Request, status: int) -> None:
        """Record a request."""
        with self._lock:
            self.seen.append(Seen(request.method, request.path, status, len(request.body), time.monotonic()))


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a client that disconnected, as a killed one does."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a body would wait 40 ms for the acknowledgement of its headers
    owner: Proxy

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {key: value for key, value in self.headers.items() if key.lower() not in _HOP}
        request = Request(self.owner, self.command, self.path, headers, body)
        try:
            answer = self.owner.answer(request)
        except Reset:
            self.owner.remember(request, 0)
            self._reset()
            return
        self.owner.remember(request, answer.status)
        self.send_response_only(answer.status)
        length = answer.headers.get("Content-Length") if self.command == "HEAD" else str(len(answer.body))
        for key, value in answer.headers.items():
            if key.lower() != "content-length":
                self.send_header(key, value)
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _reset(self) -> None:
        """Close with an RST, as a dying proxy would."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _handle

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the proxy keeps its own records."""


# Actions of rules ---------------------------------------------------------------------------------------------------


def status(code: int, **headers: str) -> Callable[[Request], Answer]:
    """Answer with just a status; `Retry_After="1"` adds a header."""
    return lambda _request: Answer(code, {key.replace("_", "-"): value for key, value in headers.items()})


def reset(_request: Request) -> Answer:
    """Accept the request, do nothing, reset the connection."""
    raise Reset


def lose_answer(request: Request) -> Answer:
    """Forward the request, then reset the connection instead of answering."""
    request.forward()
    raise Reset


def pretend(_request: Request) -> Answer:
    """Answer 201 and do nothing: acknowledged and lost."""
    return Answer(201)


def slow(seconds: float) -> Callable[[Request], Answer]:
    """Forward the request and answer late."""

    def act(request: Request) -> Answer:
        answer = request.forward()
        threading.Event().wait(seconds)
        return answer

    return act


def instead(event: Callable[[], object]) -> Callable[[Request], Answer]:
    """Run `event` instead of forwarding, then reset the connection."""

    def act(_request: Request) -> Answer:
        event()
        raise Reset

    return act


def then(event: Callable[[], object], *, before: bool) -> Callable[[Request], Answer]:
    """Run `event` before forwarding the request, or after forwarding and before the response."""

    def act(request: Request) -> Answer:
        if before:
            event()
            return request.forward()
        answer = request.forward()
        event()
        return answer

    return act
