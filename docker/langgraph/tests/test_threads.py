"""Threads and their state, beyond what the golden answers hold."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import httpx
import pytest
from langgraph_harness import MISSING, Json, answer, new_thread, state_of
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import ConflictError, NotFoundError, UnprocessableEntityError

pytestmark = pytest.mark.anyio
GIVEN: Json = {"text": "a", "log": []}


async def test_search_filters_nested_metadata_and_values(client: LangGraphClient) -> None:
    """A filter holds for the keys it names, at any depth, and for the values of the state as well."""
    mark = uuid.uuid4().hex
    thread = await new_thread(client, metadata={"owner": {"team": mark, "size": 3}, "open": True})
    await client.runs.wait(thread, "probe", input={"text": mark, "log": []})

    assert [thread] == [t["thread_id"] for t in await client.threads.search(metadata={"owner": {"team": mark}})]
    assert [thread] == [t["thread_id"] for t in await client.threads.search(values={"text": mark})]
    assert await client.threads.search(metadata={"owner": {"team": mark, "size": 4}}) == []
    assert await client.threads.count(metadata={"owner": {"team": mark}, "open": True}) == 1


async def test_search_pages_and_sorts(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    """Pages follow one another without a gap, and the headers count all and name the next."""
    mark = uuid.uuid4().hex
    made = [await new_thread(client, metadata={"mark": mark}) for _ in range(5)]

    pages = [
        await client.threads.search(metadata={"mark": mark}, limit=2, offset=at, sort_by="created_at", sort_order="asc")
        for at in (0, 2, 4)
    ]
    first = await http.post("/threads/search", json={"metadata": {"mark": mark}, "limit": 2})

    assert made == [thread["thread_id"] for page in pages for thread in page]
    assert (first.headers["x-pagination-total"], first.headers["x-pagination-next"]) == ("5", "2")


@pytest.mark.parametrize("body", [{"limit": 0}, {"limit": 10_000}, {"status": "asleep"}, {"metadata": 3}])
async def test_an_impossible_search_is_422(http: httpx.AsyncClient, body: dict[str, object]) -> None:
    """What no search can mean is refused with the field's name."""
    answer = await http.post("/threads/search", json=body)

    assert answer.status_code == 422
    assert next(iter(body)) in answer.json()["detail"]


async def test_metadata_that_looks_like_sql_or_a_path_is_data(client: LangGraphClient) -> None:
    """Keys and values of a filter never become part of the statement."""
    mark = uuid.uuid4().hex
    odd = {"a\".b' OR 1=1 --": mark, "$.x": [1, {"y": 2}]}
    thread = await new_thread(client, metadata=odd)

    assert [thread] == [t["thread_id"] for t in await client.threads.search(metadata=odd)]
    assert await client.threads.search(metadata={"' OR 1=1 --": mark}) == []


async def test_prune_deletes_or_keeps_the_newest_state(client: LangGraphClient) -> None:
    """keep_latest leaves exactly one checkpoint, from which the thread goes on; delete leaves nothing."""
    thread = await new_thread(client)
    await client.runs.wait(thread, "gate", input={"subject": "x"})

    await client.threads.prune([thread], strategy="keep_latest")

    assert len(await client.threads.get_history(thread)) == 1
    assert state_of(await client.runs.wait(thread, "gate", command={"resume": 1}))["subject"] == "x: closed"
    assert await client.threads.prune([thread, MISSING]) == {"pruned_count": 1}
    with pytest.raises(NotFoundError):
        await client.threads.get(thread)


async def test_a_copy_goes_its_own_way(client: LangGraphClient) -> None:
    """A copied thread resumes its own interrupt and leaves the original's alone."""
    thread = await new_thread(client)
    await client.runs.wait(thread, "gate", input={"subject": "x"})
    copied = await answer(client.threads.copy(thread))

    await client.runs.wait(copied["thread_id"], "gate", command={"resume": "here"})

    assert copied["status"] == "interrupted"
    assert (await client.threads.get_state(thread))["next"] == ["ask"]
    assert state_of((await client.threads.get_state(copied["thread_id"]))["values"])["answer"] == "here"


