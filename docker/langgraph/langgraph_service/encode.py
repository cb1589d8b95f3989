"""Graph values to JSON: one encoder for answers, events and the tables."""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import PurePath
from typing import Any

import orjson
from langchain_core.runnables import RunnableConfig
from langgraph.types import Interrupt, StateSnapshot
from pydantic import BaseModel
from starlette.responses import Response

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
_CHECKPOINT_KEYS = ("thread_id", "checkpoint_ns", "checkpoint_id", "checkpoint_map")


def _number(value: Decimal) -> int | float:
    return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)


# What JSON has no word for, in the official server's words.
_WORDS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    (BaseModel, lambda value: value.model_dump()),
    (BaseException, lambda value: {"error": type(value).__name__, "message": str(value)}),
    ((set, frozenset), list),
    (tuple, lambda value: value._asdict() if hasattr(value, "_asdict") else list(value)),
    (Mapping, dict),
    ((bytes, bytearray, memoryview), lambda value: base64.b64encode(value).decode()),
    (Decimal, _number),
    (timedelta, timedelta.total_seconds),
    (re.Pattern, lambda value: value.pattern),
    ((IPv4Address, IPv6Address, IPv4Network, IPv6Network, PurePath), str),
)


def _default(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    # A graph may put anything into its state: null is there for what has no word at all.
    return next((word(value) for kind, word in _WORDS if isinstance(value, kind)), None)


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
    """`value` as JSON; TypeError for what JSON has no room for: an integer over 64 bits, a key that is a tuple."""
    try:
        return orjson.dumps(value, _default, _OPTIONS)
    except orjson.JSONEncodeError as error:
        if "surrogates" not in str(error):
            raise
        return orjson.dumps(_readable(value), lambda item: _readable(_default(item)), _OPTIONS)


def _fitting(value: Any) -> Any:
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): _fitting(item) for key, item in value.items()}
    return [_fitting(item) for item in value] if isinstance(value, list | tuple | set | frozenset) else value


def dumps_anyhow(value: Any) -> bytes:
    """The same for what has to be answered and kept: a state of which a part has no room in JSON shows it as text."""
    try:
        return dumps(value)
    except orjson.JSONEncodeError:
        return dumps(_fitting(value))


def plain(value: Any) -> Any:
    """`value` as what JSON can hold."""
    return orjson.loads(dumps(value))


class Json(Response):
    """A JSON answer."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """`content` as bytes."""
        return dumps_anyhow(content)


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
