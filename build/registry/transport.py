"""HTTP requests to a registry: retries, authentication, TLS, and errors in the registry's own words."""

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
_READ_TIMEOUT = 60.0  # seconds
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 20.0
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_CHUNK = 1 << 20
_CLIENT = "unity-claude-automation"


def is_loopback(address: str) -> bool:
    """Whether a registry address is on this machine, the only place where plain HTTP is allowed."""
    host = address.rpartition(":")[0] or address
    return host == "localhost" or re.fullmatch(r"127\.\d+\.\d+\.\d+", host) is not None


def url(manifest: Manifest) -> str:
    """Return the registry's base URL: http on loopback, https elsewhere."""
    address = manifest.registry.address
    return f"{'http' if is_loopback(address) else 'https'}://{address}"


class Transport:
    """Requests to the manifest's registry: a context manager, safe to share between threads.

    Every method raises RegistryError if the registry refuses, or does not answer within `attempts` attempts.
    """

    def __init__(self, manifest: Manifest, *, attempts: int = ATTEMPTS, read_timeout: float = _READ_TIMEOUT) -> None:
        import httpx

        self.address, self.attempts = manifest.registry.address, attempts
        self._manifest = manifest
        self._credentials: tuple[str, str] | None = None
        self._credentials_read = False
        self._tokens: dict[str, str] = {}
        self._lock = threading.Lock()
        self._http = httpx.Client(
            base_url=url(manifest),
            timeout=httpx.Timeout(read_timeout, connect=min(read_timeout, 10)),
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
        """Send a request and return the response; retried on 5xx, 429, timeouts and broken connections.

        Retries wait as Retry-After says, else with backoff and jitter. Without `repeat` there are none (an upload
        session accepts its body once), except after a login. A path as `content` is streamed. Any status outside `ok`
        raises RegistryError.
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
                    reason = str(error) or type(error).__name__
                    raise self.failure(f"does not answer: {reason}", method, path, hint=self._hint()) from None
                self.wait(attempt, None)
                continue
            if answer.status_code in ok:
                return answer
            if answer.status_code == 401 and logins < 2 and self._login(answer):
                logins += 1
                attempt -= 1
                continue
            transient = answer.status_code >= 500 or answer.status_code == 429
            if not transient or attempt >= attempts:
                raise self._refusal(answer, method, path)
            self.wait(attempt, answer.headers.get("Retry-After"))

    def _send(self, method: str, path: str, headers: dict[str, str], content: bytes | Path | None) -> httpx.Response:
        # An upload may be redirected to another host, which must not see our token.
        same_host = path.startswith(("/", str(self._http.base_url)))
        if same_host and (token := self._tokens.get(_scope(path)) or self._tokens.get("")):
            headers = headers | {"Authorization": token}
        if isinstance(content, Path):
            headers = headers | {"Content-Length": str(content.stat().st_size)}
            return self._http.request(method, path, headers=headers, content=_chunks(content))
        return self._http.request(method, path, headers=headers, content=content)

    def _login(self, answer: httpx.Response) -> bool:
        """Answer the challenge (RFC 6750; Distribution's token specification); return whether that gave a new token."""
        with self._lock:
            if not self._credentials_read:
                self._credentials, self._credentials_read = credentials.find(self._manifest), True
        challenge = answer.headers.get("WWW-Authenticate", "")
        scheme = challenge.partition(" ")[0].lower()
        if scheme == "basic" and self._credentials and self._credentials[0] != credentials.IDENTITY:
            header = "Basic " + base64.b64encode(":".join(self._credentials).encode()).decode()
            self._tokens[""] = header
            return bool(answer.request.headers.get("Authorization") != header)
        if scheme != "bearer":
            return False
        parameters = dict(_CHALLENGE.findall(challenge))
        query = {key: parameters[key] for key in ("service", "scope") if parameters.get(key)}
        response = self._fetch_token(parameters.get("realm", ""), query)
        if response.is_error:
            return False
        body = self.json(response)
        token = body.get("token") or body.get("access_token")
        self._tokens[_scope(answer.request.url.path)] = f"Bearer {token}"
        return bool(token)

    def _fetch_token(self, realm: str, query: dict[str, str]) -> httpx.Response:
        """Ask the token service, with the retries of `request`."""
        import httpx

        for attempt in range(1, self.attempts + 1):
            retry_after = None
            try:
                response = self._send_token_request(realm, query)
            except (httpx.RequestError, httpx.InvalidURL) as error:
                if attempt == self.attempts:
                    message = f"has a token service that does not answer: {error or type(error).__name__}"
                    raise self.failure(message, "GET", realm) from None
            else:
                if response.status_code < 500 and response.status_code != 429:
                    return response
                if attempt == self.attempts:
                    message = f"has a token service that answers {response.status_code}"
                    raise self.failure(message, "GET", realm)
                retry_after = response.headers.get("Retry-After")
            self.wait(attempt, retry_after)
        raise AssertionError

    def _send_token_request(self, realm: str, query: dict[str, str]) -> httpx.Response:
        import httpx

        user, secret = self._credentials or ("", "")
        if user != credentials.IDENTITY:
            return self._http.get(realm, params=query, auth=self._credentials or httpx.USE_CLIENT_DEFAULT)
        # Distribution's token specification, "Token Authentication Specification using OAuth2".
        form = query | {"grant_type": "refresh_token", "refresh_token": secret, "client_id": _CLIENT}
        return self._http.post(realm, data=form)

    def json(self, answer: httpx.Response) -> dict[str, Any]:
        """Return the response's JSON object; a captive portal or a proxy would send a page instead."""
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            kind = answer.headers.get("Content-Type", "") or "nothing that is JSON"
            raise self.failure(f"answers with {kind}", answer.request.method, answer.request.url.path)
        return body

    def location(self, answer: httpx.Response) -> str:
        """Return the Location header: where to continue an upload."""
        if not (target := answer.headers.get("Location")):
            raise self.failure("sends no Location", answer.request.method, answer.request.url.path)
        return str(target)

    def wait(self, attempt: int, retry_after: str | None) -> None:
        """Sleep before the next attempt: as long as Retry-After says, else exponential backoff with jitter."""
        longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (attempt - 1))
        pause = _retry_after_seconds(retry_after)
        if pause is None:
            pause = random.uniform(longest / 2, longest)  # noqa: S311  (jitter, not a secret)
        time.sleep(min(pause, 60))

    def failure(self, problem: str, method: str, path: str, *, hint: str = "") -> RegistryError:
        """Return the error for a problem: a phrase whose subject is the registry."""
        return RegistryError(f"registry {self.address} {problem} ({method} {path.partition('?')[0]})", hint=hint)

    def _hint(self) -> str:
        return "./inv registry.up" if self._manifest.registry.embedded else "./inv doctor"

    def _refusal(self, answer: httpx.Response, method: str, path: str) -> RegistryError:
        reason = _reason(answer)
        problem = f"answers {answer.status_code}{': ' + reason if reason else ''}"
        hint = self._hint()
        if answer.status_code in {401, 403}:
            problem, hint = f"refuses: {problem}", "set [registry] username and password_file, or docker login"
        error = self.failure(problem, method, path, hint=hint)
        error.status = answer.status_code
        return error


def _trust(manifest: Manifest) -> ssl.SSLContext:
    """Trust the system's certificates, `registry.ca_file`, and those of Docker's certs.d for this registry.

    Raises RegistryError for a file without certificates.
    """
    context = ssl.create_default_context()
    certs_d = Path("/etc/docker/certs.d") / manifest.registry.address / "ca.crt"
    for path in (manifest.root / manifest.registry.ca_file if manifest.registry.ca_file else None, certs_d):
        if path is not None and path.is_file():
            try:
                context.load_verify_locations(path)
            except OSError as error:
                hint = "expected a PEM file, with a line -----BEGIN CERTIFICATE-----"
                raise RegistryError(f"{path}: no certificates can be read from it: {error}", hint=hint) from None
    return context


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _scope(path: str) -> str:
    """Return the repository of a request, which is the scope of its token."""
    match = re.match(r"(?:https?://[^/]+)?/v2/(.+?)/(?:manifests|blobs|tags)/", path)
    return match[1] if match else "/"


def _retry_after_seconds(retry_after: str | None) -> float | None:
    """Parse Retry-After: seconds or a date (RFC 9110, section 10.2.3); None if it is neither."""
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
    """Return code and message of the first error in the registry's response."""
    try:
        body: Any = answer.json()
        first = body["errors"][0]
        return f"{first.get('code', '')} {first.get('message', '')}".strip()
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return ""