async def test_supersteps_rebuild_a_thread(client: LangGraphClient) -> None:
    """A thread made from supersteps has the state they lead to."""
    steps: list[dict[str, Sequence[Json]]] = [
        {"updates": [{"values": {"text": "moved", "log": ["old"]}, "as_node": "__start__"}]},
        {"updates": [{"values": {"log": ["first moved"]}, "as_node": "first"}]},
    ]

    made = await client.threads.create(graph_id="probe", supersteps=steps)

    state = await client.threads.get_state(made["thread_id"])
    assert (state_of(state["values"])["log"], state["next"]) == (["old", "first moved"], ["second"])


async def test_deleting_a_busy_thread_stops_its_run(client: LangGraphClient) -> None:
    """Nothing of a deleted thread is left, not even a run in flight."""
    thread = await new_thread(client)
    run = await client.runs.create(thread, "probe", input={"sleep": 30, "log": []})

    await client.threads.delete(thread)

    with pytest.raises(NotFoundError):
        await client.runs.get(thread, run["run_id"])
    await client.threads.create(thread_id=thread)
    assert (await client.threads.get_state(thread))["values"] == {}
    assert state_of(await client.runs.wait(thread, "probe", input=GIVEN))["log"] == ["first a", "second a"]


async def test_state_cannot_change_under_a_run(client: LangGraphClient) -> None:
    """Writing to a thread that has a run in flight is a conflict."""
    thread = await new_thread(client)
    await client.runs.create(thread, "probe", input={"sleep": 30, "log": []})

    with pytest.raises(ConflictError):
        await client.threads.update_state(thread, {"text": "x"}, as_node="first")
    await client.threads.delete(thread)


async def test_history_before_a_checkpoint(client: LangGraphClient) -> None:
    """History before a checkpoint, named by its id or as an object, starts at the one before it."""
    thread = await new_thread(client)
    await client.runs.wait(thread, "probe", input=GIVEN)
    whole = await client.threads.get_history(thread)

    by_id = await client.threads.get_history(thread, before=whole[1]["checkpoint"]["checkpoint_id"])
    by_object = await client.threads.get_history(thread, before=whole[1]["checkpoint"])

    assert len(whole) == 4
    assert whole[2:] == by_id == by_object


async def test_an_unknown_checkpoint_is_404(client: LangGraphClient) -> None:
    """Asking for a checkpoint that is not there does not answer with another one."""
    thread = await new_thread(client)
    await client.runs.wait(thread, "probe", input=GIVEN)

    with pytest.raises(NotFoundError):
        await client.threads.get_state(thread, checkpoint_id="1f000000-0000-6000-8000-000000000000")


async def test_return_minimal_answers_204(client: LangGraphClient) -> None:
    """`Prefer: return=minimal` changes the thread and sends nothing back."""
    thread = await new_thread(client)

    assert await answer(client.threads.update(thread, metadata={"a": 1}, return_minimal=True)) is None
    assert (await client.threads.get(thread))["metadata"] == {"a": 1}


async def test_search_returns_the_selected_fields(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    """`select` leaves out fields, `extract` adds what stands at a path; a field that no thread has is refused."""
    mark = uuid.uuid4().hex
    thread = await new_thread(client, metadata={"mark": mark})
    await client.runs.wait(thread, "probe", input={"text": mark, "log": []})
    paths = {"last": "values.log[-1]", "none": "values.absent[3].deeper"}

    found = await answer(client.threads.search(metadata={"mark": mark}, select=["status"], extract=paths))
    listed = await answer(client.runs.list(thread, select=["status"]))
    refused = await http.post("/threads/search", json={"select": ["absent"]})

    assert found == [{"status": "idle", "extracted": {"last": f"second {mark}", "none": None}}]
    assert listed == [{"status": "success"}]
    assert refused.status_code == 422


@pytest.mark.parametrize("value", ["NaN", '"\\ud800"', "[" * 5000 + "]" * 5000, "{"])
async def test_a_body_that_could_not_be_answered_again_is_refused(http: httpx.AsyncClient, value: str) -> None:
    """JSON that no answer could carry is told apart at the door, with the place."""
    headers = {"content-type": "application/json"}

    answer = await http.post("/threads", content=f'{{"metadata": {{"a": {value}}}}}', headers=headers)

    assert answer.status_code == 422
    assert "the body is not JSON at character" in answer.json()["detail"]


async def test_a_refused_value_names_its_field(client: LangGraphClient) -> None:
    """A thread id that is no UUID is refused by name."""
    with pytest.raises(UnprocessableEntityError, match=r"thread_id: .*UUID"):
        await client.threads.create(thread_id="not-a-uuid")
