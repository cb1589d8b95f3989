"""Requests to a registry: retried where that helps, logged in where it is asked for, refusals told in its own words."""

from __future__ import annotations

import base64
import email.utils
import random
import re
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from build.config.manifest import Manifest
from build.errors import RegistryError
from build.registry import credentials

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 6
_SILENCE = 60.0  # seconds that a registry may say nothing
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 20.0
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_CHUNK = 1 << 20
_CLIENT = "unity-claude-automation"


def is_loopback(address: str) -> bool:
    """Whether a registry address is on this machine: plain HTTP is allowed there and nowhere else."""
    host = address.rpartition(":")[0] or address
    return host == "localhost" or re.fullmatch(r"127\.\d+\.\d+\.\d+", host) is not None


def url(manifest: Manifest) -> str:
    """The registry's base URL: http on loopback, else https."""
    address = manifest.registry.address
    return f"{'http' if is_loopback(address) else 'https'}://{address}"


class Transport:
    """Requests to the registry of the manifest; a context manager, to be used by any number of threads.

    Every method raises RegistryError when the registry refuses, or does not answer after `attempts` tries.
    """

    def __init__(self, manifest: Manifest, *, attempts: int = ATTEMPTS, silence: float = _SILENCE) -> None:
        import httpx

        self.address, self.attempts = manifest.registry.address, attempts
        self._manifest = manifest
        self._credentials: tuple[str, str] | None = None
        self._asked = False
        self._tokens: dict[str, str] = {}
        self._lock = threading.Lock()
        self._http = httpx.Client(
            base_url=url(manifest),
            timeout=httpx.Timeout(silence, connect=min(silence, 10)),
            verify=_trust(manifest) if not is_loopback(self.address) else False,
            trust_env=not is_loopback(self.address),
            limits=httpx.Limits(max_keepalive_connections=16),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        ok: Sequence[int],
        headers: dict[str, str] | None = None,
        content: bytes | Path | None = None,
        repeat: bool = True,
    ) -> httpx.Response:
        """One request, repeated with jitter on 5xx, 429 (by its Retry-After), timeouts and broken connections.

        With `repeat` off it is sent once (a blob's body goes to an upload that only its first use may have), but for a
        second time after a login. `content` as a path is streamed. Any status outside `ok` raises RegistryError.
        """
        import httpx

        attempts = self.attempts if repeat else 1
        logins = 0
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = self._send(method, path, headers or {}, content)
            except httpx.RequestError as error:
                if attempt >= attempts:
                    said = str(error) or type(error).__name__
                    raise self.failure(f"does not answer: {said}", method, path, hint=self._hint()) from None
                self.wait(attempt, None)
                continue
            if answer.status_code in ok:
                return answer
            if answer.status_code == 401 and logins < 2 and self._login(answer):
                logins += 1
                attempt -= 1
                continue
            passing = answer.status_code >= 500 or answer.status_code == 429
            if not passing or attempt >= attempts:
                raise self._refusal(answer, method, path)
            self.wait(attempt, answer.headers.get("Retry-After"))

    def _send(self, method: str, path: str, headers: dict[str, str], content: bytes | Path | None) -> httpx.Response:
        # An upload may be sent elsewhere, to a store that has no business with our login.
        ours = path.startswith(("/", str(self._http.base_url)))
        if ours and (token := self._tokens.get(_scope(path)) or self._tokens.get("")):
            headers = headers | {"Authorization": token}
        if isinstance(content, Path):
            headers = headers | {"Content-Length": str(content.stat().st_size)}
            return self._http.request(method, path, headers=headers, content=_chunks(content))
        return self._http.request(method, path, headers=headers, content=content)

    def _login(self, answer: httpx.Response) -> bool:
        """Get what the challenge asks for (RFC 6750; Docker's token specification); False when there is no way."""
        with self._lock:
            if not self._asked:
                self._credentials, self._asked = credentials.find(self._manifest), True
        challenge = answer.headers.get("WWW-Authenticate", "")
        scheme = challenge.partition(" ")[0].lower()
        if scheme == "basic" and self._credentials and self._credentials[0] != credentials.IDENTITY:
            header = "Basic " + base64.b64encode(":".join(self._credentials).encode()).decode()
            self._tokens[""] = header
            return bool(answer.request.headers.get("Authorization") != header)
        if scheme != "bearer":
            return False
        asked = dict(_CHALLENGE.findall(challenge))
        query = {key: asked[key] for key in ("service", "scope") if asked.get(key)}
        given = self._ask_for_token(asked.get("realm", ""), query)
        if given.is_error:
            return False
        body = self.json(given)
        token = body.get("token") or body.get("access_token")
        self._tokens[_scope(answer.request.url.path)] = f"Bearer {token}"
        return bool(token)

    def _ask_for_token(self, realm: str, query: dict[str, str]) -> httpx.Response:
        """What the token service answers, asked again while it is busy or away as the registry itself is."""
        import httpx

        for attempt in range(1, self.attempts + 1):
            retry_after = None
            try:
                given = self._send_for_token(realm, query)
            except (httpx.RequestError, httpx.InvalidURL) as error:
                if attempt == self.attempts:
                    message = f"has a token service that does not answer: {error or type(error).__name__}"
                    raise self.failure(message, "GET", realm) from None
            else:
                if given.status_code < 500 and given.status_code != 429:
                    return given
                if attempt == self.attempts:
                    message = f"has a token service that answers {given.status_code}"
                    raise self.failure(message, "GET", realm)
                retry_after = given.headers.get("Retry-After")
            self.wait(attempt, retry_after)
        raise AssertionError

    def _send_for_token(self, realm: str, query: dict[str, str]) -> httpx.Response:
        import httpx

        user, secret = self._credentials or ("", "")
        if user != credentials.IDENTITY:
            return self._http.get(realm, params=query, auth=self._credentials or httpx.USE_CLIENT_DEFAULT)
        # Distribution's token specification, "Token Authentication Specification using OAuth2".
        form = query | {"grant_type": "refresh_token", "refresh_token": secret, "client_id": _CLIENT}
        return self._http.post(realm, data=form)

    def json(self, answer: httpx.Response) -> dict[str, Any]:
        """The answer's JSON object. A portal or a proxy that answers in the registry's place sends a page instead."""
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            kind = answer.headers.get("Content-Type", "") or "nothing that is JSON"
            raise self.failure(f"answers with {kind}", answer.request.method, answer.request.url.path)
        return body

    def location(self, answer: httpx.Response) -> str:
        """Where an upload goes on, or a blob is."""
        if not (found := answer.headers.get("Location")):
            raise self.failure("does not say where to go on", answer.request.method, answer.request.url.path)
        return str(found)

    def wait(self, attempt: int, retry_after: str | None) -> None:
        """Pause before another attempt: what Retry-After asks for, else a jittered, growing time."""
        longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (attempt - 1))
        pause = _asked_wait(retry_after)
        if pause is None:
            pause = random.uniform(longest / 2, longest)  # noqa: S311  (jitter, no secret)
        time.sleep(min(pause, 60))

    def failure(self, said: str, method: str, path: str, *, hint: str = "") -> RegistryError:
        """The error for what the registry did."""
        return RegistryError(f"registry {self.address} {said} ({method} {path.partition('?')[0]})", hint=hint)

    def _hint(self) -> str:
        return "./inv registry.up" if self._manifest.registry.embedded else "./inv doctor"

    def _refusal(self, answer: httpx.Response, method: str, path: str) -> RegistryError:
        reason = _reason(answer)
        said = f"answers {answer.status_code}{': ' + reason if reason else ''}"
        hint = self._hint()
        if answer.status_code in {401, 403}:
            said, hint = f"refuses: {said}", "set [registry] username and password_file, or docker login"
        error = self.failure(said, method, path, hint=hint)
        error.status = answer.status_code
        return error


