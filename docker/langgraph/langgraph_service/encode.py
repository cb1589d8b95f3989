"""Graph values to JSON: one encoder for answers, events and the tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import orjson
from langchain_core.runnables import RunnableConfig
from langgraph.types import Interrupt, StateSnapshot
from pydantic import BaseModel
from starlette.responses import Response

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
_CHECKPOINT_KEYS = ("thread_id", "checkpoint_ns", "checkpoint_id", "checkpoint_map")


def _default(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, BaseException):
        return {"error": type(value).__name__, "message": str(value)}
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    # A graph may put anything into its state: a readable stand-in beats a failed answer.
    return repr(value)


def _readable(value: Any) -> Any:
    """The same with a question mark for every half of a surrogate pair, as a cut-off model answer may end with."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {_readable(key): _readable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_readable(item) for item in value]
    return value


def dumps(value: Any) -> bytes:
    """`value` as JSON."""
    try:
        return orjson.dumps(value, _default, _OPTIONS)
    except orjson.JSONEncodeError:
        return orjson.dumps(_readable(value), lambda item: _readable(_default(item)), _OPTIONS)


def plain(value: Any) -> Any:
    """`value` as what JSON can hold."""
    return orjson.loads(dumps(value))


class Json(Response):
    """A JSON answer."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """`content` as bytes."""
        return dumps(content)


def interrupt(raised: Interrupt) -> dict[str, Any]:
    """An interrupt as the state routes show it."""
    shown: dict[str, Any] = {"value": raised.value, "id": raised.id}
    if raised.response_schema is not None:
        shown["response_schema"] = raised.response_schema
    return shown


def checkpoint(config: RunnableConfig | None) -> dict[str, Any] | None:
    """The checkpoint that a config names."""
    if config is None:
        return None
    configurable = config.get("configurable", {})
    shown = {key: configurable[key] for key in _CHECKPOINT_KEYS if configurable.get(key) is not None}
    return {"checkpoint_ns": "", **shown}


def _task_state(state: RunnableConfig | StateSnapshot | None) -> dict[str, Any]:
    if isinstance(state, StateSnapshot):
        return {"checkpoint": None, "state": snapshot(state)}
    return {"checkpoint": checkpoint(state), "state": None}


def _metadata(state: StateSnapshot) -> dict[str, Any] | None:
    if state.metadata is None:
        return None
    return {**state.metadata, "thread_id": state.config.get("configurable", {}).get("thread_id")}


def snapshot(state: StateSnapshot) -> dict[str, Any]:
    """A thread's state at one checkpoint."""
    here, parent = checkpoint(state.config), checkpoint(state.parent_config)
    exists = state.metadata is not None or bool(here and here.get("checkpoint_id"))
    return {
        "values": state.values,
        "next": list(state.next),
        "tasks": [
            {
                "id": task.id,
                "name": task.name,
                "path": list(task.path),
                "error": str(task.error) if task.error else None,
                "interrupts": [interrupt(item) for item in task.interrupts],
                "result": task.result,
                **_task_state(task.state),
            }
            for task in state.tasks
        ],
        "interrupts": [interrupt(item) for item in state.interrupts],
        "metadata": _metadata(state),
        "created_at": state.created_at,
        "checkpoint": here if exists else None,
        "checkpoint_id": here.get("checkpoint_id") if here and exists else None,
        "parent_checkpoint": parent,
        "parent_checkpoint_id": parent.get("checkpoint_id") if parent else None,
    }


def pending_interrupts(state: StateSnapshot) -> dict[str, list[dict[str, Any]]]:
    """The interrupts a thread waits on, by task."""
    return {task.id: [interrupt(item) for item in task.interrupts] for task in state.tasks if task.interrupts}
