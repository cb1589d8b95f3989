"""Requests nobody should send, and what is wrong with an answer to one: for the bounded test and for bench/fuzz.py."""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
from collections.abc import Callable

VALID = {"module": "Probe", "command": "Get-Echo", "parameters": {"Text": "x", "Number": 1, "List": ["a"]}}
STACK = re.compile(
    rb"\bat System\.|\.psm?1: ?line \d|\.ps1:\d|StackTrace|Traceback|--- End of|CategoryInfo|At .+:\d+ char:\d+"
)
PATHS = [
    b"/modules/../../etc/passwd", b"/modules/%2e%2e%2f%2e%2e%2fetc%2fpasswd/commands", b"/..%5c..%5cetc", b"//modules",
    b"/modules/%zz/commands", b"/modules/%00/commands", b"/modules/\xff\xfe/commands", b"/invoke/", b"/INVOKE", b"/health/",
    b"/modules//commands", b"/modules/Probe/commands/x", b"/modules/" + b"a" * 20000 + b"/commands", b"/?x=" + b"%41" * 5000,
    b"http://[::1/health", b"*", b"a:1", b"", b"/modules/Probe%0d%0aX-Injected:1/commands", b"/modules/*/commands",
    b"/modules/[a/commands", b"/metrics;x", b"/openapi.json/..", b"/%6dodules",
]  # fmt: skip
HEADERS = [
    b"X-Request-Id: a\r\n X-Injected: 1", b"X-Request-Id: a\rX-Injected: 1", b"X-Request-Id: a\x00b", b"X-Request-Id: " + b"a" * 129,
    b'X-Request-Id: "},{"x":"', b"X-Request-Id: a%0d%0aX-Injected: 1", b"NoColon", b"Bad Name: x", b": empty", b"X: " + b"b" * 40000,
    b"Host: second", b"Host: a b", b"Expect: nonsense", b"Content-Encoding: gzip", b"Upgrade: h2c", b"Range: bytes=0-",
    b"Authorization: Bearer \xff\xfe", b"Authorization: Bearer", b"x-api-key: ", b"Cookie: " + b"c=1; " * 2000, b"Content-Type: \xff",
]  # fmt: skip
FRAMINGS = [
    (b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"), (b"Transfer-Encoding: chunked\r\nContent-Length: 5", b"0\r\n\r\n"),
    (b"Content-Length: -1", b""), (b"Content-Length: abc", b""), (b"Content-Length: 99999999999999999999", b""),
    (b"Content-Length: 2\r\nContent-Length: 3", b"{}"), (b"Content-Length: 50", b"{"), (b"Transfer-Encoding: chunked", b"zz\r\n"),
    (b"Transfer-Encoding: chunked", b"FFFFFFFFFFFF\r\nabc\r\n"), (b"Transfer-Encoding: chunked", b"5\r\n{}\r\n"),
    (b"Transfer-Encoding: chunked", b"2\r\n{}\r\n"), (b"Transfer-Encoding: chunked", b"-1\r\n\r\n"), (b"Transfer-Encoding: gzip", b""),
    (b"Transfer-Encoding: gzip, chunked", b"0\r\n\r\n"), (b"Transfer-Encoding: xchunked\r\nContent-Length: 2", b"{}"), (b"X: y", b"{}"),
]  # fmt: skip


def _value(random_: random.Random, depth: int = 3) -> object:
    kind = random_.randrange(9 if depth else 7)
    scalars: list[Callable[[], object]] = [
        lambda: None,
        lambda: random_.choice([True, False]),
        lambda: random_.choice([0, -1, 2**31, 2**63, 2**64 + 1, 10**60, 10**80]),
        lambda: random_.choice([0.5, -1e308, 1e-300, 7.6]),
        lambda: random_.choice(["", "7", "7.6", "\x00", "\ud800", "$(1+1)", "`n; exit", "../../etc", "a" * 5000, "😀"]),
        lambda: "".join(chr(random_.randrange(1, 0xD7FF)) for _ in range(random_.randrange(20))),
        random_.random,
    ]
    if kind < len(scalars):
        return scalars[kind]()
    several = range(random_.randrange(4))
    if kind == 7:
        return [_value(random_, depth - 1) for _ in several]
    return {random_.choice(["a", "A", "", "b", "Text"]): _value(random_, depth - 1) for _ in several}


def _mutated(random_: random.Random, body: bytes) -> bytes:
    changed = bytearray(body)
    for _ in range(random_.randrange(1, 4)):
        at = random_.randrange(len(changed) + 1)
        match random_.randrange(4):
            case 0:
                changed[at:at] = bytes([random_.randrange(256)])
            case 1:
                del changed[at : at + random_.randrange(1, 9)]
            case 2:
                changed[at:at] = random_.choice(
                    [b"{", b"}", b"[", b",", b"//", b"NaN", b"'", b"\\", b"\\ud800", b"1e999"]
                )
            case 3:
                changed[at : at + 1] = bytes([random_.randrange(256)])
    return bytes(changed)


def _bodies(random_: random.Random) -> bytes:
    match random_.randrange(5):
        case 0:
            return _mutated(random_, json.dumps(VALID).encode())
        case 1:
            names = ["Text", "Number", "Loud", "List", "Table", "Words", "ErrorAction", "Nope", "text"]
            given = {name: _value(random_) for name in random_.sample(names, random_.randrange(5))}
            return json.dumps(VALID | {"parameters": given}).encode()
        case 2:
            names = ["module", "command", "parameters", "Module", "x"]
            return json.dumps({name: _value(random_) for name in random_.sample(names, 3)}).encode()
        case 3:
            return json.dumps(_value(random_)).encode()
        case _:
            return random_.choice(
                [b'{"a":' * 2000, b"[" * 100_000, b'"' * 9, b"\xef\xbb\xbf{}", b"1" * 500_000, random_.randbytes(300)]
            )


def request(random_: random.Random, token: str) -> bytes:
    """One request, broken in one way of six; it always asks for the connection to be closed."""
    head = b"Host: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer " + token.encode() + b"\r\n"
    match random_.randrange(20):
        case 0 | 1 | 2:
            method = random_.choice([b"GET", b"POST", b"HEAD"])
            length = b"Content-Length: 0\r\n" if method == b"POST" else b""
            return method + b" " + random_.choice(PATHS) + b" HTTP/1.1\r\n" + head + length + b"\r\n"
        case 3 | 4:
            target = random_.choice([b"GET /health", b"GET /modules"])
            return target + b" HTTP/1.1\r\n" + head + random_.choice(HEADERS) + b"\r\n\r\n"
        case 5 | 6:
            framing, body = random_.choice(FRAMINGS)
            return b"POST /invoke HTTP/1.1\r\n" + head + framing + b"\r\n\r\n" + body
        case 7:
            line = random_.choice(
                [b"FOO /invoke HTTP/1.1", b"GET /health HTTP/9.9", b"GET /health", b"\x00\xff", b"GET  / HTTP/1.1"]
            )
            return line + b"\r\n" + head + b"\r\n"
        case 8:
            size = random_.choice([1_048_577, 2_000_000, 10_000_000])
            return b"POST /invoke HTTP/1.1\r\n" + head + b"Content-Length: %d\r\n\r\n" % size + b" " * size
        case _:
            body = _bodies(random_)
            return b"POST /invoke HTTP/1.1\r\n" + head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def ask(address: tuple[str, int], sent: bytes) -> bytes:
    """Send it, say that no more comes, and read what comes back until the connection ends."""
    chunks = []
    with socket.create_connection(address, timeout=30) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                chunks.append(chunk)
    return b"".join(chunks)


def fault(sent: bytes, answer: bytes) -> tuple[int, str]:
    """The status of the answer (0: the connection ended without one) and what is wrong with it ('' when nothing is).

    The listener itself answers 501 to a transfer coding other than chunked and 505 to a version other than HTTP/1.x, as HTTP wants.
    """
    answer = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    if not answer:
        return 0, ""
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    by_protocol = (status == 501 and b"Transfer-Encoding:" in sent) or (
        status == 505 and b"HTTP/1.1\r\n" not in sent[:40000]
    )
    if status >= 500 and not by_protocol:
        return status, "a 5xx"
    if STACK.search(answer):
        return status, "a stack in the answer"
    if b"x-injected" in head.lower():
        return status, "an injected header"
    if status >= 400 and not by_protocol and sent[:4] != b"HEAD" and not re.search(rb'"detail":"[^"]|<h1>[^<]', body):
        return status, "no reason"
    return status, ""
