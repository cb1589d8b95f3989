"""`context` and `config.configurable`: two names of the same values."""

from __future__ import annotations

from typing import Any

import pytest
from golden_rig import Calls, compared, refused, sent
from langgraph_harness import new_thread
from langgraph_sdk.client import LangGraphClient

BOTH: dict[str, Any] = {"context": {"model": "m"}, "config": {"configurable": {"model": "m"}}}
GIVEN: dict[str, dict[str, Any]] = {
    "none": {},
    "context": {"context": {"model": "m", "level": 2}},
    "context_extra": {"context": {"model": "m", "other": True}},
    "context_empty": {"context": {}},
    "configurable": {"config": {"configurable": {"model": "m", "level": 2}}},
    "configurable_extra": {"config": {"configurable": {"model": "m", "other": True}}},
    "configurable_empty": {"config": {"configurable": {}}},
    "both": BOTH,
    "both_differ": {"context": {"model": "m"}, "config": {"configurable": {"level": 2}}},
    "context_with_empty": {"context": {"model": "m"}, "config": {"configurable": {}}},
    "empty_with_configurable": {"context": {}, "config": {"configurable": {"model": "m"}}},
    "context_with_config": {"context": {"model": "m"}, "config": {"recursion_limit": 7, "tags": ["a"]}},
    "context_with_thread": {"context": {"model": "m"}, "config": {"configurable": {"thread_id": "other"}}},
    "recursion": {"config": {"recursion_limit": 1}},
    "recursion_zero": {"config": {"recursion_limit": 0}},
    "recursion_text": {"config": {"recursion_limit": "7"}},
    "config_unknown": {"config": {"max_concurrency": 1, "run_name": "n", "strange": 1}},
    "context_wrong_type": {"context": {"level": "not a number"}},
}


async def threads(client: LangGraphClient) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, given in GIVEN.items():
        thread = await new_thread(client)
        body = {"assistant_id": "context", "input": {"text": "a"}, **given}
        out[name] = await sent(client, "POST", f"/threads/{thread}/runs/wait", body)
        found = await client.threads.get(thread)
        out[f"{name}_thread"] = {key: found.get(key) for key in ("status", "config", "context")}
    return out


async def stateless(client: LangGraphClient) -> dict[str, Any]:
    return {
        name: await sent(client, "POST", "/runs/wait", {"assistant_id": "context", "input": {"text": "a"}, **given})
        for name, given in GIVEN.items()
    }


async def bare(client: LangGraphClient) -> dict[str, Any]:
    """A graph that declares no context."""
    return {
        name: await sent(client, "POST", "/runs/wait", {"assistant_id": "bare", "input": {"text": "a"}, **given})
        for name, given in GIVEN.items()
        if name.startswith(("context", "configurable"))
    }


async def other_ways(client: LangGraphClient) -> dict[str, Any]:
    thread = await new_thread(client)
    both = {"assistant_id": "context", "input": {"text": "a"}, **BOTH}
    out: dict[str, Any] = {"stream": await sent(client, "POST", f"/threads/{thread}/runs/stream", both)}
    out["create"] = await sent(client, "POST", f"/threads/{thread}/runs", both)
    out["batch"] = await sent(client, "POST", "/runs/batch", [both])
    out["sdk"] = await refused(
        client.runs.create(thread, "context", input={}, config={"configurable": {"a": 1}}, context={"a": 1})
    )
    made = await client.runs.create(thread, "context", input={"text": "a"}, context={"model": "m"})
    await client.runs.join(thread, made["run_id"])
    kwargs: dict[str, Any] = (await client.runs.get(thread, made["run_id"]))["kwargs"]  # type: ignore[typeddict-item]
    out["kwargs_context"] = kwargs.get("context")
    out["second"] = await client.runs.wait(thread, "context", input={"text": "b"})
    out["metadata"] = (await client.threads.get_state(thread))["metadata"]
    return out


SCENARIOS: dict[str, Calls] = {"threads": threads, "stateless": stateless, "bare": bare, "other_ways": other_ways}
AGREED: dict[str, str] = {}


@pytest.mark.anyio
@pytest.mark.parametrize("name", SCENARIOS)
async def test_p6_context_is_the_configurable_of_the_run(name: str, client: LangGraphClient) -> None:
    """What is given as context is in config.configurable and the other way round; both at once are refused."""
    assert await compared(client, "context", name, SCENARIOS[name], AGREED) == []
