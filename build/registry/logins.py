"""Logging in to a registry: Basic (RFC 7617), or a Bearer token of its token service (RFC 6750).

https://distribution.github.io/distribution/spec/auth/token/ and …/oauth/ describe the service.
"""

from __future__ import annotations

import base64
import re
import threading
from typing import TYPE_CHECKING

from build.config.manifest import Manifest
from build.errors import RegistryError
from build.registry import credentials, responses, retry
from build.registry.connections import Connections, is_loopback

if TYPE_CHECKING:
    import httpx

_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_CLIENT = "unity-claude-automation"


class Logins:
    """The logins of one client; `tokens` maps each scope to its Authorization header, "" to one for every scope."""

    def __init__(self, manifest: Manifest, connections: Connections, attempts: int) -> None:
        self.tokens: dict[str, str] = {}
        self._manifest, self._connections, self._attempts = manifest, connections, attempts
        self._credentials: tuple[str, str] | None = None
        self._credentials_read = False
        self._lock = threading.Lock()

    def header(self, path: str) -> str:
        """Return the Authorization header for a path, "" if none was demanded so far."""
        return self.tokens.get(scope(path)) or self.tokens.get("", "")

    def answer(self, answer: httpx.Response) -> bool:
        """Answer a 401's challenge; return whether that gave a new login.

        Raises RegistryError for credentials that can't be read, and a token service that fails.
        """
        with self._lock:
            if not self._credentials_read:
                self._credentials, self._credentials_read = credentials.find(self._manifest), True
        challenge = answer.headers.get("WWW-Authenticate", "")
        scheme = challenge.partition(" ")[0].lower()
        if scheme == "basic" and self._credentials and self._credentials[0] != credentials.IDENTITY:
            header = _basic(self._credentials)
            self.tokens[""] = header
            return bool(answer.request.headers.get("Authorization") != header)
        if scheme != "bearer":
            return False
        parameters = dict(_CHALLENGE.findall(challenge))
        query = {key: parameters[key] for key in ("service", "scope") if parameters.get(key)}
        response = self._fetch_token(parameters.get("realm", ""), query)
        if response.status_code >= 400:
            return False
        body = responses.content_of(response)
        token = body.get("token") or body.get("access_token")
        if not body:
            raise self._failure(
                f"answers with {responses.kind(response)}", str(response.request.url), responses.BETWEEN
            )
        self.tokens[scope(answer.request.url.path)] = f"Bearer {token}"
        return bool(token)

    def _fetch_token(self, realm: str, query: dict[str, str]) -> httpx.Response:
        """Ask the token service, with the retries of every request."""
        import httpx

        for attempt in range(1, self._attempts + 1):
            retry_after = None
            try:
                response = self._ask(realm, query)
            except (httpx.RequestError, httpx.InvalidURL) as error:
                if attempt == self._attempts:
                    raise self._failure(f"does not answer: {error or type(error).__name__}", realm) from None
            else:
                if response.status_code < 500 and response.status_code != 429:
                    return response
                if attempt == self._attempts:
                    problem = f"answers {response.status_code}"
                    raise self._failure(problem, realm, responses.hint(response.status_code))
                retry_after = response.headers.get("Retry-After")
            retry.wait(attempt, retry_after)
        raise AssertionError

    def _ask(self, realm: str, query: dict[str, str]) -> httpx.Response:
        target = self._connections.own.join(realm)
        if target.scheme != "https" and not is_loopback(f"{target.host}:0"):
            raise self._failure("would get the password in the clear", realm, "give it a realm with https://")
        if self._credentials and self._credentials[0] == credentials.IDENTITY:
            form = query | {"grant_type": "refresh_token", "refresh_token": self._credentials[1], "client_id": _CLIENT}
            return self._connections.send("POST", target, headers={}, data=form, follow=False)
        login = _basic(self._credentials) if self._credentials else ""
        return self._connections.send("GET", target.copy_merge_params(query), headers={}, authorization=login)

    def _failure(self, problem: str, realm: str, hint: str = "./inv doctor") -> RegistryError:
        address = self._manifest.registry.address
        return RegistryError(f"registry {address} has a token service that {problem} (GET {realm})", hint=hint)


def scope(path: str) -> str:
    """Return the repository of a path, which is the scope of its token."""
    match = re.match(r"(?:https?://[^/]+)?/v2/(.+?)/(?:manifests|blobs|tags|referrers)/", path)
    return match[1] if match else "/"


def _basic(login: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(login).encode()).decode()
