"""Cancel, kill and shutdown, with a slow model behind the chat."""

from __future__ import annotations

import asyncio
import json
import math
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from groupchat_harness import COMPILE_ERRORS, TOKEN, Provider, Server, StartServer, StartSlowServer
from groupchat_service.store import Store
from groupchat_service.team import TeamSpec
from sse_reader import Seen, all_events, read
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

AUTH = {"authorization": f"Bearer {TOKEN}"}
# What uvicorn logs when something held the shutdown up for its whole grace.
CUT = "graceful shutdown exceeded"


@pytest.mark.parametrize("stream", [False, True])
def test_cancel_stops_a_waiting_model_call_within_half_a_second(
    model_server: Server, provider: Provider, stream: bool
) -> None:
    """The answer comes at once, the model call itself is broken off, and the chat can go on later."""
    server = model_server
    server.set_key("openai", "key-1")
    provider.set(delay=60)
    session_id = server.start(stream=stream)
    provider.wait_for_calls(1)
    busy = server.client.post(f"/groupchat/{session_id}/messages", json={"content": "more"})
    assert busy.status_code == 409
    answer = server.client.post(f"/groupchat/{session_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    provider.wait_for_abort()
    assert cancel_takes(server, provider) < 0.5
    provider.set(delay=0)
    follow = server.client.post(f"/groupchat/{session_id}/messages", json={"content": "go on", "wait": True})
    assert follow.json()["stop_reason"] == "approved"
    assert [event.event for event in all_events(server.client, session_id)].count("cancelled") == 1


def cancel_takes(server: Server, provider: Provider) -> float:
    """Seconds that a cancel takes on a machine that has a moment for it: the best of a few."""
    best = math.inf
    for _ in range(5):
        before = len(provider.calls())
        session_id = server.start()
        provider.wait_for_calls(before + 1)
        started = time.monotonic()
        server.client.post(f"/groupchat/{session_id}/cancel")
        best = min(best, time.monotonic() - started)
        if best < 0.5:
            break
    return best


def test_a_running_session_can_be_deleted(model_server: Server, provider: Provider) -> None:
    """Its open stream ends, and it is gone."""
    server = model_server
    server.set_key("openai", "key-1")
    provider.set(delay=5)
    session_id = server.start()
    with server.client.stream("GET", f"/groupchat/{session_id}/events") as response:
        events = read(response)
        next(events)
        assert httpx.delete(f"{server.url}/groupchat/{session_id}", headers=AUTH).status_code == 200
        list(events)
    assert server.client.get(f"/groupchat/{session_id}").status_code == 404


def test_a_chat_goes_on_after_kill_9_and_its_log_has_no_hole(
    start_server: StartServer, slow_server: StartSlowServer, provider: Provider
) -> None:
    """Whoever reconnects with Last-Event-ID sees every event once; no stored turn is asked of the model again."""
    server = slow_server(0)
    provider.set(stall_from=6)  # in the middle of the second worker's turn
    session_id = server.start()
    seen: list[Seen] = []
    with server.client.stream("GET", f"/groupchat/{session_id}/events") as response:
        for event in read(response):
            seen.append(event)
            if len(seen) == 6:
                break
    provider.wait_for_calls(6)
    server.stop(signal.SIGKILL)
    calls_before = len(provider.calls())
    provider.set(stall_from=0)
    again = start_server(OPENAI_BASE_URL=f"{provider.url}/v1")
    seen += all_events(again.client, session_id, **{"last-event-id": str(seen[-1].id)})
    assert [event.id for event in seen] == list(range(1, len(seen) + 1))
    assert [event.event for event in seen].count("resumed") == 1
    assert seen[-1].event == "finished"
    spoken = [event.data["source"] for event in seen if event.event == "message" and event.data["type"] == "text"]
    assert spoken == ["user"] + [
        name for worker in ("analyst", "operator", "reviewer") for name in ("supervisor", worker)
    ] + ["supervisor"]
    assert len(provider.calls()) - calls_before <= 10 - 4
    assert again.client.get(f"/groupchat/{session_id}").json()["last_seq"] == len(seen)


def test_finished_chats_survive_and_can_be_followed_up_after_a_restart(start_server: StartServer) -> None:
    """The conversation is rebuilt from its log alone."""
    first = start_server()
    session_id = first.chat()["session_id"]
    before = all_events(first.client, str(session_id))
    first.stop()
    second = start_server()
    assert all_events(second.client, str(session_id)) == before
    answer = second.client.post(f"/groupchat/{session_id}/messages", json={"content": "again", "wait": True})
    assert answer.json()["stop_reason"] == "approved"


def test_a_chat_that_kills_its_server_again_and_again_is_given_up(start_server: StartServer, tmp_path: Path) -> None:
    """After three restarts without a new turn the chat fails instead of starting a fourth time."""
    asyncio.run(_leave_a_chat_running(tmp_path / "service" / "data", restarts=3))
    server = start_server()
    view = server.client.get("/groupchat/poison").json()
    assert (view["status"], view["error"]) == ("failed", "given up after 3 restarts")


def test_sigterm_ends_open_streams_and_waiting_clients_without_being_made_to(
    start_server: StartServer, slow_server: StartSlowServer, provider: Provider
) -> None:
    """SSE, WebSocket and a waiting POST end by themselves, long before the model; the chat goes on at the next start."""
    server = slow_server(300, "patient_server")
    session_id = server.start()
    waiting: list[int] = []
    body = {"task": COMPILE_ERRORS, "wait": True}
    client = threading.Thread(
        target=lambda: waiting.append(
            httpx.post(f"{server.url}/groupchat", json=body, headers=AUTH, timeout=60).status_code
        )
    )
    client.start()
    socket = threading.Thread(target=lambda: asyncio.run(_drain_socket(server, session_id)))
    socket.start()
    _stop_while_read(server, session_id, provider, calls=2)
    client.join(60)
    socket.join(60)
    assert waiting == [202]
    assert CUT not in server.log.read_text()
    provider.set(delay=0)
    again = start_server(OPENAI_BASE_URL=f"{provider.url}/v1")
    assert all_events(again.client, session_id)[-1].event == "finished"


def test_sigterm_cuts_no_stream_that_is_slow_to_end(slow_server: StartSlowServer, provider: Provider) -> None:
    """Where the last read takes its time, the stream is still closed by us, not cut in the middle of its answer."""
    server = slow_server(300, "lame_server")
    session_id = server.start()
    _stop_while_read(server, session_id, provider, calls=1)
    assert CUT not in server.log.read_text()


def test_sigterm_lets_a_quick_chat_finish(slow_server: StartSlowServer, provider: Provider) -> None:
    """Work that ends within the grace is answered in full: here the last of its ten model calls is out."""
    server = slow_server(0.3, "patient_server")
    answers: list[dict[str, object]] = []
    body = {"task": COMPILE_ERRORS, "wait": True}
    client = threading.Thread(
        target=lambda: answers.append(httpx.post(f"{server.url}/groupchat", json=body, headers=AUTH, timeout=60).json())
    )
    client.start()
    provider.wait_for_calls(10)
    server.stop(timeout=60)
    client.join(60)
    assert answers[0]["status"] == "finished"


def test_an_unusable_data_folder_ends_the_start_with_one_line(start_server: StartServer, tmp_path: Path) -> None:
    """The process ends with the path and the remedy in its log, instead of looking healthy."""
    with pytest.raises(AssertionError, match="UC_DATA must be a folder"):
        start_server(UC_DATA=str(tmp_path / "missing"))


def test_a_bad_setting_stops_the_start(start_server: StartServer) -> None:
    """The process ends at once and its log names the variable."""
    with pytest.raises(AssertionError, match="UC_MODEL_PROVIDER: 'gemini' is not one of"):
        start_server(UC_MODEL_PROVIDER="gemini")


def test_health_tells_when_the_database_takes_no_writes(start_server: StartServer) -> None:
    """A blocked database turns health to 503 with the reason, and back to 200 when it is free."""
    server = start_server()
    with closing(sqlite3.connect(server.folder / "data" / "groupchat.db", isolation_level=None)) as intruder:
        intruder.execute("BEGIN IMMEDIATE")
        time.sleep(2.1)  # an answer is kept for two seconds
        answer = httpx.get(server.url + "/health", timeout=5)
        assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
        assert answer.json()["checks"]["database"] != "ok"
        intruder.execute("ROLLBACK")
    deadline = time.monotonic() + 10
    while httpx.get(server.url + "/health", timeout=5).status_code != 200:
        assert time.monotonic() < deadline


async def _leave_a_chat_running(folder: Path, *, restarts: int) -> None:
    folder.mkdir(parents=True)
    store = Store(folder)
    await store.open()
    await store.create("poison", "task", TeamSpec(agents=("analyst",), max_rounds=4))
    for _ in range(restarts):
        await store.restart("poison")
    await store.close()


def _stop_while_read(server: Server, session_id: str, provider: Provider, *, calls: int) -> None:
    """Stop the server while its events are read and this many model calls are out; read what still comes."""
    with server.client.stream("GET", f"/groupchat/{session_id}/events") as response:
        events = read(response)
        next(events)
        provider.wait_for_calls(calls)
        server.stop(timeout=60)
        list(events)


async def _drain_socket(server: Server, session_id: str) -> None:
    url = f"ws://127.0.0.1:{server.port}/groupchat/{session_id}/ws"
    async with connect(url, additional_headers=AUTH, proxy=None) as socket:
        try:
            while True:
                json.loads(await socket.recv())
        except ConnectionClosed:
            return


def test_p10_a_thread_that_does_not_end_holds_no_stop_up(start_server: StartServer, tmp_path: Path) -> None:
    """SIGTERM ends the process while an owner's tool blocks a thread; the chat's open stream is closed, not cut."""
    folder = tmp_path / "agents"
    folder.mkdir()
    begun = tmp_path / "begun"
    (folder / "roles.toml").write_text(
        '[roles.sleeper]\ndescription = "Sleeps."\nsystem_message = "Sleep."\ntools = ["sleeper_tools:sleep"]\n'
    )
    (folder / "sleeper_tools.py").write_text(
        "import pathlib, time\n\n\ndef sleep(text: str) -> str:\n"
        f"    'Sleep.'\n    pathlib.Path({str(begun)!r}).touch()\n    time.sleep(600)\n    return ''\n"
    )
    server = start_server(UC_AGENTS=str(folder))
    session_id = server.start(agents=["sleeper"])
    with server.client.stream("GET", f"/groupchat/{session_id}/events") as response:
        events = read(response)
        next(events)
        deadline = time.monotonic() + 60
        while not begun.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        server.stop(timeout=60)
        list(events)
    assert server.child.returncode == 128 + signal.SIGTERM
    assert CUT not in server.log.read_text()
