"""Placeholders in triggers.toml: {event}, {event.id}, …; {events}, {batch.id}, … of a batch; {thread_id}."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_DEEPEST = 50  # far from what the interpreter's stack holds, wherever the template is rendered from
NAMES = ("event", "event.id", "event.path", "event.kind", "event.at", "thread_id")
BATCH_NAMES = ("events", "batch.id", "batch.count", "thread_id")
_WHOLE = {"{event}": "event", "{events}": "events"}  # stand alone in a string, for an object or a list


def values(event: Mapping[str, str]) -> dict[str, Any]:
    """What each placeholder stands for."""
    found: dict[str, Any] = {f"event.{key}": value for key, value in event.items()}
    found["event"] = dict(event)
    found["thread_id"] = _thread_id(event["id"])
    return found


def batch_values(batch_id: str, events: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """What each placeholder of a batch stands for."""
    return {
        "events": [dict(event) for event in events],
        "batch.id": batch_id,
        "batch.count": len(events),
        "thread_id": _thread_id(batch_id),
    }


def _thread_id(of: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, of))


def render(template: object, known: Mapping[str, Any]) -> object:
    """The template with its placeholders filled; a string that is `{event}` or `{events}` alone becomes the whole."""
    if isinstance(template, str):
        if template in _WHOLE:
            return known[_WHOLE[template]]
        return _PLACEHOLDER.sub(lambda match: str(known[match[1]]), template)
    if isinstance(template, dict):
        return {key: render(value, known) for key, value in template.items()}
    if isinstance(template, list):
        return [render(value, known) for value in template]
    return template


def render_path(path: str, known: Mapping[str, Any]) -> str:
    """The URL path with its placeholders filled and quoted."""
    return _PLACEHOLDER.sub(lambda match: quote(str(known[match[1]]), safe=""), path)


def unknown(template: object, names: Sequence[str]) -> Iterator[str]:
    """Every placeholder that is none of `names`, and the first of them, the whole, inside a longer text."""
    if isinstance(template, str) and template != f"{{{names[0]}}}":
        yield from (name for name in _PLACEHOLDER.findall(template) if name not in names[1:])
    elif isinstance(template, dict):
        for value in template.values():
            yield from unknown(value, names)
    elif isinstance(template, list):
        for value in template:
            yield from unknown(value, names)


def unsayable(template: object) -> str:
    """Why JSON has no words for the template: a date, a time, inf, nan, nesting without end; empty when it has."""
    if _deeper(template, _DEEPEST):
        return f"nested more than {_DEEPEST} deep"
    try:
        json.dumps(template, allow_nan=False)
    except (ValueError, TypeError) as error:
        return f"{error}: write it as a text"
    return ""


def _deeper(template: object, most: int) -> bool:
    inner = template.values() if isinstance(template, dict) else template if isinstance(template, list) else ()
    return most < 0 or any(_deeper(value, most - 1) for value in inner)
