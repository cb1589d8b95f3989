"""Puts a value of the kind that its input names into its state: what JSON has no word for, or no room for."""

import dataclasses
import datetime
import decimal
import enum
import ipaddress
import math
import pathlib
import re
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel
from typing_extensions import TypedDict


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Mood(enum.StrEnum):
    CALM = "calm"


@dataclasses.dataclass
class Point:
    x: int
    y: Any = None


class Pair(NamedTuple):
    left: int
    right: str


class Model(BaseModel):
    name: str
    at: datetime.datetime = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


MAKERS: dict[str, Callable[[], Any]] = {
    "int64": lambda: 2**63 - 1,
    "uint64": lambda: 2**64 - 1,
    "int53": lambda: 2**53 + 1,
    "int65": lambda: 2**64,
    "int_negative": lambda: -(2**63) - 1,
    "int65_inside": lambda: {"deep": [1, {"n": 2**70}]},
    "int65_key": lambda: {2**70: 1},
    "float": lambda: 1e300,
    "nan": lambda: math.nan,
    "infinity": lambda: [math.inf, -math.inf],
    "bytes": lambda: b"plain",
    "bytes_binary": lambda: b"\xff\x00\xfe",
    "bytearray": lambda: bytearray(b"plain"),
    "decimal": lambda: decimal.Decimal("1.10"),
    "decimal_whole": lambda: decimal.Decimal("7"),
    "decimal_big": lambda: decimal.Decimal("123456789012345678901234567890.5"),
    "dataclass": lambda: Point(1, Point(2)),
    "enum": lambda: Colour.RED,
    "enum_int": lambda: Level.HIGH,
    "enum_str": lambda: Mood.CALM,
    "enum_key": lambda: {Colour.RED: 1},
    "set": lambda: {"only"},
    "tuple": lambda: (1, "two"),
    "namedtuple": lambda: Pair(1, "r"),
    "datetime": lambda: datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
    "datetime_naive": lambda: datetime.datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001 - such values exist
    "date": lambda: datetime.date(2026, 1, 2),
    "timedelta": lambda: datetime.timedelta(seconds=90),
    "uuid": lambda: uuid.UUID(int=5),
    "path": lambda: pathlib.PurePosixPath("/a/b"),
    "pattern": lambda: re.compile("a+"),
    "address": lambda: ipaddress.ip_address("10.0.0.1"),
    "complex": lambda: 1 + 2j,
    "model": lambda: Model(name="m"),
    "exception": lambda: ValueError("a value"),
    "int_keys": lambda: {1: "a", None: "b", False: "c"},
    "tuple_keys": lambda: {(1, 2): "a"},
    "object": lambda: object,
    "surrogate": lambda: "cut \ud83d",
    "nul": lambda: "a\x00b",
}


class Odd(TypedDict, total=False):
    kind: str
    value: Any


async def produce(state: Odd) -> dict[str, Any]:
    value = MAKERS[state["kind"]]()
    get_stream_writer()(value)
    return {"value": value}


def build() -> StateGraph[Odd, None, Odd, Odd]:
    graph = StateGraph(Odd)
    graph.add_node("produce", produce)
    graph.add_edge(START, "produce")
    graph.add_edge("produce", END)
    return graph
