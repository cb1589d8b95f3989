"""The SDK's calls, answered as the official server answers them (golden/, which record_golden.py records)."""

from __future__ import annotations

from typing import Any

import pytest
from golden_rig import Calls, collect, compared, public, refused, settled
from langgraph_harness import Json, answer, at_second, in_state, running
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.schema import Command, StreamMode


async def threads(client: LangGraphClient) -> dict[str, Any]:
    api = client.threads
    mine = {"case": "threads"}
    made = await api.create(metadata=mine)
    identifier = made["thread_id"]
    out: dict[str, Any] = {"create": made, "get": await api.get(identifier)}
    out["duplicate"] = await refused(api.create(thread_id=identifier))
    out["do_nothing"] = await api.create(thread_id=identifier, if_exists="do_nothing")
    out["bad_id"] = await refused(api.create(thread_id="not-a-uuid"))
    out["get_bad_id"] = await refused(api.get("not-a-uuid"))
    out["missing"] = await refused(api.get("00000000-0000-4000-8000-000000000000"))
    out["update"] = await api.update(identifier, metadata={"more": 1})
    out["update_missing"] = await refused(api.update("00000000-0000-4000-8000-000000000000", metadata={}))
    out["search"] = await api.search(metadata=mine)
    out["search_none"] = await api.search(metadata={"case": "none"})
    out["search_ids"] = len(await api.search(ids=[identifier]))
    out["search_select"] = await api.search(metadata=mine, select=["thread_id", "status"])
    out["count"] = await api.count(metadata=mine)
    out["empty_state"] = await api.get_state(identifier)
    out["empty_history"] = await api.get_history(identifier)
    out["state_missing"] = await refused(api.get_state("00000000-0000-4000-8000-000000000000"))
    out["delete"] = await answer(api.delete(identifier))
    out["delete_again"] = await refused(api.delete(identifier))
    return out


async def assistants(client: LangGraphClient) -> dict[str, Any]:
    api = client.assistants
    found = await api.search(graph_id="gate")
    gate = found[0]["assistant_id"]
    nested = (await api.search(graph_id="nested"))[0]["assistant_id"]
    out: dict[str, Any] = {"search": found, "get": await api.get(gate)}
    out["missing"] = await refused(api.get("00000000-0000-4000-8000-000000000000"))
    out["schemas"] = await api.get_schemas(gate)
    out["graph"] = await api.get_graph(gate)
    out["subgraphs"] = await api.get_subgraphs(nested)
    out["count"] = await api.count(graph_id="gate")
    return out


async def wait(client: LangGraphClient) -> dict[str, Any]:
    thread = (await client.threads.create())["thread_id"]
    runs = client.runs
    out: dict[str, Any] = {"values": await runs.wait(thread, "probe", input={"text": "a", "log": []})}
    out["thread"] = await client.threads.get(thread)
    out["state"] = await client.threads.get_state(thread)
    out["history"] = await client.threads.get_history(thread)
    out["list"] = await runs.list(thread)
    out["stateless"] = await runs.wait(None, "probe", input={"text": "b", "log": []})
    out["stateless_gate"] = await runs.wait(None, "gate", input={"subject": "x"})
    out["failed"] = await runs.wait(thread, "probe", input={"fail": True}, raise_error=False)
    out["failed_thread"] = await client.threads.get(thread)
    out["failed_state"] = await client.threads.get_state(thread)
    out["unknown"] = await refused(runs.wait(thread, "absent", input={}))
    missing = "00000000-0000-4000-8000-00000000000f"
    out["no_thread"] = await refused(runs.wait(missing, "probe", input={"text": "c"}))
    out["created"] = await runs.wait(missing, "probe", input={"text": "c"}, if_not_exists="create")
    await client.threads.delete(missing)
    return out


