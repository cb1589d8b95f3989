"""The bodies that requests carry. Unknown keys are ignored, as the official server does."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field
from typing_extensions import TypedDict

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


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _uuid_text(value: Any) -> Any:
    try:
        return str(UUID(value)) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError("must be a UUID") from error


def _minutes(value: Any) -> Any:
    return value.get("ttl") if isinstance(value, dict) else value


def _leaves(value: Any) -> int:
    return sum(map(_leaves, value.values())) if isinstance(value, dict) and value else 1


def _bounded(wanted: dict[str, Any]) -> dict[str, Any]:
    if wanted and _leaves(wanted) > MOST_CONDITIONS:
        raise ValueError(f"asks for more than {MOST_CONDITIONS} values")
    return wanted


Identifier = Annotated[str, BeforeValidator(_uuid_text)]
Minutes = Annotated[Annotated[float, Field(ge=0, le=CENTURY_MINUTES)] | None, BeforeValidator(_minutes)]
Offset = Annotated[int, Field(ge=0, le=LAST)]
Metadata = dict[str, Any]
Filter = Annotated[Metadata, Field(max_length=MOST_CONDITIONS), AfterValidator(_bounded)]


class CheckpointName(TypedDict, total=False):
    """What names a checkpoint; other keys are ignored."""

    thread_id: str | None
    checkpoint_ns: str | None
    checkpoint_id: str | None
    checkpoint_map: dict[str, str] | None


class Update(BaseModel):
    """One write of a superstep."""

    values: Any = None
    as_node: str | None = None


class Superstep(BaseModel):
    """Writes that happen together."""

    updates: list[Update]


class ThreadCreate(BaseModel):
    """POST /threads"""

    thread_id: Identifier | None = None
    metadata: Metadata = Field(default_factory=dict)
    if_exists: Literal["raise", "do_nothing"] = "raise"
    supersteps: list[Superstep] | None = None
    ttl: Minutes = None


class ThreadPatch(BaseModel):
    """PATCH /threads/{id}"""

    metadata: Metadata = Field(default_factory=dict)
    ttl: Minutes = None


class ThreadFilter(BaseModel):
    """POST /threads/count"""

    metadata: Filter | None = None
    values: Filter | None = None
    status: ThreadStatus | None = None
    ids: list[str] | None = Field(default=None, max_length=MOST_IDS)


class ThreadSearch(ThreadFilter):
    """POST /threads/search"""

    limit: int = Field(default=10, ge=1, le=1000)
    offset: Offset = 0
    sort_by: str | None = None
    sort_order: Literal["asc", "desc"] | None = None
    select: list[ThreadField] | None = None
    extract: dict[str, str] | None = Field(default=None, max_length=10)


class Prune(BaseModel):
    """POST /threads/prune"""

    thread_ids: list[Identifier]
    strategy: Literal["delete", "keep_latest"] = "delete"


class StateUpdate(BaseModel):
    """POST /threads/{id}/state"""

    values: Any = None
    as_node: str | None = None
    checkpoint: CheckpointName | None = None
    checkpoint_id: str | None = None


class StateAt(BaseModel):
    """POST /threads/{id}/state/checkpoint"""

    checkpoint: CheckpointName
    subgraphs: bool = False


class History(BaseModel):
    """POST /threads/{id}/history"""

    limit: int = Field(default=10, ge=1, le=1000)
    before: str | CheckpointName | None = None
    metadata: Filter | None = None
    checkpoint: CheckpointName | None = None


class CommandBody(BaseModel):
    """Resume an interrupt, write to the state, or go to a node."""

    resume: Any = None
    update: dict[str, Any] | list[tuple[str, Any]] | None = None
    goto: str | dict[str, Any] | list[str | dict[str, Any]] | None = None


class RunCreate(BaseModel):
    """POST …/runs, …/runs/wait and …/runs/stream"""

    assistant_id: str
    input: Any = None
    command: CommandBody | None = None
    config: Metadata = Field(default_factory=dict)
    context: Metadata | None = None
    metadata: Metadata = Field(default_factory=dict)
    stream_mode: Annotated[list[StreamMode], BeforeValidator(_listed)] = ["values"]
    stream_subgraphs: bool = False
    stream_resumable: bool = False
    interrupt_before: Literal["*"] | list[str] | None = None
    interrupt_after: Literal["*"] | list[str] | None = None
    checkpoint: CheckpointName | None = None
    checkpoint_id: str | None = None
    multitask_strategy: Strategy = "enqueue"
    if_not_exists: Literal["create", "reject"] = "reject"
    on_disconnect: Literal["cancel", "continue"] = "continue"
    on_completion: Literal["delete", "keep"] = "delete"
    after_seconds: float = Field(default=0, ge=0, le=YEAR_SECONDS)
    durability: Literal["sync", "async", "exit"] = "async"
    webhook: None = None


class RunsCancel(BaseModel):
    """POST /runs/cancel"""

    thread_id: Identifier | None = None
    run_ids: list[Identifier] | None = None
    status: Literal["pending", "running", "all"] | None = None


class Assistants(BaseModel):
    """POST /assistants/search and /assistants/count"""

    graph_id: str | None = None
    name: str | None = None
    metadata: Metadata | None = None
    limit: int = Field(default=10, ge=1, le=1000)
    offset: Offset = 0
    select: list[AssistantField] | None = None


class Item(BaseModel):
    """PUT /store/items"""

    namespace: list[str]
    key: str
    value: Metadata
    index: Literal[False] | list[str] | None = None
    ttl: float | None = None


class ItemKey(BaseModel):
    """DELETE /store/items"""

    namespace: list[str] = Field(default_factory=list)
    key: str


class ItemSearch(BaseModel):
    """POST /store/items/search"""

    namespace_prefix: list[str] = Field(default_factory=list)
    filter: Filter | None = None
    query: str | None = None
    limit: int = Field(default=10, ge=1, le=1000)
    offset: Offset = 0


class Namespaces(BaseModel):
    """POST /store/namespaces"""

    prefix: list[str] | None = None
    suffix: list[str] | None = None
    max_depth: int | None = Field(default=None, ge=1, le=1000)
    limit: int = Field(default=100, ge=1, le=1000)
    offset: Offset = 0


class ProtocolCommand(BaseModel):
    """POST /threads/{id}/commands"""

    id: int | str
    method: str
    params: Metadata = Field(default_factory=dict)


class Respond(BaseModel):
    """The parameters of the command input.respond"""

    interrupt_id: str
    response: Any = None


class Subscribe(BaseModel):
    """POST /threads/{id}/stream/events"""

    channels: list[str] = Field(min_length=1)
    namespaces: list[list[str]] | None = None
    depth: int | None = Field(default=None, ge=0, le=1000)
    since: Offset = 0
