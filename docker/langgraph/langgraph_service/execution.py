"""One attempt at one run: the graph's stream, turned into the events that clients read."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from langchain_core.messages import BaseMessage, BaseMessageChunk, message_chunk_to_message
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, Interrupt, Send

from langgraph_service.encode import checkpoint
from langgraph_service.plugins import Graph

RECURSION_LIMIT = 10011  # where a run's config has none: the official server's default
Publish = Callable[[str, object], None]
Part = tuple[tuple[str, ...], str, Any]

# The API's stream modes that a graph knows by another name, or not at all.
_RENAMED = {"messages-tuple": "messages", "events": None}


def _goto(target: Any) -> Any:
    if isinstance(target, list):
        return [_goto(item) for item in target]
    return Send(target["node"], target.get("input")) if isinstance(target, Mapping) else target


def graph_input(kwargs: Mapping[str, Any]) -> Any:
    """What the graph is called with: a command, an input, or None to go on from the checkpoint."""
    command = kwargs.get("command")
    if not command:
        return kwargs.get("input")
    update = command.get("update")
    given: dict[str, Any] = {}
    if "resume" in command:
        given["resume"] = command["resume"]
    if update is not None:
        given["update"] = [tuple(pair) for pair in update] if isinstance(update, list) else update
    if command.get("goto") is not None:
        given["goto"] = _goto(command["goto"])
    return Command(**given)


def run_config(run: Mapping[str, Any], graph: str, attempt: int) -> RunnableConfig:
    """The caller's config with what names the run; the engine's own keys (`__…`) are not the caller's to set."""
    given = run["kwargs"].get("config") or {}
    named = {"run_id": run["run_id"], "assistant_id": run["assistant_id"], "graph_id": graph}
    configurable = {key: value for key, value in (given.get("configurable") or {}).items() if not key.startswith("__")}
    configurable |= run["kwargs"].get("checkpoint") or {}
    configurable |= named | {"thread_id": run["thread_id"], "langgraph_request_id": run["request_id"]}
    config: RunnableConfig = {
        "configurable": configurable,
        "metadata": {**(given.get("metadata") or {}), **run["metadata"], **named, "run_attempt": attempt},
        "run_id": uuid.UUID(run["run_id"]),
        "recursion_limit": int(given.get("recursion_limit", RECURSION_LIMIT)),
    }
    if "tags" in given:
        config["tags"] = list(given["tags"])
    return config


def _arguments(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    modes = {_RENAMED.get(mode, mode) for mode in kwargs["stream_mode"]} - {None} | {"values"}
    arguments: dict[str, Any] = {"stream_mode": sorted(modes), "subgraphs": bool(kwargs.get("subgraphs"))}
    if not kwargs["temporary"]:
        arguments["durability"] = kwargs["durability"]
    for key in ("interrupt_before", "interrupt_after", "context"):
        if kwargs.get(key):
            arguments[key] = kwargs[key]
    return arguments


async def _parts(
    graph: Graph, kwargs: Mapping[str, Any], config: RunnableConfig, publish: Publish
) -> AsyncIterator[Part]:
    arguments, given = _arguments(kwargs), graph_input(kwargs)
    if "events" not in kwargs["stream_mode"]:
        async for item in graph.astream(given, config, **arguments):
            yield item if arguments["subgraphs"] else ((), *item)
        return
    root = str(config["run_id"])
    async for event in graph.astream_events(given, config, version="v2", **arguments):
        publish("events", event)
        if event["event"] == "on_chain_stream" and event["run_id"] == root:
            item = event["data"].get("chunk")
            if isinstance(item, tuple):
                yield item if arguments["subgraphs"] else ((), *item)


class _Messages:
    """The `messages` mode of older clients: each message so far, grown chunk by chunk."""

    def __init__(self) -> None:
        self._so_far: dict[str, Any] = {}

    def publish(self, publish: Publish, suffix: str, message: BaseMessage, metadata: Mapping[str, Any]) -> None:
        key = str(message.id)
        if key not in self._so_far:
            publish(f"messages/metadata{suffix}", {key: {"metadata": metadata}})
        if isinstance(message, BaseMessageChunk):
            grown = self._so_far[key] + message if key in self._so_far else message
            self._so_far[key] = grown
            publish(f"messages/partial{suffix}", [message_chunk_to_message(grown)])
        else:
            self._so_far[key] = message
            publish(f"messages/complete{suffix}", [message])


def _checkpoint(payload: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint's event; one that a run before has saved says whose it is."""
    metadata = payload["metadata"]
    if "run_id" in metadata:
        metadata = {**metadata, "thread_id": payload["config"]["configurable"].get("thread_id")}
    return {**payload, "metadata": metadata}


def _debug(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """A debug event, with its checkpoint and the one before as the routes of states name them."""
    if event["type"] != "checkpoint":
        return event
    payload = _checkpoint(event["payload"])
    if "checkpoint_id" in payload["config"].get("configurable", {}):
        payload["checkpoint"] = checkpoint(payload["config"])
        payload["parent_checkpoint"] = checkpoint(payload.get("parent_config"))
    return {**event, "payload": payload}


_SHAPES: dict[str, Callable[[Any], Any]] = {"debug": _debug, "checkpoints": _checkpoint}


async def execute(graph: Graph, kwargs: Mapping[str, Any], config: RunnableConfig, publish: Publish) -> Any:
    """Run the graph to its end, interrupt or failure; the last values, or None when it had nothing to do."""
    wanted, messages, last = frozenset(kwargs["stream_mode"]), _Messages(), None
    raised: list[Interrupt] = []
    async for namespace, mode, chunk in _parts(graph, kwargs, config, publish):
        suffix = "|" + "|".join(namespace) if namespace else ""
        if mode == "values" and not namespace:
            last = chunk
            raised += chunk.get("__interrupt__", ()) if isinstance(chunk, Mapping) else ()
        if mode == "messages":
            message, metadata = chunk
            if "messages-tuple" in wanted:
                publish(f"messages{suffix}", [message, metadata])
            if "messages" in wanted:
                messages.publish(publish, suffix, message, metadata)
        elif mode in wanted:
            publish(f"{mode}{suffix}", _SHAPES[mode](chunk) if mode in _SHAPES else chunk)
    return {**last, "__interrupt__": raised} if raised and isinstance(last, Mapping) else last