async def stream(client: LangGraphClient) -> dict[str, Any]:
    thread = (await client.threads.create())["thread_id"]
    runs = client.runs
    given: Json = {"text": "s", "custom": 2, "log": []}
    out: dict[str, Any] = {}
    modes: tuple[StreamMode, ...] = ("values", "updates", "custom", "tasks", "checkpoints", "debug")
    for mode in modes:
        out[mode] = await collect(runs.stream(None, "probe", input=given, stream_mode=mode))
    out["two"] = await collect(runs.stream(thread, "probe", input=given, stream_mode=["updates", "custom"]))
    out["failed"] = await collect(runs.stream(None, "probe", input={"fail": True}, stream_mode=["updates"]))
    said: Json = {"messages": [{"role": "user", "content": "hi", "id": "said-1"}]}
    tokens: tuple[StreamMode, ...] = ("messages", "messages-tuple")
    for mode in tokens:
        out[mode] = await collect(runs.stream(None, "chat", input=said, stream_mode=mode))
    out["chat_values"] = await collect(runs.stream(None, "chat", input=said, stream_mode="values"))
    out["subgraphs"] = await collect(
        runs.stream(None, "nested", input={"text": "n"}, stream_mode=["updates", "values"], stream_subgraphs=True)
    )
    out["events"] = sorted(
        {name for name, _ in await collect(runs.stream(None, "probe", input=given, stream_mode="events"))}
    )
    return out


async def interrupts(client: LangGraphClient) -> dict[str, Any]:
    thread = (await client.threads.create())["thread_id"]
    runs = client.runs
    out: dict[str, Any] = {"wait": await runs.wait(thread, "gate", input={"subject": "x"})}
    out["thread"] = await client.threads.get(thread)
    out["state"] = await client.threads.get_state(thread)
    out["runs"] = [run["status"] for run in await runs.list(thread)]
    out["search"] = len(await client.threads.search(status="interrupted", ids=[thread]))
    out["resume"] = await runs.wait(thread, "gate", command={"resume": {"approved": True}})
    out["after"] = await client.threads.get(thread)
    both: list[StreamMode] = ["values", "updates"]
    out["stream"] = await collect(runs.stream(thread, "gate", input={"subject": "y"}, stream_mode=both))
    found = (await client.threads.get(thread))["interrupts"]
    identifier = next(iter(found.values()))[0]["id"]
    by_id: Command = {"resume": {identifier: "yes"}}
    out["by_id"] = await collect(runs.stream(thread, "gate", command=by_id, stream_mode="updates"))
    out["before"] = await runs.wait(thread, "probe", input={"text": "q", "log": []}, interrupt_before=["second"])
    out["before_state"] = await client.threads.get_state(thread)
    out["continued"] = await runs.wait(thread, "probe", input=None)
    nested = (await client.threads.create())["thread_id"]
    out["nested"] = await runs.wait(nested, "nested", input={"text": "n"})
    out["nested_state"] = await client.threads.get_state(nested, subgraphs=True)
    out["nested_resume"] = await runs.wait(nested, "nested", command={"resume": "ok"})
    return out


async def state(client: LangGraphClient) -> dict[str, Any]:
    api = client.threads
    thread = (await api.create())["thread_id"]
    await client.runs.wait(thread, "probe", input={"text": "a", "log": []})
    out: dict[str, Any] = {"update": await api.update_state(thread, {"text": "changed"}, as_node="first")}
    out["state"] = await api.get_state(thread)
    history = await api.get_history(thread, limit=3)
    out["history"] = [(item["next"], item["values"]) for item in history]
    past = history[2]["checkpoint"]
    out["past"] = await api.get_state(thread, checkpoint=past)
    out["past_by_id"] = (await api.get_state(thread, checkpoint_id=past["checkpoint_id"]))["values"]
    out["run_on"] = await client.runs.wait(thread, "probe", input=None)
    out["fork"] = await client.runs.wait(thread, "probe", input={"text": "fork"}, checkpoint_id=past["checkpoint_id"])
    out["copy"] = await answer(api.copy(thread))
    out["copied_state"] = (await api.get_state(out["copy"]["thread_id"]))["values"]
    fresh = (await api.create())["thread_id"]
    out["no_graph"] = await refused(api.update_state(fresh, {"text": "x"}))
    out["bad_node"] = await refused(api.update_state(thread, {"text": "x"}, as_node="absent"))
    return out


