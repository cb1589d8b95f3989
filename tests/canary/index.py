"""An index of packages that wants credentials: in front of this machine's Python index and npm's registry.

/simple/… is the Python index, /npm/… the registry, /modules/… an empty repository of PowerShell modules. What their pages
link is at /on/HOST/….
"""

from __future__ import annotations

import base64
import collections
import contextlib
import http.server
import os
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

_PYTHON = os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"
# pip takes no certificate for an address.
NAME = "index.test"
_NPM = "https://registry.npmjs.org"
_PASSED_ON = ("accept", "user-agent")
_TEXT = ("text/html", "application/json", "application/vnd.")


@dataclass(slots=True)
class Index:
    """The server: the `Authorization` that each part wants, and how many requests had it, by part."""

    address: str
    wanted: Mapping[str, str]
    served: collections.Counter[str] = field(default_factory=collections.Counter)
    refused: int = 0
    _kept: dict[tuple[str, str], tuple[int, str, bytes]] = field(default_factory=dict)

    def answer(self, path: str, headers: Mapping[str, str]) -> tuple[int, str, bytes]:
        """Status, type and body of an answer."""
        part, _, rest = path.lstrip("/").partition("/")
        given = headers.get("authorization", "")
        if given not in ({self.wanted[part]} if part in self.wanted else set(self.wanted.values())):
            self.refused += 1
            return 401, "text/plain", b"credentials are wanted"
        self.served[part] += 1
        if part == "modules":
            return 404, "text/plain", b"no such module"
        url = {"simple": f"{_PYTHON}/{rest}", "npm": f"{_NPM}/{rest}", "on": f"https://{rest}"}.get(part, "")
        passed = {name: value for name, value in headers.items() if name in _PASSED_ON}
        if (known := self._kept.get((url, passed.get("accept", "")))) is not None:
            return known
        answer = httpx.get(url, headers=passed | {"accept-encoding": "identity"}, follow_redirects=True, timeout=120)
        kind = answer.headers.get("content-type", "application/octet-stream")
        body = answer.content
        if kind.startswith(_TEXT) and part != "on":
            body = body.replace(b"https://", f"https://{self.address}/on/".encode())
        self._kept[url, passed.get("accept", "")] = answer.status_code, kind, body
        return answer.status_code, kind, body


def basic(user: str, password: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@contextlib.contextmanager
def serving(host: str, certificate: Path, key: Path, wanted: Mapping[str, str]) -> Iterator[Index]:
    """Serve with TLS at a free port of the host, under the certificate's name NAME."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer, and ask for credentials where there are none."""
            try:
                status, kind, body = index.answer(self.path, {k.lower(): v for k, v in self.headers.items()})
            except httpx.HTTPError as error:
                status, kind, body = 502, "text/plain", str(error).encode()
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body if self.command == "GET" else b"")

        def do_HEAD(self) -> None:
            """Answer without the body."""
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer((host, 0), Handler) as server:
        index = Index(f"{NAME}:{server.server_address[1]}", wanted)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield index
        finally:
            server.shutdown()
            thread.join()
