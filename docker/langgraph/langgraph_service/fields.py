"""The kinds of values in the bodies that requests carry, and their bounds."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field

StreamMode = Literal[
    "values", "updates", "custom", "messages", "messages-tuple", "tasks", "checkpoints", "debug", "events"
]
Strategy = Literal["reject", "enqueue", "interrupt", "rollback"]
ThreadStatus = Literal["idle", "busy", "interrupted", "error"]
ThreadField = Literal[
    "thread_id",
    "created_at",
    "updated_at",
    "state_updated_at",
    "metadata",
    "config",
    "context",
    "status",
    "values",
    "interrupts",
    "error",
]
ThreadSort = Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"]
AssistantSort = Literal["assistant_id", "graph_id", "name", "created_at", "updated_at"]
Order = Literal["asc", "desc"]
AssistantField = Literal[
    "assistant_id",
    "graph_id",
    "name",
    "description",
    "config",
    "context",
    "created_at",
    "updated_at",
    "metadata",
    "version",
]
RunField = Literal[
    "run_id",
    "thread_id",
    "assistant_id",
    "created_at",
    "updated_at",
    "status",
    "metadata",
    "kwargs",
    "multitask_strategy",
]
# A page begins here at the latest, a run waits and a thread lives this long at most: SQLite and the clock have limits.
LAST = 2**31
YEAR_SECONDS = 366 * 86_400
CENTURY_MINUTES = 100 * 366 * 1_440
# What one statement of SQLite can ask for.
MOST_CONDITIONS = 100
MOST_IDS = 1_000


def listed(value: Any) -> Any:
    if value == []:
        return ["values"]
    return [value] if isinstance(value, str) else value


def _uuid_text(value: Any) -> Any:
    try:
        return str(UUID(value)) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError("must be a UUID") from error


def _minutes(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ValueError('expected an object: {"ttl": minutes}')
    if (strategy := value.get("strategy", "delete")) != "delete":
        raise ValueError(f"strategy {strategy!r}: this service only deletes what is past its time")
    return value.get("ttl")


def named(before: Any) -> Any:
    # A config names a checkpoint as well.
    return before["configurable"] if isinstance(before, dict) and set(before) == {"configurable"} else before


def _config(config: dict[str, Any]) -> dict[str, Any]:
    limit = config.get("recursion_limit", 1)
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise ValueError("recursion_limit: expected an integer")
    if not isinstance(config.get("configurable", {}), dict):
        raise ValueError("configurable: expected an object")
    return config


def paths(extract: dict[str, str]) -> dict[str, str]:
    for path in extract.values():
        if re.split(r"[.\[]", path)[0] not in get_args(ThreadField):
            raise ValueError(f"{path!r} is not a path into a thread")
    return extract


def _leaves(value: Any) -> int:
    return sum(map(_leaves, value.values())) if isinstance(value, dict) and value else 1


def _bounded(wanted: dict[str, Any]) -> dict[str, Any]:
    if wanted and _leaves(wanted) > MOST_CONDITIONS:
        raise ValueError(f"asks for more than {MOST_CONDITIONS} values")
    return wanted


Identifier = Annotated[str, BeforeValidator(_uuid_text)]
Minutes = Annotated[Annotated[float, Field(ge=0, le=CENTURY_MINUTES)] | None, BeforeValidator(_minutes)]
Offset = Annotated[int, Field(ge=0, le=LAST)]
Limit = Annotated[int, Field(ge=1, le=1000, strict=True)]
Metadata = dict[str, Any]
Switch = Annotated[bool, Field(strict=True)]
Config = Annotated[Metadata, AfterValidator(_config)]
Filter = Annotated[Metadata, Field(max_length=MOST_CONDITIONS), AfterValidator(_bounded)]
