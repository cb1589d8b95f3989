"""Server-side apply as an API server does it: who manages which field, conflicts, and what an apply removes.

The rules: https://kubernetes.io/docs/reference/using-api/server-side-apply/. Schemas are not read: which lists are keyed
and which maps are atomic stands here, for the kinds that the toolkit applies.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

Object = dict[str, Any]
Path = tuple[str, ...]

_KEYS = {
    "containers": ("name",), "env": ("name",), "volumes": ("name",), "volumeMounts": ("mountPath",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"), "imagePullSecrets": ("name",),
}  # fmt: skip
_ATOMIC = {"selector", "podSelector", "nodeSelector", "labelSelector"}
_NOBODYS = {
    ("f:apiVersion",), ("f:kind",), ("f:status",),
    *(("f:metadata", f"f:{name}") for name in ("name", "namespace", "uid", "resourceVersion", "generation",
                                               "creationTimestamp", "managedFields", "ownerReferences")),
}  # fmt: skip


class Conflict(Exception):
    """Others manage fields that an apply would change."""


def applied(live: Object | None, wanted: Object, manager: str, *, force: bool, now: str) -> Object:
    """The object once `manager` has applied `wanted`. Raises Conflict."""
    result = copy.deepcopy(live) if live else {}
    entries: list[Object] = result.get("metadata", {}).pop("managedFields", [])
    fields = _leaves(wanted)
    before = _leaves(live or {})
    own = next((entry for entry in entries if _is_apply(entry, manager)), None)
    others = [entry for entry in entries if entry is not own]
    for entry in others:
        theirs = _flat(entry["fieldsV1"])
        lost = {path for path in theirs & fields.keys() if before.get(path) != fields[path]}
        if lost and not force:
            raise Conflict(f'conflict with "{entry["manager"]}": {sorted(lost)[0]}')
        entry["fieldsV1"] = _nested(theirs - lost)
    for path, value in fields.items():
        _put(result, path, value)
    managed = set().union(*(_flat(entry["fieldsV1"]) for entry in others))
    # An item of a list goes as a whole: without its key nothing else of it would be found.
    for path in sorted(_flat(own["fieldsV1"]) if own else set(), key=lambda path: path[-1] != "."):
        if path not in fields and path not in managed:
            _remove(result, path)
    for key in ("apiVersion", "kind"):
        result[key] = wanted[key]
    for key in ("name", "namespace"):
        if key in wanted["metadata"]:
            result.setdefault("metadata", {})[key] = wanted["metadata"][key]
    nested = _nested(set(fields))
    time = own["time"] if own and own["fieldsV1"] == nested else now
    mine = {"manager": manager, "operation": "Apply", "apiVersion": wanted["apiVersion"], "time": time,
            "fieldsType": "FieldsV1", "fieldsV1": nested}  # fmt: skip
    result["metadata"]["managedFields"] = [mine, *(entry for entry in others if entry["fieldsV1"])]
    return result


def updated(live: Object, changed: Object, manager: str, *, now: str, subresource: str = "") -> Object:
    """The object once `manager` has written `changed` in its place: what differs is that manager's now."""
    result = copy.deepcopy(changed)
    if changed["metadata"].get("managedFields") != live["metadata"].get("managedFields"):
        return result
    before, after = _leaves(live), _leaves(changed)
    taken = {path for path, value in after.items() if path not in before or before[path] != value}
    gone = before.keys() - after.keys()
    entries = []
    for entry in result["metadata"].pop("managedFields", []):
        remaining = _flat(entry["fieldsV1"]) - taken - gone
        if (
            entry["manager"] == manager
            and entry["operation"] == "Update"
            and entry.get("subresource", "") == subresource
        ):
            taken |= remaining
        elif remaining:
            entries.append({**entry, "fieldsV1": _nested(remaining)})
    if taken:
        where = {"subresource": subresource} if subresource else {}
        entries.append({"manager": manager, "operation": "Update", "apiVersion": live["apiVersion"], "time": now,
                        "fieldsType": "FieldsV1", "fieldsV1": _nested(taken), **where})  # fmt: skip
    result["metadata"]["managedFields"] = entries
    return result


