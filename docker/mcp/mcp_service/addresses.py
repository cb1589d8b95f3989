"""Requests that name the server by an address pass the transport's check of Host, which knows names alone."""

from __future__ import annotations

from ipaddress import ip_address

from ucservice.web import App, Receive, Scope, Send

_HOST = b"host"


class ByAddress:
    """ASGI middleware around the transport.

    The check keeps web pages from reaching the server through a name of their own (DNS rebinding); an address can't be
    such a name. Where the server is published, on which nodes of a swarm say, it does not know. `allowed` is a host
    that the transport accepts.
    """

    def __init__(self, app: App, allowed: str) -> None:
        self.app = app
        self._allowed = allowed.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = [(key, self._accepted(value) if key == _HOST else value) for key, value in scope["headers"]]
            scope = {**scope, "headers": headers}
        await self.app(scope, receive, send)

    def _accepted(self, host: bytes) -> bytes:
        return self._allowed if is_address(host.decode("latin-1")) else host


def is_address(host: str) -> bool:
    """Whether the value of a Host header is an IPv4 address or an IPv6 one in brackets, with or without a port."""
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdecimal():
        name = host
    is_bracketed = name.startswith("[") and name.endswith("]")
    try:
        return ip_address(name[1:-1] if is_bracketed else name).version == (6 if is_bracketed else 4)
    except ValueError:
        return False
