"""Who gets in, what probes and scrapers see, and the routes of the project's first server."""

from __future__ import annotations

import asyncio
import json
import resource
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from langgraph_harness import KEY, Endpoint, Server, StartServer, new_thread, running, state_of, until
from openapi import PAGE

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"x-api-key": "wrong"}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"x-api-key": KEY}, 200),
        ({"authorization": f"Bearer {KEY}"}, 200),
    ],
)
@pytest.mark.parametrize("path", ["/info", "/ok", "/assistants", "/openapi.json"])
async def test_only_the_key_opens_a_route(own_server: Server, path: str, headers: dict[str, str], status: int) -> None:
    """Everything but the probes needs the key, as x-api-key or as a bearer token."""
    async with httpx.AsyncClient(base_url=own_server.url) as anyone:
        answer = await anyone.get(path, headers=headers)

    assert answer.status_code == status


async def test_a_rotated_key_needs_no_restart(own_server: Server) -> None:
    """Overwriting the key file in place changes who gets in, at the next request; two lines are two valid keys."""
    async with httpx.AsyncClient(base_url=own_server.url) as anyone:

        async def status(key: str) -> int:
            return (await anyone.get("/ok", headers={"x-api-key": key})).status_code

        own_server.key_file.write_text(f"new-key\n{KEY}\n")
        overlap = [await status("new-key"), await status(KEY)]
        own_server.key_file.write_text("new-key\n")
        after = [await status("new-key"), await status(KEY)]
        own_server.key_file.write_text(f"{KEY}\n")

    assert overlap + after == [200, 200, 200, 401]


async def test_probes_and_metrics_are_open(server: Endpoint) -> None:
    """Health, readiness and metrics answer without a key, with every graph's state and the runs' figures."""
    async with httpx.AsyncClient(base_url=server.url) as anyone:
        health, ready, metrics = [await anyone.get(path) for path in ("/health", "/ready", "/metrics")]

    assert (health.json()["status"], ready.json()["status"]) == ("healthy", "ready")
    assert health.json()["graphs"]["probe"] == {"state": "loaded"}
    assert {"kind": "graph", "name": "probe", "state": "ready", "reason": "", "critical": True} in health.json()[
        "inventory"
    ]
    assert 'langgraph_graphs{state="failed"} 0.0' in metrics.text
    assert 'http_requests_total{method="GET",status="200"}' in metrics.text
    assert "http_requests_in_flight 1.0" in metrics.text
    assert "_created" not in metrics.text


@pytest.mark.process_only
async def test_a_full_disk_is_reported_and_survived(start: StartServer, tmp_path: Path) -> None:
    """While nothing can be written, health is 503 and so is every write; afterwards all is as before.

    A run that ended in the meantime is recorded as soon as that is possible.
    """
    server, hold = start(UC_LOG_LEVEL="ERROR", LANGGRAPH_SWEEP_SECONDS="0.2"), tmp_path / "go"

    def allow(size: int) -> None:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    async with server.client() as client, server.http() as http:

        async def state() -> tuple[int, bool]:
            answer = await http.get("/health")
            return answer.status_code, answer.json()["database"]["state"] == "writable"

        async def is_ill() -> bool:
            return await state() == (503, False)

        async def is_well() -> bool:
            return await state() == (200, True)

        thread = await new_thread(client)
        run = await client.runs.create(thread, "probe", input={"hold": str(hold), "log": []})
        await running(client, thread, run["run_id"])
        allow(0)
        await until(is_ill)
        refused = await http.post("/threads", json={})
        hold.touch()
        joined = await client.runs.join(thread, run["run_id"])
        allow(resource.RLIM_INFINITY)
        await until(is_well)

        async def recorded() -> bool:
            return (await client.runs.get(thread, run["run_id"]))["status"] == "error"

        await until(recorded)
        again = state_of(await client.runs.wait(thread, "probe", input={"text": "again", "log": []}))

    assert (refused.status_code, "cannot be used" in refused.json()["detail"]) == (503, True)
    assert "__error__" in joined
    assert again["log"][-1] == "second again"


@pytest.mark.usefixtures("own_server")
async def test_a_body_that_is_too_large_is_413(http: httpx.AsyncClient) -> None:
    """A large body is refused, whether its length is announced or not."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    announced = await http.post("/threads", content=b" " * 2_000_000)
    chunked = await http.post("/threads", content=chunks(), headers={"content-type": "application/json"})

    assert [announced.status_code, chunked.status_code] == [413, 413]


async def test_the_request_id_is_answered_and_logged(own_server: Server, http: httpx.AsyncClient) -> None:
    """The caller's X-Request-Id comes back, and every line of the log is one JSON object."""
    identifier = uuid.uuid4().hex

    answer = await http.get("/info", headers={"x-request-id": identifier})

    async def logged() -> bool:
        return identifier in own_server.log.read_text()

    await until(logged)
    lines = [json.loads(line) for line in own_server.log.read_text().splitlines()]
    assert answer.headers["x-request-id"] == identifier
    assert [line["path"] for line in lines if line.get("request_id") == identifier] == ["/info"]
    assert {line["service"] for line in lines} == {"langgraph-api"}


async def test_no_secret_reaches_the_log(own_server: Server, http: httpx.AsyncClient) -> None:
    """Keys are compared, never written."""
    await http.get("/info", headers={"authorization": "Bearer a-wrong-secret"})

    log = own_server.log.read_text()
    assert KEY not in log
    assert "a-wrong-secret" not in log


async def test_thirty_two_clients_see_no_server_error(server: Endpoint, http: httpx.AsyncClient) -> None:
    """32 clients that create, run, read, search and delete at once get no 5xx and each its own answer."""
    statuses: list[int] = []

    async def one(number: int) -> str:
        async with server.http() as mine:
            for _ in range(4):
                made = await mine.post("/threads", json={"metadata": {"client": number}})
                thread = made.json()["thread_id"]
                body = {"assistant_id": "probe", "input": {"text": str(number), "log": []}}
                ran = await mine.post(f"/threads/{thread}/runs/wait", json=body)
                read = await mine.get(f"/threads/{thread}/state")
                found = await mine.post("/threads/search", json={"metadata": {"client": number}})
                gone = await mine.delete(f"/threads/{thread}")
                statuses.extend(answer.status_code for answer in (made, ran, read, found, gone))
            return str(ran.json()["log"][1])

    answers = await asyncio.gather(*(one(number) for number in range(32)))

    assert [f"second {number}" for number in range(32)] == answers
    assert {200, 204} == set(statuses)
    assert (await http.get("/health")).status_code == 200


async def test_the_published_openapi_document_is_the_served_one(http: httpx.AsyncClient) -> None:
    """`python docker/langgraph/tests/openapi.py` writes it anew; every route but the probes is shown to need the key."""
    served = (await http.get("/openapi.json")).json()

    committed = json.loads(PAGE.read_text("utf-8"))
    open_paths = {
        path for path, methods in served["paths"].items() if any(not one["security"] for one in methods.values())
    }
    assert served == committed
    assert open_paths == {"/health", "/ready", "/metrics"}
