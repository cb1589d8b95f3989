"""Every parameter of the other routes: threads, states, lists of runs, assistants, the store."""

from __future__ import annotations

from typing import Any

import pytest
from golden_rig import NO_THREAD, Calls, compared, sent
from langgraph_harness import new_thread
from langgraph_sdk.client import LangGraphClient


async def threads(client: LangGraphClient) -> dict[str, Any]:
    """Creating, finding and changing threads."""
    body: Any
    mine = {"case": "parameters"}
    thread = (await client.threads.create(metadata=mine))["thread_id"]
    create: list[Any] = [
        {"if_exists": "zzz"},
        {"thread_id": "x"},
        {"metadata": None},
        {"metadata": "x"},
        {"ttl": 5},
        {"ttl": -1},
        {"ttl": {"ttl": 5, "strategy": "delete"}},
        {"ttl": {"ttl": 5, "strategy": "keep_latest"}},
        {"ttl": {"ttl": 5, "strategy": "zzz"}},
        {"ttl": {"strategy": "delete"}},
        {"ttl": "x"},
        {"supersteps": []},
        {"supersteps": [{"updates": [{"values": {"text": "a"}, "as_node": "first"}]}]},
        {
            "metadata": {"graph_id": "probe"},
            "supersteps": [{"updates": [{"values": {"text": "a"}, "as_node": "first"}]}],
        },
        {"zzz": 1},
        {},
    ]
    search: list[Any] = [
        *({"sort_by": name} for name in ("thread_id", "status", "created_at", "updated_at", "state_updated_at", "zzz")),
        *({"sort_order": name} for name in ("asc", "desc", "ASC", "zzz")),
        *({"limit": value} for value in (0, 1, 1000, 1001, -1, "1")),
        *({"offset": value} for value in (0, -1, "x")),
        *({"status": value} for value in ("idle", "zzz", None)),
        *({"select": value} for value in (["thread_id"], ["zzz"], [], "thread_id", ["thread_id", "ttl"])),
        *({"extract": value} for value in ({"a": "metadata.case"}, {"a": "zzz.b"}, {"a": "metadata.none"}, "x")),
        *({"ids": value} for value in ([], [thread], ["x"])),
        *({"values": value} for value in ({}, {"a": 1}, "x")),
        {"metadata": "x"},
        {"zzz": 1},
    ]
    out: dict[str, Any] = {repr(body): await sent(client, "POST", "/threads", body) for body in create}
    for body in search:
        out[f"search {body!r}"] = await sent(client, "POST", "/threads/search", {"metadata": mine, **body})
    for body in ({"sort_by": "zzz"}, {"status": "zzz"}, {"ids": [thread]}, {"limit": 0}):
        out[f"count {body!r}"] = await sent(client, "POST", "/threads/count", {"metadata": mine, **body})
    for body in ({}, {"metadata": None}, {"ttl": 5}, {"ttl": -1}, {"ttl": "x"}, {"zzz": 1}):
        out[f"patch {body!r}"] = await sent(client, "PATCH", f"/threads/{thread}", body)
    for query in ("", "?select=zzz", "?select=thread_id", "?include=ttl", "?include=zzz", "?zzz=1"):
        answer = await sent(client, "GET", f"/threads/{thread}{query}")
        out[f"get {query}"] = {**answer, "answer": dict.fromkeys(answer.get("answer", {}), True)}
    for body in ({"thread_ids": []}, {"thread_ids": [NO_THREAD], "strategy": "zzz"}, {}, {"thread_ids": ["x"]}):
        out[f"prune {body!r}"] = await sent(client, "POST", "/threads/prune", body)
    await client.threads.delete(thread)
    return out


