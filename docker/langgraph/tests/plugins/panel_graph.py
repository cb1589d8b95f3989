"""Asks three people at once, each in a node of its own, and closes when all have answered."""

import operator
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

NAMES = ("ada", "bob", "cyd")


class Panel(TypedDict, total=False):
    subject: str
    answers: Annotated[dict[str, Any], operator.or_]
    closed: bool


def _asking(name: str) -> Any:
    async def ask(state: Panel) -> dict[str, Any]:
        return {"answers": {name: interrupt({"ask": name, "subject": state.get("subject")})}}

    return ask


async def close(state: Panel) -> dict[str, Any]:
    return {"closed": True}


def build() -> StateGraph[Panel, None, Panel, Panel]:
    graph = StateGraph(Panel)
    graph.add_node("close", close, defer=True)
    for name in NAMES:
        graph.add_node(name, _asking(name))
        graph.add_edge(START, name)
        graph.add_edge(name, "close")
    graph.add_edge("close", END)
    return graph
