"""Placeholders in triggers.toml: {event}, {event.id}, {event.path}, {event.kind}, {event.at}, {thread_id}."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_DEEPEST = 50  # far from what the interpreter's stack holds, wherever the template is rendered from
NAMES = ("event", "event.id", "event.path", "event.kind", "event.at", "thread_id")


def values(event: Mapping[str, str]) -> dict[str, Any]:
    """What each placeholder stands for."""
    found: dict[str, Any] = {f"event.{key}": value for key, value in event.items()}
    found["event"] = dict(event)
    found["thread_id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, event["id"]))
    return found


def render(template: object, known: Mapping[str, Any]) -> object:
    """The template with its placeholders filled; a string that is `{event}` alone becomes the whole object."""
    if isinstance(template, str):
        if template == "{event}":
            return known["event"]
        return _PLACEHOLDER.sub(lambda match: str(known[match[1]]), template)
    if isinstance(template, dict):
        return {key: render(value, known) for key, value in template.items()}
    if isinstance(template, list):
        return [render(value, known) for value in template]
    return template


def render_path(path: str, known: Mapping[str, Any]) -> str:
    """The URL path with its placeholders filled and quoted."""
    return _PLACEHOLDER.sub(lambda match: quote(str(known[match[1]]), safe=""), path)


def unknown(template: object) -> Iterator[str]:
    """Every placeholder that stands for nothing, {event} inside a longer text included."""
    if isinstance(template, str) and template != "{event}":
        yield from (name for name in _PLACEHOLDER.findall(template) if name not in NAMES or name == "event")
    elif isinstance(template, dict):
        for value in template.values():
            yield from unknown(value)
    elif isinstance(template, list):
        for value in template:
            yield from unknown(value)


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