async def states(client: LangGraphClient) -> dict[str, Any]:
    """Reading, writing and listing states."""
    body: Any
    thread = await new_thread(client)
    await client.runs.wait(thread, "probe", input={"text": "a", "log": []})
    history: list[Any] = [
        {},
        {"limit": 0},
        {"limit": 1001},
        {"limit": -1},
        {"limit": "x"},
        {"before": None},
        {"before": NO_THREAD},
        {"before": {"configurable": {"checkpoint_id": NO_THREAD}}},
        {"before": {"checkpoint_id": NO_THREAD}},
        {"metadata": {"step": 0}},
        {"metadata": "x"},
        {"checkpoint": {"checkpoint_ns": "absent"}},
        {"zzz": 1},
    ]
    out: dict[str, Any] = {}
    for body in history:
        answer = await sent(client, "POST", f"/threads/{thread}/history", body)
        out[f"history {body!r}"] = {**answer, "answer": len(answer.get("answer", []))}
    for query in ("?limit=2", "?limit=0", "?limit=x", f"?before={NO_THREAD}", "?zzz=1"):
        answer = await sent(client, "GET", f"/threads/{thread}/history{query}")
        out[f"history {query}"] = {**answer, "answer": len(answer.get("answer", []))}
    for query in ("?subgraphs=true", "?subgraphs=zzz", "?zzz=1"):
        out[f"state {query}"] = {"status": (await sent(client, "GET", f"/threads/{thread}/state{query}"))["status"]}
    for body in (
        {},
        {"values": None},
        {"values": "x"},
        {"values": [{"text": "b"}]},
        {"values": {"absent": 1}, "as_node": "first"},
        {"values": {"text": "b"}, "as_node": ""},
        {"values": {"text": "b"}, "as_node": "__end__"},
        {"values": {"text": "b"}, "as_node": "__start__"},
        {"values": {"text": "b"}, "checkpoint_id": NO_THREAD},
        {"values": {"text": "b"}, "checkpoint": {"checkpoint_ns": "absent"}},
        {"zzz": 1},
    ):
        out[f"update {body!r}"] = {"status": (await sent(client, "POST", f"/threads/{thread}/state", body))["status"]}
    for body in ({}, {"checkpoint": {}}, {"checkpoint": {"checkpoint_id": NO_THREAD}}, {"checkpoint": "x"}):
        out[f"at {body!r}"] = {
            "status": (await sent(client, "POST", f"/threads/{thread}/state/checkpoint", body))["status"]
        }
    out["at id"] = {"status": (await sent(client, "GET", f"/threads/{thread}/state/{NO_THREAD}"))["status"]}
    return out


async def run_lists(client: LangGraphClient) -> dict[str, Any]:
    """Listing, joining and streaming runs that are over."""
    thread = await new_thread(client)
    await client.runs.wait(thread, "probe", input={"text": "a", "log": []})
    run = (await client.runs.list(thread))[0]["run_id"]
    base = f"/threads/{thread}/runs"
    out: dict[str, Any] = {}
    for query in ("?limit=0", "?limit=1", "?limit=1001", "?limit=x", "?offset=-1", "?offset=5", "?status=success"):
        answer = await sent(client, "GET", base + query)
        out[f"list {query}"] = {**answer, "answer": len(answer.get("answer", []))}
    for query in ("?status=zzz", "?select=status", "?select=zzz", "?zzz=1"):
        answer = await sent(client, "GET", base + query)
        out[f"list {query}"] = {**answer, "answer": [dict.fromkeys(item, True) for item in answer.get("answer", [])]}
    for query in ("", "?cancel_on_disconnect=1", "?cancel_on_disconnect=zzz", "?zzz=1"):
        out[f"join {query}"] = await sent(client, "GET", f"{base}/{run}/join{query}")
    for query in ("", "?stream_mode=zzz", "?stream_mode=values", "?cancel_on_disconnect=zzz", "?last_event_id=x"):
        out[f"stream {query}"] = await sent(client, "GET", f"{base}/{run}/stream{query}")
    out["unknown run"] = await sent(client, "GET", f"{base}/{NO_THREAD}/join")
    out["unknown run stream"] = await sent(client, "GET", f"{base}/{NO_THREAD}/stream")
    return out


async def assistants(client: LangGraphClient) -> dict[str, Any]:
    """Finding assistants, and asking for what hangs on them."""
    body: Any
    nested = (await client.assistants.search(graph_id="nested"))[0]["assistant_id"]
    out: dict[str, Any] = {}
    for body in (
        *({"sort_by": name} for name in ("assistant_id", "graph_id", "name", "created_at", "updated_at", "zzz")),
        {"sort_by": "name", "sort_order": "asc"},
        {"sort_by": "name", "sort_order": "desc"},
        {"sort_order": "zzz"},
        {"limit": 0},
        {"limit": 1001},
        {"offset": -1},
        {"select": ["graph_id"]},
        {"select": ["zzz"]},
        {"name": "ga"},
        {"name": "GA"},
        {"metadata": {"created_by": "system"}},
        {"metadata": "x"},
        {"zzz": 1},
    ):
        answer = await sent(client, "POST", "/assistants/search", {"graph_id": "gate", **body})
        out[f"search {body!r}"] = {**answer, "answer": [dict.fromkeys(item, True) for item in answer.get("answer", [])]}
    for sort in ("name", "graph_id"):
        for order in ("asc", "desc"):
            answer = await sent(client, "POST", "/assistants/search", {"sort_by": sort, "sort_order": order})
            out[f"order {sort} {order}"] = [
                item["graph_id"] for item in answer["answer"] if item["graph_id"] != "blocking"
            ]
    for query in (
        "graph",
        "graph?xray=1",
        "graph?xray=true",
        "graph?xray=0",
        "graph?xray=zzz",
        "graph?xray=-1",
        "schemas",
    ):
        out[f"get {query}"] = {"status": (await sent(client, "GET", f"/assistants/{nested}/{query}"))["status"]}
    for query in (
        "subgraphs",
        "subgraphs/inner",
        "subgraphs/absent",
        "subgraphs?recurse=true",
        "subgraphs?recurse=zzz",
    ):
        answer = await sent(client, "GET", f"/assistants/{nested}/{query}")
        out[f"get {query}"] = {**answer, "answer": dict.fromkeys(answer.get("answer", {}), True)}
    out["unknown"] = await sent(client, "GET", "/assistants/absent")
    return out


