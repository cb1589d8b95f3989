"""Runs: when they start, what they accept, and how they end."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
from langgraph_harness import Json, Server, new_thread, state_of, until
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import ConflictError
from langgraph_sdk.schema import Config, RunCreate

pytestmark = pytest.mark.anyio
SLOW: Json = {"text": "slow", "sleep": 30, "log": []}


async def test_joining_waits_for_a_run_in_flight(client: LangGraphClient) -> None:
    """join answers when the run is over, with its values; joining it again answers the same."""
    thread = await new_thread(client)
    started = time.monotonic()
    made = await client.runs.create(thread, "probe", input={"text": "j", "sleep": 0.3, "log": []})

    joined = await client.runs.join(thread, made["run_id"])

    assert time.monotonic() - started > 0.3
    assert joined["log"] == ["first j", "second j"]
    assert joined == await client.runs.join(thread, made["run_id"])


async def test_joining_a_failed_run_tells_the_failure(client: LangGraphClient) -> None:
    """Whoever joins a failed run, early or late, learns why it failed."""
    thread = await new_thread(client)
    made = await client.runs.create(thread, "probe", input={"fail": True, "sleep": 0.2})
    expected = {"__error__": {"error": "ValueError", "message": "asked to fail"}}

    assert expected == await client.runs.join(thread, made["run_id"])
    assert expected == await client.runs.join(thread, made["run_id"])
    assert (await client.runs.get(thread, made["run_id"]))["status"] == "error"


async def test_one_idempotency_key_is_one_run(http: httpx.AsyncClient, client: LangGraphClient) -> None:
    """The same request sent twice, even at once, starts one run."""
    thread = await new_thread(client)
    body = {"assistant_id": "probe", "input": {"text": "once", "log": []}}
    headers = {"idempotency-key": "delivery-1"}

    twice = [http.post(f"/threads/{thread}/runs", json=body, headers=headers) for _ in range(4)]
    answers = [answer.json()["run_id"] for answer in await asyncio.gather(*twice)]
    late = await http.post(f"/threads/{thread}/runs/wait", json=body, headers=headers)

    assert len({*answers}) == 1
    assert late.json()["log"] == ["first once", "second once"]
    assert len(await client.runs.list(thread)) == 1


async def test_after_seconds_holds_a_run_back(client: LangGraphClient) -> None:
    """A delayed run is pending until its time, and can be cancelled before."""
    thread = await new_thread(client)
    soon = await client.runs.create(thread, "probe", input={"text": "d", "log": []}, after_seconds=1)
    never = await client.runs.create(thread, "probe", input=SLOW, after_seconds=600)

    assert (await client.runs.get(thread, soon["run_id"]))["status"] == "pending"
    await client.runs.cancel(thread, never["run_id"], wait=True)
    assert (await client.runs.join(thread, soon["run_id"]))["log"] == ["first d", "second d"]


async def test_a_run_that_is_held_back_is_in_flight(client: LangGraphClient) -> None:
    """A delayed run is there for `reject`, for cancelling by id, and for its thread, which stays busy."""
    thread = await new_thread(client)
    held = await client.runs.create(thread, "probe", input=SLOW, after_seconds=600)

    with pytest.raises(ConflictError):
        await client.runs.create(thread, "probe", input={}, multitask_strategy="reject")
    overtaken = state_of(await client.runs.wait(thread, "probe", input={"text": "b", "log": []}))
    busy = (await client.threads.get(thread))["status"]
    await client.runs.cancel_many(thread_id=thread, run_ids=[held["run_id"]])

    assert overtaken["log"] == ["first b", "second b"]
    assert (await client.runs.get(thread, held["run_id"]))["status"] == "interrupted"
    assert (busy, (await client.threads.get(thread))["status"]) == ("busy", "idle")


async def test_a_deleted_thread_takes_its_delayed_run_along(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    """Nothing of a deleted thread is left to run later."""
    thread = await new_thread(client)
    held = await client.runs.create(thread, "probe", input=SLOW, after_seconds=600)

    await client.threads.delete(thread)

    joined = await asyncio.wait_for(http.get(f"/threads/{thread}/runs/{held['run_id']}/join"), 20)
    assert joined.status_code == 404  # one that is still to come would be waited for


async def test_stateless_runs_leave_no_thread(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    """A run without a thread answers and leaves nothing; with on_completion keep its thread stays."""
    before = await client.threads.count()
    await client.runs.wait(None, "probe", input={"text": "s", "log": []})
    made = await client.runs.create(None, "probe", input={"text": "s", "sleep": 0.2, "log": []})
    joined = await http.get(f"/runs/{made['run_id']}/join")
    assert joined.json()["log"] == ["first s", "second s"]
    assert before == await client.threads.count()

    kept = await client.runs.create(None, "probe", input={"text": "k", "log": []}, on_completion="keep")

    assert (await client.runs.join(kept["thread_id"], kept["run_id"]))["log"] == ["first k", "second k"]
    assert before + 1 == await client.threads.count()


def _payload(given: Json) -> RunCreate:
    """A run of `probe` for a batch: the client's type asks for every key, and the client sends those that have a value."""
    return RunCreate(
        assistant_id="probe", input=given, thread_id=None, metadata=None, config=None, context=None, checkpoint_id=None,
        interrupt_before=None, interrupt_after=None, webhook=None, multitask_strategy=None,
    )  # fmt: skip


