"""A graph inside a graph, compiled already, with an interrupt in the inner one."""

from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    text: str
    answer: str


async def inner_ask(state: State) -> dict[str, Any]:
    return {"answer": interrupt("inner?")}


async def outer(state: State) -> dict[str, Any]:
    return {"text": f"{state.get('text', '')}!"}


_inner = StateGraph(State)
_inner.add_node("inner_ask", inner_ask)
_inner.add_edge(START, "inner_ask")
_inner.add_edge("inner_ask", END)

_outer = StateGraph(State)
_outer.add_node("outer", outer)
_outer.add_node("inner", _inner.compile())
_outer.add_edge(START, "outer")
_outer.add_edge("outer", "inner")
_outer.add_edge("inner", END)
graph = _outer.compile()
