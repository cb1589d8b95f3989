"""Connections to a registry and to where it sends us: no cookies, the right certificates, nothing secret to others.

An origin is scheme, host and port (RFC 6454); a login belongs to the registry's own and goes nowhere else.
"""

from __future__ import annotations

import http.cookiejar
import re
import threading
from typing import TYPE_CHECKING, Any

from build.config.manifest import Manifest
from build.errors import RegistryError
from build.registry.body import Body, pieces_of, size_of
from build.registry.tls import trust

if TYPE_CHECKING:
    import httpx

REDIRECTS = (301, 302, 303, 307, 308)
_SAME_METHOD = (307, 308)  # RFC 9110, section 15.4: after the others a write may become a GET
_MOST_REDIRECTS = 10
_PLAIN = "let its reverse proxy send X-Forwarded-Proto: https (Distribution: http.relativeurls, or http.host)"


def is_loopback(address: str) -> bool:
    """Whether a registry address is on this machine, the only place where plain HTTP is allowed."""
    host = address.rpartition(":")[0] or address
    return host == "localhost" or re.fullmatch(r"127\.\d+\.\d+\.\d+", host) is not None


def is_each_machines_own(address: str) -> bool:
    """Whether a registry address is another registry on each machine: ::1 too, to which Docker speaks TLS alone."""
    return is_loopback(address) or re.fullmatch(r"\[::1\](?::[0-9]+)?", address) is not None


def url(manifest: Manifest) -> str:
    """Return the registry's base URL: http on loopback, https elsewhere."""
    address = manifest.registry.address
    return f"{'http' if is_loopback(address) else 'https'}://{address}"


class Connections:
    """Sends requests and follows redirects. Every method may be called by several threads at once."""

    def __init__(self, manifest: Manifest, read_timeout: float) -> None:
        import httpx

        self.own = httpx.URL(url(manifest))
        self._address = manifest.registry.address
        self._ca_file = manifest.root / manifest.registry.ca_file if manifest.registry.ca_file else None
        self._timeout = httpx.Timeout(read_timeout, connect=min(read_timeout, 10))
        self._clients: dict[tuple[bool, str, bool], httpx.Client] = {}
        self._lock = threading.Lock()
        self._client(self.own)  # an unreadable certificate is reported now

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            client.close()

    def is_own(self, target: httpx.URL) -> bool:
        """Whether a URL is of the registry's own origin."""
        return _origin(target) == _origin(self.own)

    def send(
        self,
        method: str,
        target: httpx.URL,
        *,
        headers: dict[str, str],
        authorization: str = "",
        content: Body | None = None,
        follow: bool = True,
        stream: bool = False,
        **options: Any,
    ) -> httpx.Response:
        """Send a request and return the last answer of its redirects; `authorization` stays within `target`'s origin.

        With `stream`, the body of that answer is not read yet.

        Raises RegistryError for redirects that go in a circle or leave TLS, httpx.RequestError for a broken connection.
        """
        import httpx

        start, visited = target, [target]
        while True:
            sent = dict(headers)
            if authorization and _origin(target) == _origin(start):
                sent["Authorization"] = authorization
            if content is not None:
                sent["Content-Length"] = str(size_of(content))
            body = None if content is None else pieces_of(content)
            try:
                client = self._client(target)
                request = client.build_request(method, target, headers=sent, content=body, **options)
                answer = client.send(request, stream=stream)
            except httpx.InvalidURL as error:  # it parses every Location
                message = f"registry {self._address} leads to what is not a URL: {error} ({method} {target.path})"
                raise RegistryError(message, hint=_PLAIN) from None
            kept = method in {"GET", "HEAD"} or answer.status_code in _SAME_METHOD
            if not (follow and kept and answer.status_code in REDIRECTS and answer.headers.get("Location")):
                return answer
            answer.close()
            target, options = self.next(answer, answer.headers["Location"]), {}
            if target in visited or len(visited) > _MOST_REDIRECTS:
                message = f"{self._address} redirects in a circle, or without end ({method} {start.path})"
                raise RegistryError(f"registry {message}", hint=f"curl -vL {start.copy_with(query=None)} shows it")
            visited.append(target)

    def next(self, answer: httpx.Response, location: str) -> httpx.URL:
        """Return where an answer leads. Raises RegistryError if that is not a URL, or would leave TLS."""
        import httpx

        asked = answer.request
        try:
            target = asked.url.join(location)
        except httpx.InvalidURL:
            target = httpx.URL()
        shown = str(target.copy_with(query=None, fragment=None)) if target.host else location
        if target.scheme not in {"http", "https"} or not target.host:
            message = f"registry {self._address} leads to {shown!r}, not a URL ({asked.method} {asked.url.path})"
            raise RegistryError(message, hint=_PLAIN)
        if (asked.url.scheme, target.scheme) == ("https", "http"):
            message = f"registry {self._address} leads from https to {shown}: refused ({asked.method} {asked.url.path})"
            raise RegistryError(message, hint=_PLAIN)
        return target

    def _client(self, target: httpx.URL) -> httpx.Client:
        """The client for a URL: they differ in certificates, and in whether the environment's proxies are used."""
        import httpx

        own, local = self.is_own(target), is_loopback(f"{target.host}:0")
        key = (own, target.scheme, local)
        with self._lock:
            if key not in self._clients:
                secure = target.scheme == "https"
                self._clients[key] = httpx.Client(
                    timeout=self._timeout,
                    verify=trust(self._address, self._ca_file, own=own) if secure else False,
                    trust_env=not local,
                    limits=httpx.Limits(max_keepalive_connections=16),
                    # Harbor refuses any write that carries its session cookie, for want of a CSRF token.
                    cookies=http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[])),
                )
            return self._clients[key]


def _origin(target: httpx.URL) -> tuple[str, str, int | None]:
    # httpx leaves a scheme's default port out.
    return target.scheme, target.host, target.port