def _trust(manifest: Manifest) -> ssl.SSLContext:
    """The machine's own certificates, and those that Docker trusts for this registry alone (certs.d).

    Raises RegistryError for a file without any.
    """
    context = ssl.create_default_context()
    beside = Path("/etc/docker/certs.d") / manifest.registry.address / "ca.crt"
    for path in (manifest.root / manifest.registry.ca_file if manifest.registry.ca_file else None, beside):
        if path is not None and path.is_file():
            try:
                context.load_verify_locations(path)
            except OSError as error:
                hint = "a PEM file is wanted: it has a line -----BEGIN CERTIFICATE-----"
                raise RegistryError(f"{path}: no certificates can be read from it: {error}", hint=hint) from None
    return context


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _scope(path: str) -> str:
    """The repository that a request is about: a token is good for one."""
    match = re.match(r"(?:https?://[^/]+)?/v2/(.+?)/(?:manifests|blobs|tags)/", path)
    return match[1] if match else "/"


def _asked_wait(retry_after: str | None) -> float | None:
    """Seconds that Retry-After asks for, as a number or a date (RFC 9110, section 10.2.3)."""
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        until = email.utils.parsedate_to_datetime(retry_after).timestamp()
    except ValueError:
        return None
    return max(0.0, until - time.time())


def _reason(answer: httpx.Response) -> str:
    """The registry's own words: code and message of its first error."""
    try:
        body: Any = answer.json()
        first = body["errors"][0]
        return f"{first.get('code', '')} {first.get('message', '')}".strip()
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return ""
