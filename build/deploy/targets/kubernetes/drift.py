"""What differs in a cluster from what was applied: values that were changed, and fields that others have added."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from build.deploy.targets.kubernetes.kubectl import MANAGER

Object = dict[str, Any]
# By the cluster itself, and changed by each write.
_OF_THE_CLUSTER = {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"}
# `kubectl rollout restart` leaves it; it changes nothing but the time of a start.
_RESTARTED = "f:kubectl.kubernetes.io/restartedAt"


def differences(live: Mapping[str, Any], applied: Mapping[str, Any]) -> list[str]:
    """What applying the expected object would change, in words: what is there, and what was expected."""
    parts: list[str] = []
    name = f"{live['metadata']['name']} "  # of the container in its pod, too: it is the only one
    for key in ("metadata", "spec", "data"):
        before, after = ({name: value for name, value in side.get(key, {}).items() if name not in _OF_THE_CLUSTER}
                         for side in (live, applied))  # fmt: skip
        parts += _compared("" if key == "spec" else key, before, after)
    return [part.removeprefix(name) for part in parts]


def _compared(path: str, live: Any, applied: Any) -> Iterator[str]:
    if live == applied:
        return
    if isinstance(live, list) and isinstance(applied, list) and _named(live) and _named(applied):
        live, applied = ({item["name"]: item for item in side} for side in (live, applied))
    if isinstance(live, dict) and isinstance(applied, dict):
        for key in dict.fromkeys((*applied, *live)):
            yield from _compared(f"{path} {_word(key)}".strip(), live.get(key), applied.get(key))
        return
    path = path.removesuffix(" value")
    if applied is None:
        yield f"{path}: {_shown(live)} was added"
    elif live is None:
        yield f"{path}: was removed, expected {_shown(applied)}"
    else:
        yield f"{path}: {_shown(live)}, expected {_shown(applied)}"


def _named(items: list[Any]) -> bool:
    return bool(items) and all(isinstance(item, dict) and "name" in item for item in items)


def _word(key: str) -> str:
    """A step of a path; "" for those that every path has."""
    return "" if key in {"template", "spec", "containers"} else key


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def added(live: Mapping[str, Any], applied: Mapping[str, Any]) -> list[str]:
    """The fields of a workload's spec that others have added: applying would leave them as they are, in words."""
    own = _own_fields(applied).get("f:spec", {})
    name = f"{live['metadata']['name']} "
    return [
        f"{_path(path).removeprefix(name)}: was added by {entry['manager']}"
        for entry in foreign(live)
        for path in _leaves(entry["fieldsV1"]["f:spec"])
        if not _has(own, path)
    ]


def adopted(live: Mapping[str, Any]) -> list[Object]:
    """The managed fields with `uc` as the manager of all that others have written: the next apply removes the rest."""
    others = foreign(live)
    entries = [dict(entry) for entry in live["metadata"]["managedFields"] if entry not in others]
    fields = _own_fields(live)
    for entry in others:
        fields = _union(fields, {"f:spec": entry["fieldsV1"]["f:spec"]})
    for entry in entries:
        if _is_own(entry):
            entry["fieldsV1"] = fields
            return entries
    first = others[0]
    return [*entries, {**first, "manager": MANAGER, "operation": "Apply", "fieldsV1": fields}]


def _own_fields(item: Mapping[str, Any]) -> Object:
    entries = item["metadata"].get("managedFields", [])
    return next((dict(entry["fieldsV1"]) for entry in entries if _is_own(entry)), {})


def _is_own(entry: Mapping[str, Any]) -> bool:
    return entry.get("manager") == MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource")


def foreign(live: Mapping[str, Any]) -> list[Object]:
    """What others have written to the spec; a subresource (scale, status) can only write what `uc` has, or no spec."""
    return [
        entry
        for entry in live["metadata"].get("managedFields", [])
        if entry.get("manager") != MANAGER and not entry.get("subresource") and "f:spec" in entry.get("fieldsV1", {})
    ]


def _leaves(fields: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, inner in fields.items():
        if key == ".":
            continue
        if inner and set(inner) != {"."}:
            yield from _leaves(inner, (*path, key))
        elif key != _RESTARTED:
            yield (*path, key)


def _has(fields: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    for key in path:
        if key not in fields:
            return False
        fields = fields[key]
    return True


def _path(path: tuple[str, ...]) -> str:
    words = []
    for key in path:
        kind, _, name = key.partition(":")
        if kind == "k":
            name = " ".join(str(value) for value in json.loads(name).values())
        if word := _word(name):
            words.append(word)
    return " ".join(words)


def _union(one: Mapping[str, Any], other: Mapping[str, Any]) -> Object:
    result = dict(one)
    for key, inner in other.items():
        result[key] = _union(result[key], inner) if key in result else inner
    return result
