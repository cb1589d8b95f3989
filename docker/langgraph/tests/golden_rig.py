"""What the golden tests share: one call's answer without its ids and times, and where two answers differ."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
from langgraph_sdk.client import LangGraphClient

GOLDEN = Path(__file__).with_name("golden")
NO_THREAD = "00000000-0000-4000-8000-000000000000"

Calls = Callable[[LangGraphClient], Awaitable[dict[str, Any]]]

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[0-9.]*(Z|\+00:00)")
_HASH = re.compile(r"[0-9a-f]{32}")
# Which product answered, where it runs and for whom: the official server's own, no part of the protocol.
_VENDOR = frozenset(
    {
        "__request_start_time_ms__",
        "kwargs",
        "langgraph_api_url",
        "langgraph_api_version",
        "langgraph_auth_user_id",
        "langgraph_host",
        "langgraph_plan",
        "langgraph_request_id",
        "langgraph_version",
        "langsmith_session_name",
        "user_id",
    }
)


def normalised(value: Any) -> Any:
    """The answer without what differs from one call to the next: ids and times."""
    if isinstance(value, dict):
        return {normalised(key): normalised(item) for key, item in value.items() if key not in _VENDOR}
    if isinstance(value, list | tuple):
        return [normalised(item) for item in value]
    if isinstance(value, str):
        return _HASH.sub("<id>", _UUID.sub("<id>", _TIME.sub("<time>", value)))
    return value


def public(names: set[str]) -> set[str]:
    """The keys that are part of the protocol."""
    return names - _VENDOR | ({"kwargs"} & names)


async def refused(call: Awaitable[Any]) -> dict[str, Any]:
    """What a refused call says: its status, or how the client refused."""
    try:
        answer = await call
    except httpx.HTTPStatusError as error:
        return {"status": error.response.status_code}
    except Exception as error:  # noqa: BLE001 - how a client refuses is the client's choice
        return {"status": getattr(error, "status_code", None), "text": str(error)[:80]}
    return {"answered": answer}


async def collect(stream: Any) -> list[list[Any]]:
    """The stream's events as [event, data]."""
    return [[part.event, part.data] async for part in stream]


async def sent(client: LangGraphClient, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """What the server answers to a request that the SDK would not make: the status, and the body of a 200."""
    try:
        answer = await client.http.client.request(method, path, json=body, timeout=60)
    except httpx.TransportError:
        # The official server closes the connection after an answer of 500, and the client finds that out only now.
        answer = await client.http.client.request(method, path, json=body, timeout=60)
    if answer.status_code != 200:
        return {"status": answer.status_code}
    kind = answer.headers.get("content-type", "").partition(";")[0]
    return {"status": 200, "answer": answer.json() if kind == "application/json" else events_of(answer.text)}


async def settled(client: LangGraphClient, thread: str) -> None:
    """Wait until a thread has no run, and its row says what the last one left."""
    for _ in range(100):
        if (await client.threads.get(thread))["status"] != "busy":
            break
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)


def events_of(text: str) -> list[list[Any]]:
    """Server-sent events as [event, data]."""
    blocks = [dict(line.partition(": ")[::2] for line in block.splitlines()) for block in text.split("\r\n\r\n")]
    return [[block["event"], json.loads(block.get("data", "null"))] for block in blocks if "event" in block]


def differences(golden: Any, ours: Any, place: str) -> Iterator[str]:
    """Where our answer lacks or contradicts what the official one says; more than it says is fine."""
    if isinstance(golden, dict) and isinstance(ours, dict):
        for key, value in golden.items():
            if key not in ours:
                yield f"{place}.{key}: missing"
            else:
                yield from differences(value, ours[key], f"{place}.{key}")
    elif isinstance(golden, list) and isinstance(ours, list) and len(golden) == len(ours):
        for index, (one, other) in enumerate(zip(golden, ours, strict=True)):
            yield from differences(one, other, f"{place}[{index}]")
    elif golden != ours or isinstance(golden, bool) != isinstance(ours, bool):
        yield f"{place}: {golden!r} there, {ours!r} here"


async def compared(
    client: LangGraphClient, topic: str, name: str, calls: Calls, agreed: Mapping[str, str]
) -> list[str]:
    """Where our answers differ from the recording, without the agreed differences (pattern of a place: its reason)."""
    golden = json.loads((GOLDEN / f"{topic}.json").read_text("utf-8"))[name]
    found = differences(golden, normalised(await calls(client)), name)
    return [place for place in found if not any(re.match(pattern, place) for pattern in agreed)]


async def record(client: LangGraphClient, topic: str, scenarios: Mapping[str, Calls]) -> None:
    """Write the answers of the client's server into golden/TOPIC.json."""
    answers = {name: normalised(await calls(client)) for name, calls in scenarios.items()}
    text = json.dumps(answers, indent=1, sort_keys=True)
    (GOLDEN / f"{topic}.json").write_text(f"{text}\n", "utf-8")
