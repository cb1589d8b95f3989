"""Asks a person, then records the answer."""

from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict


class Gate(TypedDict, total=False):
    subject: str
    answer: Any


async def ask(state: Gate) -> dict[str, Any]:
    return {"answer": interrupt({"question": "go on?", "subject": state.get("subject")})}


async def close(state: Gate) -> dict[str, Any]:
    return {"subject": f"{state.get('subject')}: closed"}


def build() -> StateGraph[Gate, None, Gate, Gate]:
    graph = StateGraph(Gate)
    graph.add_node("ask", ask)
    graph.add_node("close", close)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", "close")
    graph.add_edge("close", END)
    return graph