async def store(client: LangGraphClient) -> dict[str, Any]:
    """The store, with what it can't do."""
    body: Any
    out: dict[str, Any] = {}
    item = {"namespace": ["p", "q"], "key": "k", "value": {"n": 1}}
    more: Any
    for more in (
        {},
        {"ttl": 5},
        {"ttl": None},
        {"ttl": -1},
        {"ttl": "x"},
        {"index": False},
        {"index": ["n"]},
        {"index": "x"},
        {"index": None},
        {"value": None},
        {"value": "x"},
        {"key": ""},
        {"key": 1},
        {"namespace": []},
        {"namespace": [""]},
        {"namespace": ["a.b"]},
        {"namespace": "p"},
        {"namespace": ["langgraph"]},
        {"zzz": 1},
    ):
        out[f"put {more!r}"] = await sent(client, "PUT", "/store/items", {**item, **more})
    for query in (
        "?namespace=p.q&key=k",
        "?namespace=p.q&key=k&refresh_ttl=true",
        "?namespace=p.q&key=k&refresh_ttl=zzz",
        "?key=k",
        "?namespace=p.q",
        "",
    ):
        out[f"get {query}"] = await sent(client, "GET", f"/store/items{query}")
    for body in (
        {},
        {"namespace_prefix": ["p"]},
        {"namespace_prefix": []},
        {"namespace_prefix": ["p"], "refresh_ttl": True},
        {"namespace_prefix": ["p"], "query": "text"},
        {"namespace_prefix": ["p"], "filter": {"n": 1}},
        {"namespace_prefix": ["p"], "filter": {"n": {"$gt": 0}}},
        {"namespace_prefix": ["p"], "filter": {"n": {"$zzz": 0}}},
        {"namespace_prefix": ["p"], "limit": 0},
        {"namespace_prefix": ["p"], "limit": 1001},
        {"namespace_prefix": ["p"], "offset": -1},
    ):
        answer = await sent(client, "POST", "/store/items/search", body)
        out[f"search {body!r}"] = {"status": answer["status"]}
    for body in (
        {},
        {"prefix": ["p"]},
        {"suffix": ["q"]},
        {"prefix": ["*", "q"]},
        {"max_depth": 1},
        {"max_depth": 0},
        {"max_depth": -1},
        {"limit": 0},
        {"offset": -1},
    ):
        out[f"namespaces {body!r}"] = {"status": (await sent(client, "POST", "/store/namespaces", body))["status"]}
    for body in ({}, {"key": "k"}, {"namespace": ["p", "q"], "key": "absent"}, {"namespace": ["p", "q"], "key": "k"}):
        out[f"delete {body!r}"] = await sent(client, "DELETE", "/store/items", body)
    return out


SCENARIOS: dict[str, Calls] = {
    "threads": threads,
    "states": states,
    "run_lists": run_lists,
    "assistants": assistants,
    "store": store,
}
# Where our answers differ, and why.
AGREED = {
    r".*\.status: 400 there, 422 here": "refused either way",
    r".*\.status: 500 there": "the official server fails",
    r"threads\.search \{'status': None\}|states\.history \{'before': None\}": "null counts as not given",
    r"threads\.\{'supersteps'.*status: 201 there": "supersteps without a graph have nobody who could take them",
    r"threads\.\{'ttl'.*keep_latest": "threads past their time are deleted here, or kept; nothing else is promised",
    r"states\.at ": "a checkpoint that is not there is 404",
    r"states\.history \{'before': '<id>'\}": "the SDK may send the id of a checkpoint",
    r"(states|run_lists|store)\..*(limit|offset|max_depth).*(status: 200 there, 422 here|answer: )": (
        "pages have bounds, and a number that is none is refused"
    ),
    r".*(=zzz|=0)\.?.*(status|answer)": "a value that means nothing is refused",
    r"run_lists\.unknown run": "a run that is not there is 404",
    r"assistants\.(unknown\.status|get graph\?xray=0)": "a graph's name is as good as its id",
    r"store\.search .*'query'": "there is no semantic index: refused, where the official server passes over the query",
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", SCENARIOS)
async def test_p8_routes_answer_parameters_as_there(name: str, client: LangGraphClient) -> None:
    """A parameter is answered as by the official server, or refused as there."""
    assert await compared(client, "routes", name, SCENARIOS[name], AGREED) == []
