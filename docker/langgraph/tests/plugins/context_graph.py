"""Answers what it is called with: the context, and the caller's part of config.configurable."""

from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict


class Context(TypedDict, total=False):
    model: str
    level: int


class Seen(TypedDict, total=False):
    text: str
    given: Any
    chosen: Any
    recursion_limit: int
    tags: list[str]


async def look(state: Seen, config: RunnableConfig, runtime: Runtime[Context]) -> dict[str, Any]:
    configurable = config.get("configurable") or {}
    return {
        "given": runtime.context,
        "chosen": {name: configurable[name] for name in ("model", "level", "other") if name in configurable},
        "recursion_limit": config.get("recursion_limit"),
        "tags": [tag for tag in config.get("tags") or [] if not tag.startswith("graph:")],
    }


LOOK: Any = look  # config and runtime together are a node that the engine takes and its types do not name


def build_bare() -> StateGraph[Seen, None, Seen, Seen]:
    """The same without a declaration of the context."""
    graph = StateGraph(Seen)
    graph.add_node("look", LOOK)
    graph.add_edge(START, "look")
    graph.add_edge("look", END)
    return graph


def build() -> StateGraph[Seen, Context, Seen, Seen]:
    graph = StateGraph(Seen, context_schema=Context)
    graph.add_node("look", LOOK)
    graph.add_edge(START, "look")
    graph.add_edge("look", END)
    return graph
