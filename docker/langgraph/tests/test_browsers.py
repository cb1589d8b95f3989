"""Pages of other origins, and what they send."""

from __future__ import annotations

import json
import subprocess
import sys

import httpx
import pytest
from langgraph_harness import KEY, SOURCES, Server, StartServer

pytestmark = pytest.mark.anyio

STUDIO = "https://smith.langchain.com"
ASKS = {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key,content-type"}


async def _preflight(server: Server, origin: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url) as anyone:
        return await anyone.options("/threads", headers={"origin": origin, **ASKS})


async def test_s12_an_allowed_origin_gets_cors_headers_without_a_key(start: StartServer) -> None:
    """The browser asks before it sends the key; the answers to the request itself, refusals too, carry the header."""
    server = start(CORS_ORIGINS=f"{STUDIO}, http://localhost:3000")

    allowed, other = await _preflight(server, STUDIO), await _preflight(server, "https://elsewhere.example")
    async with httpx.AsyncClient(base_url=server.url) as anyone:
        refused = await anyone.post("/threads", headers={"origin": STUDIO}, json={})
        made = await anyone.post("/threads", headers={"origin": STUDIO, "x-api-key": KEY}, json={})

    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, STUDIO)
    assert "x-api-key" in allowed.headers["access-control-allow-headers"]
    assert "access-control-allow-origin" not in other.headers
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, STUDIO)
    assert (made.status_code, "x-pagination-total" in made.headers["access-control-expose-headers"]) == (200, True)


async def test_s12_no_origin_is_allowed_by_default(own_server: Server) -> None:
    """Without CORS_ORIGINS a preflight is a request without a key."""
    answer = await _preflight(own_server, STUDIO)

    assert (answer.status_code, "access-control-allow-origin" in answer.headers) == (401, False)


@pytest.mark.parametrize("kind", ["text/plain", "text/plain;charset=UTF-8", None])
async def test_s12_a_json_body_is_read_whatever_the_page_calls_it(http: httpx.AsyncClient, kind: str | None) -> None:
    """LangGraph Studio sends JSON as text/plain."""
    headers = {"content-type": kind} if kind else {}
    body = json.dumps({"assistant_id": "probe", "input": {"text": "a", "log": []}}).encode()

    answer = await http.post("/runs/wait", content=body, headers=headers)

    assert (answer.status_code, answer.json()["log"]) == (200, ["first a", "second a"])


async def test_s12_another_kind_of_body_is_refused(http: httpx.AsyncClient) -> None:
    """A form is no JSON."""
    answer = await http.post("/threads", content=b"a=1", headers={"content-type": "application/x-www-form-urlencoded"})

    assert answer.status_code == 422


def test_s12_what_is_no_origin_stops_the_start() -> None:
    """A path or a bare name would match no page, and nobody would learn why."""
    environment = {"CORS_ORIGINS": "smith.langchain.com", "PYTHONPATH": ":".join(SOURCES)}
    command = [sys.executable, "-m", "langgraph_service"]

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, "CORS_ORIGINS='smith.langchain.com'" in done.stdout) == (2, True)
