"""LangGraph's own RemoteGraph: a graph here, used elsewhere as if it were local."""

from __future__ import annotations

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.pregel.remote import RemoteGraph
from langgraph.types import Command
from langgraph_harness import Endpoint, new_thread

pytestmark = pytest.mark.anyio


async def test_a_remote_graph_behaves_like_a_local_one(server: Endpoint) -> None:
    """invoke, stream, interrupt, resume, state, history and update through RemoteGraph."""
    async with server.client() as client:
        gate, probe = [RemoteGraph(name, client=client) for name in ("gate", "probe")]
        config: RunnableConfig = {"configurable": {"thread_id": await new_thread(client)}}

        asked = await gate.ainvoke({"subject": "x"}, config)
        waiting = await gate.aget_state(config)
        answered = await gate.ainvoke(Command(resume="yes"), config)
        history = [state async for state in gate.aget_state_history(config)]
        changed = await gate.aupdate_state(config, {"subject": "changed"}, as_node="close")
        after = await gate.aget_state(changed)
        streamed = [
            tuple(part)[:2]
            async for part in probe.astream({"text": "s", "custom": 1, "log": []}, stream_mode=["updates", "custom"])
        ]
        drawn = await gate.aget_graph()

    assert asked["__interrupt__"][0]["value"]["question"] == "go on?"
    assert (waiting.next, waiting.interrupts[0].value["subject"]) == (("ask",), "x")
    assert answered == {"subject": "x: closed", "answer": "yes"}
    assert [state.next for state in history] == [(), ("close",), ("ask",), ("__start__",)]
    assert after.values["subject"] == "changed"
    assert streamed == [
        ("custom", {"number": 0}),
        ("updates", {"first": {"log": ["first s"]}}),
        ("updates", {"second": {"log": ["second s"]}}),
    ]
    assert {"ask", "close"} < set(drawn.nodes)
