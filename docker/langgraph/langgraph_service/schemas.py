"""The bodies that requests carry. Unknown keys are ignored, as the official server does."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field
from typing_extensions import TypedDict

from langgraph_service.fields import (
    CENTURY_MINUTES,
    MOST_IDS,
    YEAR_SECONDS,
    AssistantField,
    AssistantSort,
    Config,
    Filter,
    Identifier,
    Limit,
    Metadata,
    Minutes,
    Offset,
    Order,
    Strategy,
    StreamMode,
    Switch,
    ThreadField,
    ThreadSort,
    ThreadStatus,
    listed,
    named,
    paths,
)


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

    limit: Limit = 10
    offset: Offset = 0
    sort_by: ThreadSort | None = None
    sort_order: Order | None = None
    select: list[ThreadField] | None = None
    extract: Annotated[dict[str, str], Field(max_length=10), AfterValidator(paths)] | None = None


class Prune(BaseModel):
    """POST /threads/prune"""

    thread_ids: list[Identifier]
    strategy: Literal["delete", "keep_latest"] = "delete"


class StateUpdate(BaseModel):
    """POST /threads/{id}/state"""

    values: Metadata | list[Any] | None = None
    as_node: str | None = None
    checkpoint: CheckpointName | None = None
    checkpoint_id: str | None = None


class StateAt(BaseModel):
    """POST /threads/{id}/state/checkpoint"""

    checkpoint: CheckpointName
    subgraphs: bool = False


class History(BaseModel):
    """POST /threads/{id}/history"""

    limit: Limit = 1
    before: Annotated[str | CheckpointName | None, BeforeValidator(named)] = None
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
    config: Config = Field(default_factory=dict)
    context: Metadata | None = None
    metadata: Metadata = Field(default_factory=dict)
    stream_mode: Annotated[list[StreamMode], BeforeValidator(listed)] = ["values"]
    stream_subgraphs: Switch = False
    stream_resumable: Switch = False
    interrupt_before: Literal["*"] | list[str] | None = None
    interrupt_after: Literal["*"] | list[str] | None = None
    checkpoint: CheckpointName | None = None
    checkpoint_id: Identifier | None = None
    checkpoint_during: Switch | None = None  # the older name of durability: async, or exit
    multitask_strategy: Strategy = "enqueue"
    if_not_exists: Literal["create", "reject"] = "reject"
    on_disconnect: Literal["cancel", "continue"] = "continue"
    on_completion: Literal["delete", "keep"] = "delete"
    after_seconds: float = Field(default=0, ge=0, le=YEAR_SECONDS, strict=True)
    durability: Literal["sync", "async", "exit"] | None = None
    webhook: None = None
    feedback_keys: None = None  # they need LangSmith
    langsmith_tracer: Metadata | None = None  # there is no tracing, whatever it is called


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
    limit: Limit = 10
    offset: Offset = 0
    sort_by: AssistantSort | None = None
    sort_order: Order | None = None
    select: list[AssistantField] | None = None


class Item(BaseModel):
    """PUT /store/items"""

    namespace: list[str]
    key: str
    value: Metadata
    index: Literal[False] | list[str] | None = None
    ttl: Annotated[float, Field(ge=-CENTURY_MINUTES, le=CENTURY_MINUTES)] | None = None  # minutes


class ItemKey(BaseModel):
    """DELETE /store/items"""

    namespace: list[str] = Field(default_factory=list)
    key: str


class ItemSearch(BaseModel):
    """POST /store/items/search"""

    namespace_prefix: list[str] = Field(default_factory=list)
    filter: Filter | None = None
    query: str | None = None
    limit: Limit = 10
    offset: Offset = 0
    refresh_ttl: bool | None = None


class Namespaces(BaseModel):
    """POST /store/namespaces"""

    prefix: list[str] | None = None
    suffix: list[str] | None = None
    max_depth: int | None = Field(default=None, ge=1, le=1000)
    limit: Limit = 100
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