async def background(client: LangGraphClient) -> dict[str, Any]:
    thread = (await client.threads.create())["thread_id"]
    runs = client.runs
    made = await runs.create(thread, "probe", input={"text": "bg", "log": []}, metadata={"k": "v"})
    out: dict[str, Any] = {"create": sorted(public(set(made)))}
    out |= {"create_status": made["status"], "metadata": made["metadata"]}
    out["join"] = await runs.join(thread, made["run_id"])
    got = await runs.get(thread, made["run_id"])
    out["get"] = {key: got[key] for key in ("status", "metadata", "multitask_strategy", "assistant_id")}
    out["missing"] = await refused(runs.get(thread, "00000000-0000-4000-8000-000000000000"))
    out["cancel_done"] = await refused(runs.cancel(thread, made["run_id"]))
    out["delete"] = await answer(runs.delete(thread, made["run_id"]))
    out["gone"] = await refused(runs.get(thread, made["run_id"]))
    slow = await runs.create(thread, "probe", input={"text": "slow", "sleep": 30})
    await running(client, thread, slow["run_id"])
    await in_state(client, thread, at_second)
    out["busy"] = (await client.threads.get(thread))["status"]
    out["reject"] = await refused(runs.create(thread, "probe", input={"text": "no"}, multitask_strategy="reject"))
    out["cancel"] = await answer(runs.cancel(thread, slow["run_id"], wait=True))
    out["cancelled"] = (await runs.get(thread, slow["run_id"]))["status"]
    await settled(client, thread)
    out["left"] = (await client.threads.get(thread))["status"]
    return out


async def store(client: LangGraphClient) -> dict[str, Any]:
    api = client.store
    for left in (await api.search_items(["a"], limit=1000))["items"]:
        await api.delete_item(left["namespace"], key=left["key"])
    out: dict[str, Any] = {"put": await answer(api.put_item(["a", "b"], key="k", value={"n": 1}))}
    await api.put_item(["a", "c"], key="k2", value={"n": 2})
    out["get"] = await api.get_item(["a", "b"], key="k")
    found = await api.search_items(["a"])
    out["search"] = {"items": sorted(found["items"], key=lambda item: item["key"])}
    out["filter"] = await api.search_items(["a"], filter={"n": 2})
    out["namespaces"] = await api.list_namespaces(prefix=["a"])
    out["missing"] = await refused(api.get_item(["a", "b"], key="absent"))
    out["bad_namespace"] = await refused(api.put_item(["a.b"], key="k", value={}))
    out["delete"] = await answer(api.delete_item(["a", "b"], key="k"))
    await api.delete_item(["a", "c"], key="k2")
    out["left"] = await api.search_items(["a"])
    return out


SCENARIOS: dict[str, Calls] = {
    "threads": threads,
    "assistants": assistants,
    "wait": wait,
    "stream": stream,
    "interrupts": interrupts,
    "state": state,
    "background": background,
    "store": store,
}

# Where our answers differ, and why.
AGREED = {
    r"interrupts\.nested_state\.tasks\[0\]\.state\.metadata\."
    r"(checkpoint_(map|ns)|langgraph_(checkpoint_ns|node|path|step|triggers))": (
        "the official server adds these to the metadata of a graph inside a graph; no client reads them there"
    ),
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", SCENARIOS)
async def test_answers_are_the_official_servers(name: str, client: LangGraphClient) -> None:
    """Everything the official server says to the SDK, this one says too."""
    assert await compared(client, "sdk", name, SCENARIOS[name], AGREED) == []
