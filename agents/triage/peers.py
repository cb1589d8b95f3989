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

# A peer that is being replaced refuses connections for a moment.
_PAUSES = (0.2, 0.8)
_MAX_ANSWER = 4 * 1024 * 1024


class PeerError(Exception):
    """A peer could not do what it was asked; the message says which, and why."""


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


def _headers(peer: Peer) -> dict[str, str]:
    token = Secret(peer.credential).current()
    if token is None:
        raise PeerError(f"{peer.name}: no token, the secret {peer.credential} is missing or empty")
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


async def _send(client: httpx.AsyncClient, peer: Peer, method: str, path: str, body: Any) -> httpx.Response:
    for pause in (*_PAUSES, None):
        try:
            return await client.request(method, f"{peer.url}{path}", json=body, headers=_headers(peer))
        except httpx.ConnectError as error:
            if pause is None:
                raise PeerError(f"{peer.name} is down: {error}") from error
            await asyncio.sleep(pause)
        except httpx.TimeoutException as error:
            raise TimeoutError from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PeerError(f"{peer.name}: {type(error).__name__} {error}".rstrip()) from error
    raise AssertionError("the last pause is None")


async def call(peer: Peer, method: str, path: str, body: Any = None, *, seconds: float) -> dict[str, Any]:
    """The peer's JSON answer, within `seconds`; PeerError says why there is none."""
    started, told = time.monotonic(), "answered"
    try:
        # One deadline over everything: the per-read one of httpx would start again with each byte.
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(verify=_tls(), timeout=seconds, trust_env=False) as client,
        ):
            return _body(peer, await _send(client, peer, method, path, body))
    except TimeoutError as error:
        told = "silent"
        raise PeerError(f"{peer.name} did not answer within {seconds:g} s") from error
    except PeerError:
        told = "failed"
        raise
    finally:
        ms = round((time.monotonic() - started) * 1000, 1)
        _log.info("peer_called", peer=peer.name, method=method, path=path, outcome=told, ms=ms)
