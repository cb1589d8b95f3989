"""Two steps that sleep, wait for a file, write custom events, half a character or fail when the input asks for it."""

import asyncio
import operator
from pathlib import Path
from typing import Annotated, Any

from langgraph.config import get_store, get_stream_writer
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class Probe(TypedDict, total=False):
    text: str
    sleep: float
    hold: str
    custom: int
    fail: bool
    half: bool
    remember: str
    log: Annotated[list[str], operator.add]


async def first(state: Probe) -> dict[str, Any]:
    if state.get("custom"):
        write = get_stream_writer()
        for number in range(state["custom"]):
            write({"number": number})
    if state.get("remember"):
        await get_store().aput(("probe",), "last", {"text": state["remember"]})
    return {"log": [f"first {state.get('text', '')}"]}


async def second(state: Probe) -> dict[str, Any]:
    if state.get("sleep"):
        await asyncio.sleep(state["sleep"])
    while state.get("hold") and not Path(state["hold"]).exists():
        await asyncio.sleep(0.02)
    if state.get("fail"):
        raise ValueError("asked to fail")
    if state.get("half"):
        return {"log": ["cut \ud83d"]}
    return {"log": [f"second {state.get('text', '')}"]}


def build() -> StateGraph[Probe, None, Probe, Probe]:
    graph = StateGraph(Probe)
    graph.add_node("first", first)
    graph.add_node("second", second)
    graph.add_edge(START, "first")
    graph.add_edge("first", "second")
    graph.add_edge("second", END)
    return graph
