"""A node that blocks its thread holds up nobody but its own run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from langgraph_harness import Json, StartServer, new_thread, running, state_of, until

pytestmark = pytest.mark.anyio

HOW = ["in_the_loop", "in_a_thread"]


@pytest.mark.parametrize("how", HOW)
async def test_s4_a_node_that_blocks_stops_only_its_own_run(start: StartServer, tmp_path: Path, how: str) -> None:
    """While ten runs block, /health answers and other graphs run to their end, with their store and their stream."""
    server, hold = start(), tmp_path / "go"
    async with server.client() as client, server.http() as http:
        blocked = []
        for _ in range(10):
            thread = await new_thread(client)
            wanted = {"how": how, "until": str(hold)}
            blocked.append((thread, (await client.runs.create(thread, "blocking", input=wanted))["run_id"]))
        for thread, run_id in blocked:
            await running(client, thread, run_id)

        health = await http.get("/health")
        given: Json = {"text": "a", "remember": "kept", "custom": 1, "log": []}
        others = await asyncio.gather(*(client.runs.wait(None, "probe", input=given) for _ in range(5)))
        streamed = [part.event async for part in client.runs.stream(None, "probe", input=given, stream_mode="custom")]
        kept = await client.store.get_item(["probe"], key="last")
        still = {(await client.runs.get(thread, run_id))["status"] for thread, run_id in blocked}
        hold.touch()
        ended = [state_of(await client.runs.join(thread, run_id))["done"] for thread, run_id in blocked]

    assert health.status_code == 200
    assert [state_of(other)["log"] for other in others] == [["first a", "second a"]] * 5
    assert streamed == ["metadata", "custom"]
    assert (kept["value"], still, ended) == ({"text": "kept"}, {"running"}, [True] * 10)


@pytest.mark.parametrize("how", HOW)
async def test_s4_a_run_that_blocks_can_be_cancelled(start: StartServer, tmp_path: Path, how: str) -> None:
    """The cancelled run is over although its node still blocks, and its thread takes the next run."""
    server, hold = start(), tmp_path / "go"
    async with server.client() as client:
        thread = await new_thread(client)
        run = await client.runs.create(thread, "blocking", input={"how": how, "until": str(hold)})
        await running(client, thread, run["run_id"])

        await client.runs.cancel(thread, run["run_id"], wait=True)
        cancelled = (await client.runs.get(thread, run["run_id"]))["status"]
        following = state_of(await client.runs.wait(thread, "probe", input={"text": "b", "log": []}))
        hold.touch()

        async def answers() -> bool:
            return state_of((await client.threads.get_state(thread))["values"]) == following

        await until(answers)

    assert (cancelled, following["log"]) == ("interrupted", ["first b", "second b"])


@pytest.mark.process_only
@pytest.mark.parametrize("how", HOW)
async def test_s4_a_node_that_blocks_does_not_hold_up_the_end(start: StartServer, tmp_path: Path, how: str) -> None:
    """SIGTERM ends the process although a node blocks forever; the run is left to the next process."""
    server = start()
    async with server.client() as client:
        thread = await new_thread(client)
        given = {"how": how, "until": str(tmp_path / "never")}
        run = await client.runs.create(thread, "blocking", input=given)
        await running(client, thread, run["run_id"])

    server.stop()

    assert server.process.returncode not in {-9, 0}
    assert "run_suspended" in server.log.read_text()
