"""The Engine API itself, over whatever way the docker command reaches an engine: socket, ssh, TLS, a context.

For what neither the command nor python-on-whales can be asked for, such as a service with no-new-privileges, and for
what is asked so often that a process for each request would take most of the time.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from build.engine.client import docker
from build.engine.connection import Request, exchange
from build.engine.remote import Engine
from build.errors import MissingTool, ToolFailed

VERSION = "1.44"  # Engine 25, the first in which a service may have no-new-privileges
_NO_LEADER = ("does not have a leader", "context deadline exceeded", "lost quorum", "too few managers")


class ApiError(ToolFailed):
    """The engine refuses a request; `status` is its HTTP status, `reason` what it says."""

    status = 0
    reason = ""


@dataclass(frozen=True, slots=True)
class Api:
    """The API of an engine. Every call raises MissingTool when the engine can't be reached, ApiError when it refuses.

    A swarm that has lost its quorum can't be reached either, and one that does not answer within `seconds`.
    """

    engine: Engine
    seconds: float = 60

    def get(self, path: str, *, filters: Mapping[str, list[str]] | None = None, **query: str) -> Any:
        """What a GET of `path` answers, as JSON; `filters` are the API's own."""
        if filters:
            query["filters"] = json.dumps(filters)
        return json.loads(self.request("GET", path, query))

    def find(self, path: str) -> Any:
        """What is at `path`, as JSON; None if nothing is."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def post(
        self, path: str, body: Any = None, *, registry_auth: str = "", seconds: float | None = None, **query: str
    ) -> Any:
        """POST `body` as JSON and return the answer, None if it is empty."""
        headers = {"X-Registry-Auth": registry_auth} if registry_auth else {}
        content = b"" if body is None else json.dumps(body).encode()
        answer = self.request("POST", path, query, content=content, headers=headers, seconds=seconds)
        return json.loads(answer) if answer.strip() else None

    def delete(self, path: str, **query: str) -> bool:
        """Delete what is at `path`; False if it is gone already."""
        try:
            self.request("DELETE", path, query)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return False
            raise
        return True

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> bytes:
        """The content of the answer to a request; `content` is JSON, unless `headers` say otherwise."""
        request = Request(
            method=method,
            target=f"/v{VERSION}{quote(path)}" + (f"?{urlencode(query)}" if query else ""),
            content=content,
            headers={"Content-Type": "application/json", **(headers or {})},
        )
        argv = [docker(), *self.engine.arguments, "system", "dial-stdio"]
        try:
            status, answer = exchange(argv, request, seconds=seconds or self.seconds)
        except ToolFailed as error:
            raise self._unreachable(error) from None
        if status < HTTPStatus.BAD_REQUEST:
            return answer
        try:
            reason = str(json.loads(answer)["message"]).strip()
        except (ValueError, KeyError, TypeError):
            reason = answer.decode("utf-8", "replace").strip()
        raise self._refused(f"{method} {path}", status, reason)

    def _unreachable(self, error: ToolFailed) -> MissingTool:
        lines = error.output.strip().splitlines()
        hint = " ".join(["docker", *self.engine.arguments, "info"])
        return MissingTool(f"the engine ({self.engine}) does not answer: {lines[-1] if lines else error}", hint=hint)

    def _refused(self, request: str, status: int, reason: str) -> MissingTool | ApiError:
        words = " ".join(["docker", *self.engine.arguments])
        if any(sign in reason for sign in _NO_LEADER):
            message = f"the swarm of {self.engine} has lost its quorum: {reason.splitlines()[0]}"
            hint = (
                "start the managers that are down; if they are gone: docker swarm init --force-new-cluster on this one"
            )
            return MissingTool(message, hint=hint)
        if "not a swarm manager" in reason:
            return MissingTool(f"the engine ({self.engine}) is no swarm manager", hint=f"{words} swarm init, or join")
        if "is too new" in reason:
            message = f"the engine ({self.engine}) is too old: Docker 25 or newer is needed"
            return MissingTool(message, hint=f"{words} version")
        error = ApiError(f"{request}: {reason}", hint=f"{words} info")
        error.status, error.reason = status, reason
        return error


def registry_auth(server: str, login: tuple[str, str], *, is_token: bool = False) -> str:
    """The value of the X-Registry-Auth header: what `--with-registry-auth` sends along."""
    user, secret = login
    table = {"identitytoken": secret} if is_token else {"username": user, "password": secret}
    return base64.urlsafe_b64encode(json.dumps(table | {"serveraddress": server}).encode()).decode()
