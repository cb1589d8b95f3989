"""HTTP requests to a registry: retried, authenticated, and refused in the registry's own words."""

from __future__ import annotations

from collections.abc import Callable, Container
from types import TracebackType
from typing import TYPE_CHECKING, Self

from build.config.manifest import Manifest
from build.errors import RegistryError
from build.registry import responses, retry
from build.registry.body import Body, size_of
from build.registry.connections import Connections, is_loopback
from build.registry.logins import Logins

if TYPE_CHECKING:
    import httpx

_READ_TIMEOUT = 60.0  # seconds
_BROKEN_ATTEMPTS = 3  # a proxy or a cache that answers for the registry seldom stops within seconds
START = "./inv registry.up"  # the hint where an embedded registry does not answer
Check = Callable[["httpx.Response"], str]


class Altered(RegistryError):
    """The registry answers, and what it sends is not what it was asked for."""

    @classmethod
    def of(cls, error: RegistryError) -> Altered:
        """The same failure as one of this kind."""
        return cls(str(error), hint=error.hint or responses.BETWEEN)


class Transport:
    """Requests to the manifest's registry: a context manager, safe to share between threads.

    Every method raises RegistryError if the registry refuses, or does not answer within `attempts` attempts.
    """

    def __init__(
        self, manifest: Manifest, *, attempts: int = retry.ATTEMPTS, read_timeout: float = _READ_TIMEOUT
    ) -> None:
        self.address, self.attempts = manifest.registry.address, attempts
        self._embedded = manifest.registry.embedded and is_loopback(self.address)
        self._connections = Connections(manifest, read_timeout)
        self.logins = Logins(manifest, self._connections, attempts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._connections.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        ok: Container[int],
        check: Check | None = None,
        headers: dict[str, str] | None = None,
        content: Body | None = None,
        repeat: bool = True,
        follow: bool = True,
        stream: bool = False,
    ) -> httpx.Response:
        """Send a request and return the response; retried on 5xx, 429, timeouts and broken connections.

        Retries wait as Retry-After says, else with backoff and jitter. Without `repeat` there are none (an upload
        session accepts its body once), except after a login. A file as `content` is streamed. Any status outside `ok`
        raises RegistryError, and so does one within it if `check` goes on returning what is wrong with the answer.
        Redirects are followed, unless `follow` is False. With `stream` the body is not read yet, and whoever calls
        closes the answer.
        """
        import httpx

        attempts = self.attempts if repeat else 1
        logins = 0
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = self._send(method, path, headers or {}, content, follow=follow, stream=stream)
            except httpx.RequestError as error:
                if attempt >= attempts:
                    reason = str(error) or type(error).__name__
                    raise self.failure(f"does not answer: {reason}", method, path, hint=self._unreachable()) from None
                retry.wait(attempt)
                continue
            if answer.status_code in ok:
                problem = check(answer) if check else ""
                if not problem:
                    return answer
                if attempt >= min(attempts, _BROKEN_ATTEMPTS):
                    raise Altered.of(self.failure(problem, method, path))
                retry.wait(attempt)
                continue
            own = self._connections.is_own(answer.request.url)
            if answer.status_code == 401 and own and logins < 2 and self.logins.answer(answer):
                logins += 1
                attempt -= 1
                continue
            transient = answer.status_code >= 500 or answer.status_code == 429
            if not transient or attempt >= attempts:
                raise self._refusal(answer, method, path, content)
            retry.wait(attempt, answer.headers.get("Retry-After"))

    def _send(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        content: Body | None,
        *,
        follow: bool,
        stream: bool,
    ) -> httpx.Response:
        target = self._connections.own.join(path)
        login = self.logins.header(target.path) if self._connections.is_own(target) else ""
        answer = self._connections.send(
            method, target, headers=headers, authorization=login, content=content, follow=follow, stream=stream
        )
        if stream and not answer.is_success:
            answer.read()
            answer.close()
        return answer

    def location(self, answer: httpx.Response) -> str:
        """Return the Location header as a URL: where to continue an upload."""
        if not (target := answer.headers.get("Location")):
            raise self.failure("sends no Location", answer.request.method, answer.request.url.path)
        return str(self._connections.next(answer, target))

    def following(self, answer: httpx.Response) -> str:
        """Return the URL of the next page of a list (RFC 8288), "" if there is none."""
        target = answer.links.get("next", {}).get("url", "")
        return str(self._connections.next(answer, target)) if target else ""

    def failure(self, problem: str, method: str, path: str, *, hint: str = "") -> RegistryError:
        """Return the error for a problem: a phrase whose subject is the registry."""
        shown = path.partition("?")[0].removeprefix(str(self._connections.own))
        return RegistryError(f"registry {self.address} {problem} ({method} {shown})", hint=hint)

    def _unreachable(self) -> str:
        return START if self._embedded else f"curl -v {self._connections.own}/v2/ shows where it fails"

    def _refusal(self, answer: httpx.Response, method: str, path: str, content: Body | None) -> RegistryError:
        status, reason = answer.status_code, responses.reason(answer)
        problem = f"answers {status}{': ' + reason if reason else ''}"
        if status in {401, 403}:
            problem = f"refuses: {problem}"
        elif status == 413 and content is not None:
            problem += f" to a body of {size_of(content) / 1e6:.1f} MB"
        elif answer.has_redirect_location:
            problem += f", which leads to {answer.headers['Location'].partition('?')[0]}"
        elif not self._connections.is_own(answer.request.url):
            problem += f" at {answer.request.url.host}, to which it leads"
        error = self.failure(problem, method, path, hint=responses.hint(status))
        error.status = status
        return error
