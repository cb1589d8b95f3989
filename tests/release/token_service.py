"""A registry that asks for more than nothing: TLS with a private CA, basic auth, or tokens of a real token service.

Certificates and signatures are made by openssl; Distribution checks them itself.
"""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.certificates import openssl

USER, PASSWORD = "release", "canary-Pa55-of-the-registry"
IDENTITY = "canary-identity-token"
# bcrypt of PASSWORD, as `htpasswd -B` writes it
HTPASSWD = f"{USER}:$2b$04$Tj/zMWY1l8J6Ye6laykkVO5EePn3eQWOJAAqnElEdndLgZLKhgeQS\n"
SERVICE, ISSUER = "registry-of-the-tests", "tests"


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@dataclass(slots=True)
class TokenService:
    """Gives tokens (Docker's token specification) to whoever knows the password, and to who has the identity token by
    OAuth2's form; remembers what it was asked.

    `seconds` is how long a token is good, `grant` what becomes of the actions that were asked for.
    """

    folder: Path
    seconds: int = 300
    grant: Callable[[list[str]], list[str]] = lambda actions: actions
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    _server: http.server.ThreadingHTTPServer | None = None

    def __enter__(self) -> TokenService:
        openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "2", "-subj", "/CN=tokens",
            "-keyout", str(self.folder / "token.key"), "-out", str(self.certificate),
        )  # fmt: skip
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._say(*service.answer(self.path, self.headers.get("Authorization", "")))

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                self._say(*service.trade(self.rfile.read(length).decode()))

            def _say(self, status: int, body: Any) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """It keeps its own memory."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    @property
    def certificate(self) -> Path:
        """What the registry trusts."""
        return self.folder / "token.crt"

    @property
    def realm(self) -> str:
        """Where it is."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}/token"

    def answer(self, path: str, authorization: str) -> tuple[int, Any]:
        """The status and body of an answer."""
        query = urllib.parse.parse_qs(urllib.parse.urlparse(path).query)
        self.asked.append(query)
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if authorization != wanted:
            return 401, {"errors": []}
        return 200, {"token": self._granted(query), "expires_in": self.seconds}

    def trade(self, form: str) -> tuple[int, Any]:
        """The status and body of an answer to OAuth2's form."""
        query = urllib.parse.parse_qs(form)
        self.asked.append(query)
        if (query.get("grant_type"), query.get("refresh_token")) != (["refresh_token"], [IDENTITY]):
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": self._granted(query), "expires_in": self.seconds}

    def _granted(self, query: dict[str, list[str]]) -> str:
        access = []
        for scope in " ".join(query.get("scope", [])).split():
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": self.grant(actions.split(","))})
        token = self._token(access)
        self.given.append(token)
        return token

    def _token(self, access: list[Any]) -> str:
        now = int(time.time())
        pem = self.certificate.read_text().split("-----")[2]
        head = {"typ": "JWT", "alg": "RS256", "x5c": ["".join(pem.split())]}
        claims = {
            "iss": ISSUER, "sub": USER, "aud": SERVICE, "exp": now + self.seconds, "nbf": now - 10, "iat": now,
            "jti": str(len(self.given)), "access": access,
        }  # fmt: skip
        signed = ".".join(_part(json.dumps(one).encode()) for one in (head, claims))
        signature = openssl("dgst", "-sha256", "-sign", str(self.folder / "token.key"), data=signed.encode())
        return f"{signed}.{_part(signature)}"
