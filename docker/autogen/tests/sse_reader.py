"""Reads Server-Sent Events as the standard says, from a real HTTP response."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Seen:
    """One event as a client sees it."""

    id: int | None
    event: str
    data: dict[str, Any]


def read(response: httpx.Response) -> Iterator[Seen]:
    """Each event of the stream, until the server ends it."""
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif fields:
            number = int(fields["id"]) if "id" in fields else None
            yield Seen(number, fields.get("event", "message"), json.loads(fields["data"]))
            fields = {}


def all_events(client: httpx.Client, session_id: str, **headers: str) -> list[Seen]:
    """The whole stream of a session."""
    with client.stream("GET", f"/groupchat/{session_id}/events", headers=headers) as response:
        assert response.status_code in (200, 204), response.read()
        return list(read(response))
