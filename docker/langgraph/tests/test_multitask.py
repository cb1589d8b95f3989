"""Runs that want the same thread: enqueue, reject, interrupt, rollback, and cancelling one that waits."""

from __future__ import annotations

import pytest
from langgraph_harness import Json, at_second, in_state, new_thread, running, state_of
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import ConflictError, NotFoundError

pytestmark = pytest.mark.anyio
SLOW: Json = {"text": "slow", "sleep": 30, "log": []}


async def test_enqueue_runs_one_after_the_other(client: LangGraphClient) -> None:
    """Runs on one thread never overlap, and each starts from what the one before left."""
    thread = await new_thread(client)
    given: list[Json] = [{"text": str(number), "sleep": 0.02, "log": []} for number in range(4)]

    made = [await client.runs.create(thread, "probe", input=one) for one in given]
    last = await client.runs.join(thread, made[-1]["run_id"])

    assert [f"{step} {number}" for number in range(4) for step in ("first", "second")] == last["log"]
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_reject_refuses_while_a_run_is_in_flight(client: LangGraphClient) -> None:
    """multitask_strategy reject answers 409 and leaves the running one alone."""
    thread = await new_thread(client)
    first = await client.runs.create(thread, "probe", input={"text": "a", "sleep": 0.3, "log": []})

    with pytest.raises(ConflictError):
        await client.runs.create(thread, "probe", input={}, multitask_strategy="reject")

    assert (await client.runs.join(thread, first["run_id"]))["log"] == ["first a", "second a"]


async def test_interrupt_stops_the_running_one_and_keeps_its_work(client: LangGraphClient) -> None:
    """multitask_strategy interrupt cancels what runs; its finished steps stay in the thread."""
    thread = await new_thread(client)
    slow = await client.runs.create(thread, "probe", input=SLOW)
    await in_state(client, thread, at_second)

    values = state_of(
        await client.runs.wait(thread, "probe", input={"text": "b", "sleep": 0}, multitask_strategy="interrupt")
    )

    assert values["log"] == ["first slow", "first b", "second b"]
    assert (await client.runs.get(thread, slow["run_id"]))["status"] == "interrupted"


async def test_rollback_undoes_the_running_one(client: LangGraphClient) -> None:
    """multitask_strategy rollback leaves no trace of what ran: no run, no checkpoint."""
    thread = await new_thread(client)
    await client.runs.wait(thread, "probe", input={"text": "a", "log": []})
    slow = await client.runs.create(thread, "probe", input=SLOW)
    await in_state(client, thread, at_second)

    values = state_of(
        await client.runs.wait(thread, "probe", input={"text": "b", "sleep": 0}, multitask_strategy="rollback")
    )

    assert values["log"] == ["first a", "second a", "first b", "second b"]
    with pytest.raises(NotFoundError):
        await client.runs.get(thread, slow["run_id"])


async def test_rollback_of_a_resume_gives_the_question_back(client: LangGraphClient) -> None:
    """Rolling back a run that answered an interrupt leaves the interrupt unanswered."""
    thread = await new_thread(client)
    await client.runs.wait(thread, "probe", input=SLOW, interrupt_before=["second"])
    before = await client.threads.get_state(thread)
    slow = await client.runs.create(thread, "probe", command={"update": {"text": "answered"}})
    await in_state(client, thread, lambda state: state["values"]["text"] == "answered")

    await client.runs.cancel(thread, slow["run_id"], wait=True, action="rollback")

    assert before == await client.threads.get_state(thread)


async def test_a_waiting_run_is_cancelled_at_once(client: LangGraphClient) -> None:
    """Cancelling a run that waits behind another ends it without waiting for that one."""
    thread = await new_thread(client)
    first = await client.runs.create(thread, "probe", input=SLOW)
    second = await client.runs.create(thread, "probe", input=SLOW)
    await running(client, thread, first["run_id"])

    await client.runs.cancel(thread, second["run_id"], wait=True)

    statuses = {run["run_id"]: run["status"] for run in await client.runs.list(thread)}
    assert {first["run_id"]: "running", second["run_id"]: "interrupted"} == statuses
    await client.runs.cancel_many(thread_id=thread, run_ids=[first["run_id"]])
    assert await client.runs.join(thread, first["run_id"]) is not None
