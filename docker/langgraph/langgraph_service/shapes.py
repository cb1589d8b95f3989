"""The shapes of answers, for the OpenAPI document alone: routes make their answers themselves, and fast."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from langgraph_service.fields import Metadata, Strategy, ThreadStatus

RunStatus = Literal["pending", "running", "success", "error", "timeout", "interrupted"]


class Refusal(BaseModel):
    """Why a request is refused."""

    detail: str


class Interrupt(BaseModel):
    """A question that waits for its answer."""

    value: Any
    id: str


class Checkpoint(BaseModel):
    """What names a checkpoint."""

    thread_id: str | None = None
    checkpoint_ns: str
    checkpoint_id: str | None = None


class Assistant(BaseModel):
    """A graph that can be run."""

    assistant_id: str
    graph_id: str
    name: str
    description: str | None
    config: Metadata
    context: Metadata
    metadata: Metadata
    version: int
    created_at: str
    updated_at: str


class Schemas(BaseModel):
    """The JSON schemas of a graph; null for what has none."""

    graph_id: str
    input_schema: Metadata | None
    output_schema: Metadata | None
    state_schema: Metadata | None
    config_schema: Metadata | None
    context_schema: Metadata | None


class Drawing(BaseModel):
    """A graph's nodes and edges."""

    nodes: list[Metadata]
    edges: list[Metadata]


class Thread(BaseModel):
    """A thread, and the state that its last run left."""

    thread_id: str
    created_at: str
    updated_at: str
    state_updated_at: str
    status: ThreadStatus
    metadata: Metadata
    config: Metadata
    values: Any
    interrupts: dict[str, list[Interrupt]]
    error: Any


class Pruned(BaseModel):
    """How many threads were pruned."""

    pruned_count: int


class Task(BaseModel):
    """A step that is next, or was taken from a checkpoint."""

    id: str
    name: str
    path: list[Any]
    error: str | None
    interrupts: list[Interrupt]
    checkpoint: Checkpoint | None
    state: Any
    result: Any


class ThreadState(BaseModel):
    """A thread's state at one checkpoint; of an empty thread `values` is empty and `checkpoint` null."""

    values: Any
    next: list[str]
    tasks: list[Task]
    interrupts: list[Interrupt]
    metadata: Metadata | None
    created_at: str | None
    checkpoint: Checkpoint | None
    checkpoint_id: str | None
    parent_checkpoint: Checkpoint | None
    parent_checkpoint_id: str | None


class Written(BaseModel):
    """The checkpoint that a write made."""

    checkpoint: Checkpoint
    configurable: Checkpoint
    checkpoint_id: str | None


class Run(BaseModel):
    """A run, as it was asked for and as it stands."""

    run_id: str
    thread_id: str
    assistant_id: str
    metadata: Metadata
    status: RunStatus
    kwargs: Metadata
    multitask_strategy: Strategy
    created_at: str
    updated_at: str


class Stored(BaseModel):
    """An item of the store."""

    namespace: list[str]
    key: str
    value: Metadata
    created_at: str
    updated_at: str


class Found(BaseModel):
    """A page of items."""

    items: list[Stored]


class Namespaces(BaseModel):
    """The namespaces that hold items."""

    namespaces: list[list[str]]
