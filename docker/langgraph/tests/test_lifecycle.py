"""Stopped, killed and started again: what is kept, and what goes on."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import warnings
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from langgraph_harness import PLUGINS, Json, StartServer, new_thread, running, state_of, until
from langgraph_sdk.client import LangGraphClient
from langgraph_service.database import VERSION

pytestmark = pytest.mark.anyio

RUNS = 20


async def _reached(client: LangGraphClient, thread: str) -> None:
    async def second() -> bool:
        return (await client.threads.get_state(thread))["next"] == ["second"]

    await until(second)


async def _in_flight(client: LangGraphClient, hold: Path) -> list[tuple[str, str]]:
    made = []
    for number in range(RUNS):
        thread = await new_thread(client)
        given: Json = {"text": str(number), "hold": str(hold), "log": []}
        made.append((thread, (await client.runs.create(thread, "probe", input=given))["run_id"]))
    for thread, run_id in made:
        await running(client, thread, run_id)
        await _reached(client, thread)
    return made


async def test_runs_of_a_killed_process_go_on_from_their_checkpoint(start: StartServer, tmp_path: Path) -> None:
    """kill -9 loses no accepted run: the next process finishes each, without repeating a finished step.

    A question that waits for a person still waits, and can be answered.
    """
    server, hold = start(), tmp_path / "go"
    async with server.client() as client:
        made = await _in_flight(client, hold)
        gate, waiting = await new_thread(client), await new_thread(client)
        asked = state_of(await client.runs.wait(gate, "gate", input={"subject": "x"}))
        await client.runs.create(waiting, "probe", input={"text": "a", "hold": str(hold), "log": []})
        behind = await client.runs.create(waiting, "probe", input={"text": "b", "log": []})
        server.kill()
        server.restart()
        hold.touch()

        values = [await client.runs.join(thread, run_id) for thread, run_id in made]
        statuses = {(await client.runs.get(thread, run_id))["status"] for thread, run_id in made}
        queued = await client.runs.join(waiting, behind["run_id"])
        still = (await client.threads.get(gate))["interrupts"]
        answered = state_of(await client.runs.wait(gate, "gate", command={"resume": {"approved": True}}))

    assert [[f"first {number}", f"second {number}"] for number in range(RUNS)] == [value["log"] for value in values]
    assert {"success"} == statuses
    assert queued["log"] == ["first a", "second a", "first b", "second b"]
    assert next(iter(still.values()))[0]["id"] == asked["__interrupt__"][0]["id"]
    assert answered["subject"] == "x: closed"


@pytest.mark.process_only
async def test_a_delay_is_counted_from_the_request(start: StartServer, tmp_path: Path) -> None:
    """A restart does not begin a delay anew: what began goes on at once, as does what came due; the rest waits on."""
    server, hold = start(), tmp_path / "go"
    given: Json = {"hold": str(hold), "log": []}
    async with server.client() as client:
        threads = [await new_thread(client) for _ in range(3)]
        began = await client.runs.create(threads[0], "probe", input={"text": "a", **given})
        due = await client.runs.create(threads[1], "probe", input={"text": "b", **given}, after_seconds=600)
        later = await client.runs.create(threads[2], "probe", input={"text": "c", **given}, after_seconds=600)
        await _reached(client, threads[0])
        server.kill()
        # The test does not wait for ten minutes: it writes down that they have passed.
        with closing(sqlite3.connect(server.folder / "data" / "langgraph-api.db", isolation_level=None)) as tables:
            delayed = "UPDATE runs SET kwargs = json_set(kwargs, '$.after_seconds', 600.0) WHERE run_id = ?"
            tables.execute(delayed, (began["run_id"],))
            earlier = (datetime.now(UTC) - timedelta(seconds=601)).isoformat()
            tables.execute("UPDATE runs SET created_at = ? WHERE run_id = ?", (earlier, due["run_id"]))
        server.restart()
        hold.touch()

        async def joined(thread: str, run: Mapping[str, Any]) -> Any:
            return await asyncio.wait_for(client.runs.join(thread, run["run_id"]), 60)

        logs = [(await joined(threads[0], began))["log"], (await joined(threads[1], due))["log"]]
        waits = (await client.runs.get(threads[2], later["run_id"]))["status"]

    assert logs == [["first a", "second a"], ["first b", "second b"]]
    assert waits == "pending"


async def test_without_automatic_resumption_lost_runs_are_marked(start: StartServer, tmp_path: Path) -> None:
    """With LANGGRAPH_RESUME_ON_START=false a killed run is an error that says so, and a null input continues it."""
    server, hold = start(LANGGRAPH_RESUME_ON_START="false"), tmp_path / "go"
    async with server.client() as client:
        made = await _in_flight(client, hold)
        server.kill()
        server.restart()
        hold.touch()

        runs = {(await client.runs.get(thread, run_id))["status"] for thread, run_id in made}
        threads: list[Mapping[str, Any]] = [await client.threads.get(thread) for thread, _ in made]
        values = await asyncio.gather(*(client.runs.wait(thread, "probe", input=None) for thread, _ in made))

    assert {"error"} == runs
    assert {("error", "RunLost")} == {(thread["status"], thread["error"]["error"]) for thread in threads}
    assert [[f"first {number}", f"second {number}"] for number in range(RUNS)] == [
        state_of(value)["log"] for value in values
    ]


async def test_a_run_that_kills_the_process_is_given_up(start: StartServer, tmp_path: Path) -> None:
    """A run that ends its process is not tried for ever: after its last attempt it is marked as lost."""
    folder = tmp_path / "agents"
    folder.mkdir()
    source = (
        "import os, time\nfrom langgraph.graph import START, StateGraph\n"
        "def build():\n    def deadly(state): time.sleep(0.3); os._exit(137)\n"
        "    return StateGraph(dict).add_node('deadly', deadly).add_edge(START, 'deadly')\n"
    )
    (folder / "deadly.py").write_text(source)
    (folder / "agents.toml").write_text("[graphs]\ndeadly='deadly:build'\n")
    server = start(folder, LANGGRAPH_MAX_ATTEMPTS="1")
    async with server.client() as client:
        thread = await new_thread(client)
        run = await client.runs.create(thread, "deadly", input={"x": 1})
        await asyncio.to_thread(server.process.wait, 60)
        server.restart()

        assert (await client.runs.get(thread, run["run_id"]))["status"] == "error"
        ended: Mapping[str, Any] = await client.threads.get(thread)
        assert "attempt 1 was the last" in ended["error"]["message"]


async def test_sigterm_hands_over_to_the_next_process(start: StartServer, tmp_path: Path) -> None:
    """SIGTERM ends the process within Docker's grace: it finishes a short run and hands a long one to the next.

    Open streams do not hold it, and a client that waits comes back by itself and gets its answer.
    """
    server, soon, hold = start(), tmp_path / "soon", tmp_path / "go"
    async with server.client() as client:
        short, long = await new_thread(client), await new_thread(client)
        streams = [client.runs.stream(None, "probe", input={"sleep": 30}) for _ in range(3)]
        for stream in streams:
            await anext(stream)
        quick = await client.runs.create(short, "probe", input={"text": "s", "hold": str(soon), "log": []})
        given: Json = {"text": "l", "hold": str(hold), "log": []}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the official client warns that it reconnects
            waiting = asyncio.create_task(client.runs.wait(long, "probe", input=given))
            await _reached(client, short)
            await _reached(client, long)
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))

            async def stops() -> bool:
                return "Shutting down" in server.log.read_text()

            await until(stops)
            soon.touch()
            seconds = await stopping
            ended = [
                line for line in map(json.loads, server.log.read_text().splitlines()) if line["event"] == "run_ended"
            ]
            await asyncio.to_thread(server.restart)
            hold.touch()
            resumed = await asyncio.wait_for(waiting, 30)

    assert seconds < 10  # the grace that Docker gives
    assert [(line["run_id"], line["status"]) for line in ended] == [(quick["run_id"], "success")]
    assert state_of(resumed)["log"] == ["first l", "second l"]


async def test_two_processes_never_serve_one_folder(start: StartServer, tmp_path: Path) -> None:
    """A second process waits until the first is gone, so that a replacement takes the runs over and not away."""
    first, hold = start(), tmp_path / "go"
    async with first.client() as client:
        thread = await new_thread(client)
        run = await client.runs.create(thread, "probe", input={"text": "a", "hold": str(hold), "log": []})
        await _reached(client, thread)
        starting = asyncio.create_task(asyncio.to_thread(type(first), first.folder))

        async def waits() -> bool:
            return "waiting_for_the_other_process" in first.log.read_text()

        await until(waits, 60)
        alone = not starting.done()
        await asyncio.to_thread(first.stop)
        second = await starting
    hold.touch()
    async with second.client() as client:
        joined = await client.runs.join(thread, run["run_id"])
    await asyncio.to_thread(second.stop)

    assert alone
    assert joined["log"] == ["first a", "second a"]


def _last_words(failure: pytest.ExceptionInfo[AssertionError]) -> dict[str, Any]:
    told = str(failure.value)
    assert "Traceback" not in told
    line: dict[str, Any] = json.loads(told.splitlines()[-1])
    return line


async def test_a_database_of_a_later_release_is_refused_in_a_sentence(start: StartServer) -> None:
    """An image that was rolled back says which release its volume needs, and ends."""
    server = start()
    server.stop()
    with closing(sqlite3.connect(server.folder / "data/langgraph-api.db")) as db:
        db.execute("PRAGMA user_version = 99")

    with pytest.raises(AssertionError) as failure:
        server.restart()

    told = _last_words(failure)
    assert told["event"] == "state_unusable"
    assert "has schema 99, this release knows 1: start a newer one on it" in told["error"]


async def test_a_folder_that_is_none_is_refused_in_a_sentence(start: StartServer) -> None:
    """A data folder that can't be written is named with what it must be, and not by a traceback."""
    with pytest.raises(AssertionError) as failure:
        start(LANGGRAPH_DB_PATH="/proc/no/langgraph.db")

    told = _last_words(failure)
    assert told["event"] == "state_unusable"
    assert "LANGGRAPH_DB_PATH must be in a folder that uid 10001 can write" in told["error"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_RUNNING", "many"),
        ("MAX_QUEUED", "0"),
        ("MAX_BODY", "1.5"),
        ("RUN_TIMEOUT", "nan"),
        ("SWEEP_SECONDS", "-1"),
    ],
)
async def test_a_setting_that_is_no_number_is_refused_by_name(start: StartServer, name: str, value: str) -> None:
    """A typing error in the environment ends the start with the variable's name and its value."""
    with pytest.raises(AssertionError) as failure:
        start(PLUGINS, **{f"LANGGRAPH_{name}": value})

    told = _last_words(failure)
    assert told["event"] == "settings_refused"
    assert f"LANGGRAPH_{name}={value!r}" in told["error"]


def test_the_image_states_the_format_of_the_store() -> None:
    """A deploy goes by the label in the Dockerfile, so it has the number that the store writes."""
    dockerfile = (Path(__file__).parents[1] / "Dockerfile").read_text(encoding="utf-8")

    assert re.findall(r'^LABEL org\.unity-claude\.data-format\.langgraph-data="(\d+)', dockerfile, re.MULTILINE) == [
        str(VERSION)
    ]
