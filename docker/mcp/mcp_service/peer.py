"""Another service of the stack, called with its token and the current request's id."""

from __future__ import annotations

import json
from typing import Any

import httpx2
from mcp.server.mcpserver.exceptions import ToolError
from ucservice import logs
from ucservice.secretfile import Secret

from mcp_service.offers import NotThere

LARGEST_ANSWER = 8 * 1024 * 1024
_DETAIL = 600


class Peer:
    """Every failure is a ToolError that says which service, which address and what happened."""

    def __init__(self, name: str, url: str, secret: Secret, *, timeout: float) -> None:
        self.name, self.url, self.secret = name, url, secret
        # No proxy from the environment: peers are on the stack's own network.
        self._client = httpx2.AsyncClient(
            base_url=url, timeout=httpx2.Timeout(timeout, connect=3), trust_env=False, follow_redirects=False
        )

    def check_secret(self) -> str:
        """The peer's token is a local dependency: without it every call would be refused."""
        return token_problem(self.secret)

    async def ready(self) -> str:
        """Why the peer can't be used now, from its own /health; empty when it can."""
        try:
            answer = await self._client.get("/health", timeout=2)
        except httpx2.HTTPError as error:
            return self._unreachable(error)
        return "" if answer.status_code == 200 else f"{self.name}: /health answered {answer.status_code}"

    async def get(self, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        """The JSON object at path."""
        return await self._call("GET", path, query=query)

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The JSON object that answers body."""
        return await self._call("POST", path, body=body)

    async def _call(
        self, method: str, path: str, *, query: dict[str, str] | None = None, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        request = self._client.build_request(method, path, params=query, json=body, headers=self._headers())
        try:
            answer = await self._client.send(request, stream=True)
            try:
                content = await self._read(answer)
            finally:
                await answer.aclose()
        except httpx2.ReadTimeout as error:
            raise ToolError(f"{self.name} did not answer in time") from error
        except httpx2.HTTPError as error:
            raise ToolError(self._unreachable(error)) from error
        return self._decode(answer.status_code, content)

    def _headers(self) -> dict[str, str]:
        token = self.secret.current()
        headers = {"authorization": f"Bearer {token}"} if token else {}
        if identifier := logs.request_id.get():
            headers["x-request-id"] = identifier
        return headers

    async def _read(self, answer: httpx2.Response) -> bytes:
        content = bytearray()
        async for piece in answer.aiter_bytes():
            content += piece
            if len(content) > LARGEST_ANSWER:
                raise ToolError(f"{self.name} answered more than {LARGEST_ANSWER >> 20} MiB")
        return bytes(content)

    def _decode(self, status: int, content: bytes) -> dict[str, Any]:
        try:
            value = json.loads(content) if content else {}
        except ValueError:
            value = None
        if status in {401, 403} and self.check_secret():
            raise ToolError(f"{self.name} answered {status}: {self.check_secret()}")
        if status >= 400:
            refused = NotThere if status == 404 else ToolError
            raise refused(f"{self.name} answered {status}: {_detail(value, content)}")
        if status != 200 or not isinstance(value, dict):
            raise ToolError(f"{self.name} answered {status} with something else than a JSON object")
        return value

    def _unreachable(self, error: Exception) -> str:
        reason = str(error) or type(error).__name__
        return f"{self.name} can't be reached at {self.url}: {reason}"


def token_problem(secret: Secret) -> str:
    """Why a secret file gives no token; empty when it does."""
    try:
        return "" if secret.values() else f"{secret.path} is missing or empty"
    except OSError as error:
        return f"{secret.path} can't be read: {error.strerror}"


def _detail(value: object, content: bytes) -> str:
    said = [str(value[key]) for key in ("error", "detail", "message") if value.get(key)] if type(value) is dict else []
    return (": ".join(said) or content.decode("utf-8", "replace").strip() or "no reason given")[:_DETAIL]