async def test_a_batch_starts_every_run(client: LangGraphClient) -> None:
    """Each payload of a batch is a run of its own."""
    made = await client.runs.create_batch([_payload({"text": str(number)}) for number in range(3)])

    assert len({run["run_id"] for run in made}) == 3


async def test_goto_and_update_commands(client: LangGraphClient) -> None:
    """A command can write to the state and choose the next node."""
    thread = await new_thread(client)
    await client.runs.wait(thread, "probe", input={"text": "a", "log": []})

    values = state_of(await client.runs.wait(thread, "probe", command={"update": {"text": "moved"}, "goto": "second"}))

    assert values["log"][-1] == "second moved"


async def test_graphs_and_the_api_share_one_store(client: LangGraphClient) -> None:
    """What a graph remembers, the store routes show."""
    await client.runs.wait(None, "probe", input={"remember": "this", "log": []})

    assert (await client.store.get_item(["probe"], key="last"))["value"] == {"text": "this"}


async def test_engine_keys_of_a_config_are_ignored(client: LangGraphClient) -> None:
    """A caller cannot reach into the engine through the config, nor run on another thread than the one it named."""
    thread = await new_thread(client)
    config: Config = {"configurable": {"thread_id": "other", "__pregel_task_id": "x", "mine": 1}, "tags": ["t"]}

    values = state_of(await client.runs.wait(thread, "probe", input={"text": "c", "log": []}, config=config))

    state = await client.threads.get_state(thread)
    assert values == state["values"]
    assert (state["metadata"] or {})["mine"] == 1


@pytest.mark.parametrize("extra", [{"webhook": "http://x"}, {"stream_mode": "nonsense"}, {"multitask_strategy": "no"}])
async def test_unsupported_requests_are_refused(http: httpx.AsyncClient, extra: dict[str, str]) -> None:
    """An option that would be silently dropped is refused instead."""
    answer = await http.post("/runs/wait", json={"assistant_id": "probe", "input": {}, **extra})

    assert answer.status_code == 422
    assert next(iter(extra)) in answer.json()["detail"]


async def test_a_full_queue_is_503(tight: Server) -> None:
    """More runs than the service holds are refused, and taken again when there is room."""
    async with tight.client() as client, tight.http() as http:
        for _ in range(2):
            await client.runs.create(None, "probe", input=SLOW)
        refused = await http.post("/runs", json={"assistant_id": "probe", "input": {}})
        await client.runs.cancel_many(status="all")

        async def room() -> bool:
            return (await http.post("/runs/wait", json={"assistant_id": "probe", "input": {}})).status_code == 200

        await until(room)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")


async def test_a_run_that_takes_too_long_times_out(tight: Server) -> None:
    """The run's own limit ends it with status timeout and a reason, which whoever joins it later learns too."""
    async with tight.client() as client:
        thread = await new_thread(client)
        values = state_of(await client.runs.wait(thread, "probe", input=SLOW, raise_error=False))
        [run] = await client.runs.list(thread)
        joined = await client.runs.join(thread, run["run_id"])

    assert (values["__error__"]["error"], run["status"]) == ("TimeoutError", "timeout")
    assert joined == values


@pytest.mark.usefixtures("own_server")
async def test_threads_past_their_time_are_forgotten(client: LangGraphClient) -> None:
    """A thread's time-to-live ends it, and no other thread."""
    thread = await new_thread(client, ttl={"ttl": 0.005})
    kept = await new_thread(client)

    async def gone() -> bool:
        return await client.threads.search(ids=[thread]) == []

    await until(gone)
    assert (await client.threads.get(kept))["thread_id"] == kept


async def test_half_a_character_does_not_cut_the_answer_off(client: LangGraphClient) -> None:
    """A model's answer that ends within an emoji is told with a question mark: by wait, by stream and as state."""
    thread = await new_thread(client)
    given: Json = {"text": "a", "half": True, "log": []}

    waited = state_of(await client.runs.wait(thread, "probe", input=given))
    streamed = [part async for part in client.runs.stream(thread, "probe", input=given, stream_mode="updates")]

    assert waited["log"] == ["first a", "cut ?"]
    assert streamed[-1].data == {"second": {"log": ["cut ?"]}}
    assert state_of((await client.threads.get_state(thread))["values"])["log"][-1] == "cut ?"
