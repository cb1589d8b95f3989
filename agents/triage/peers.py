"""Calls to the other services: a deadline, the peer's token, the request id, and one kind of failure."""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
import time
from dataclasses import dataclass
from typing import Any

import httpx
from ucservice import logs
from ucservice.secretfile import Secret

_log = logs.get("peers")

# A peer that is being replaced refuses connections or answers 503 for a while.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0
_PATIENCE_SECONDS = 30.0
_MAX_ANSWER = 4 * 1024 * 1024


class PeerError(Exception):
    """A peer could not do what it was asked; the message says which, and why."""


class _Away(PeerError):
    """It could not take the call just now; the same call may be made again, after `pause` seconds if it said so."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """Another service, by the environment's names for its address and its token."""

    name: str
    url_variable: str
    default_url: str
    credential: str

    @property
    def url(self) -> str:
        """Where it listens."""
        return os.environ.get(self.url_variable, self.default_url).rstrip("/")


POWERSHELL = Peer(
    name="powershell-modules",
    url_variable="POWERSHELL_URL",
    default_url="http://powershell-modules:5985",
    credential="powershell_token",
)
AUTOGEN = Peer(
    name="autogen-groupchat",
    url_variable="AUTOGEN_URL",
    default_url="http://autogen-groupchat:8001",
    credential="autogen_token",
)


@functools.cache
def _tls() -> ssl.SSLContext:
    # Made once: reading the trust store takes longer than a whole call.
    return ssl.create_default_context()


@functools.cache
def _secret(credential: str) -> Secret:
    # Kept: it remembers its value while the file is overwritten, and empty for a moment.
    return Secret(credential)


def _headers(peer: Peer) -> dict[str, str]:
    token = _secret(peer.credential).current()
    if token is None:
        raise PeerError(f"{peer.name}: no token, the secret {peer.credential} is missing, empty or not printable ASCII")
    headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
    if request_id := logs.request_id.get():
        headers["x-request-id"] = request_id
    return headers


def _told(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return answer.text[:300]
    reason = body.get("detail") or body.get("error") or body if isinstance(body, dict) else body
    return str(reason)[:300]


def _body(peer: Peer, answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code in {401, 403}:
        raise PeerError(f"{peer.name} refused the token ({answer.status_code})")
    if answer.status_code == 503:
        wait = answer.headers.get("retry-after", "")
        pause = float(wait) if wait.isascii() and wait.isdigit() else None
        raise _Away(f"{peer.name} answered 503: {_told(answer)}", pause)
    if not answer.is_success:
        raise PeerError(f"{peer.name} answered {answer.status_code}: {_told(answer)}")
    if len(answer.content) > _MAX_ANSWER:
        raise PeerError(f"{peer.name} answered more than {_MAX_ANSWER} bytes")
    try:
        body = answer.json()
    except ValueError as error:
        raise PeerError(f"{peer.name} answered something that is not JSON") from error
    if not isinstance(body, dict):
        raise PeerError(f"{peer.name} answered a JSON {type(body).__name__}, not an object")
    return body


async def _once(
    client: httpx.AsyncClient, peer: Peer, method: str, path: str, body: Any, *, repeatable: bool
) -> dict[str, Any]:
    try:
        answer = await client.request(method, f"{peer.url}{path}", json=body, headers=_headers(peer))
    except httpx.ConnectError as error:
        raise _Away(f"{peer.name} is down: {error}") from error
    except httpx.TimeoutException as error:
        raise TimeoutError from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        cut_off = isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError)
        kind = _Away if cut_off and repeatable else PeerError
        raise kind(f"{peer.name}: {type(error).__name__} {error}".rstrip()) from error
    return _body(peer, answer)


async def call(
    peer: Peer, method: str, path: str, body: Any = None, *, seconds: float, repeatable: bool = False
) -> dict[str, Any]:
    """The peer's JSON answer, within `seconds`; PeerError says why there is none.

    A peer that did not take the call is asked again for half a minute; one that may have taken it only if it is
    `repeatable`.
    """
    started, told, pause, away = time.monotonic(), "answered", _FIRST_PAUSE, None
    since = 0.0
    try:
        # One deadline over everything: the per-read one of httpx would start again with each byte.
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(verify=_tls(), timeout=seconds, trust_env=False) as client,
        ):
            while True:
                try:
                    return await _once(client, peer, method, path, body, repeatable=repeatable)
                except _Away as error:
                    since, away = since if away else time.monotonic(), error
                if time.monotonic() - since > _PATIENCE_SECONDS:
                    raise away
                await asyncio.sleep(max(pause if away.pause is None else away.pause, _FIRST_PAUSE))
                pause = min(pause * 2, _LONGEST_PAUSE)
    except TimeoutError as error:
        told = "silent"
        raise PeerError(str(away or f"{peer.name} did not answer within {seconds:g} s")) from error
    except PeerError:
        told = "failed"
        raise
    finally:
        ms = round((time.monotonic() - started) * 1000, 1)
        _log.info("peer_called", peer=peer.name, method=method, path=path, outcome=told, ms=ms)
