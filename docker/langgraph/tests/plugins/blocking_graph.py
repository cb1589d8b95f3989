"""Blocks its thread until a file is there, in an async node or in a plain one."""

import time
from pathlib import Path
from typing import Any

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class Blocked(TypedDict, total=False):
    how: str
    until: str
    done: bool


def _block(until: str) -> dict[str, Any]:
    while not Path(until).exists():
        time.sleep(0.02)
    return {"done": True}


async def in_the_loop(state: Blocked) -> dict[str, Any]:
    return _block(state["until"])


def in_a_thread(state: Blocked) -> dict[str, Any]:
    return _block(state["until"])


def build() -> StateGraph[Blocked, None, Blocked, Blocked]:
    graph = StateGraph(Blocked)
    graph.add_node("in_the_loop", in_the_loop)
    graph.add_node("in_a_thread", in_a_thread)
    graph.add_conditional_edges(START, lambda state: state["how"], ["in_the_loop", "in_a_thread"])
    graph.add_edge("in_the_loop", END)
    graph.add_edge("in_a_thread", END)
    return graph
