"""A name server that knows one answer: every name is at one address (RFC 1035)."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator

_HEADER, _A = 12, b"\0\x01\0\x01"


def _answer(query: bytes, address: str) -> bytes:
    """The answer to a query: the address for type A, no record for any other."""
    end = query.index(b"\0", _HEADER) + 5
    question = query[_HEADER:end]
    known = question.endswith(_A)
    record = b"\xc0\x0c" + _A + (60).to_bytes(4, "big") + b"\0\x04" + socket.inet_aton(address)
    counts = b"\0\x01" + (b"\0\x01" if known else b"\0\0") + b"\0\0\0\0"
    return query[:2] + b"\x81\x80" + counts + question + (record if known else b"")


@contextlib.contextmanager
def naming(address: str) -> Iterator[None]:
    """Answer at port 53 of the address that everything is there."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            query, sender = self.request
            sender.sendto(_answer(query, address), self.client_address)

    with socketserver.ThreadingUDPServer((address, 53), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