def strategic(live: Any, patch: Any, name: str = "") -> Any:
    """A strategic merge patch, as `kubectl set` sends it."""
    if isinstance(patch, list) and isinstance(live, list) and (keys := _keys(name, patch)):
        result = list(live)
        for item in patch:
            index = next((at for at, old in enumerate(result) if all(old.get(key) == item[key] for key in keys)), None)
            if item.get("$patch") == "delete":
                result = [old for at, old in enumerate(result) if at != index]
            elif index is None:
                result.append(item)
            else:
                result[index] = strategic(result[index], item)
        return result
    if not isinstance(patch, dict) or not isinstance(live, dict):
        return patch
    merged = dict(live)
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = strategic(merged.get(key), value, key)
    return merged


def _is_apply(entry: Mapping[str, Any], manager: str) -> bool:
    return bool(entry["manager"] == manager and entry["operation"] == "Apply")


def _keys(name: str, items: list[Any]) -> tuple[str, ...]:
    if name == "ports" and items and isinstance(items[0], dict):
        return ("containerPort", "protocol") if "containerPort" in items[0] else ("port", "protocol")
    return _KEYS.get(name, ())


def _leaves(item: Object) -> dict[Path, Any]:
    return {path: value for path, value in _walk(item, ()) if path not in _NOBODYS and path[:1] not in _NOBODYS
            and path[:2] not in _NOBODYS}  # fmt: skip


def _walk(value: Any, path: Path, name: str = "") -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value and name not in _ATOMIC:
        for key, inner in value.items():
            yield from _walk(inner, (*path, f"f:{key}"), key)
    elif isinstance(value, list) and value and (keys := _keys(name, value)):
        for item in value:
            inside = (*path, f"k:{json.dumps({key: item.get(key) for key in keys})}")
            yield (*inside, "."), None
            yield from _walk(item, inside)
    else:
        yield path, value


def _flat(fields: Mapping[str, Any], path: Path = ()) -> set[Path]:
    result: set[Path] = set()
    for key, inner in fields.items():
        result |= _flat(inner, (*path, key)) if inner else {(*path, key)}
    return result


def _nested(paths: set[Path]) -> Object:
    result: Object = {}
    for path in sorted(paths):
        place = result
        for key in path:
            place = place.setdefault(key, {})
    return result


def _step(place: Any, key: str, following: str) -> Any:
    """What is inside at a key, created where it is missing."""
    kind, _, name = key.partition(":")
    if kind == "f":
        if not isinstance(place.get(name), (dict, list)) or (following[0] == "k") != isinstance(place[name], list):
            place[name] = [] if following[0] == "k" else {}
        return place[name]
    wanted = json.loads(name)
    for item in place:
        if wanted.items() <= item.items():
            return item
    place.append(dict(wanted))
    return place[-1]


def _put(item: Object, path: Path, value: Any) -> None:
    place: Any = item
    for key, following in itertools.pairwise(path):
        place = _step(place, key, following)
    if path[-1] != ".":
        place[path[-1][2:]] = copy.deepcopy(value)


def _remove(item: Object, path: Path) -> None:
    """Remove a field, and the item of a list with its key; what is empty then goes, too."""
    places: list[tuple[Any, str]] = []
    place: Any = item
    for key in path if path[-1] != "." else path[:-1]:
        places.append((place, key))
        kind, _, name = key.partition(":")
        if kind == "f":
            place = place.get(name)
        else:
            place = next((one for one in place if json.loads(name).items() <= one.items()), None)
        if place is None:
            return
    for place, key in reversed(places):
        kind, _, name = key.partition(":")
        if kind == "f":
            del place[name]
        else:
            place.remove(next(one for one in place if json.loads(name).items() <= one.items()))
        if place:
            return
