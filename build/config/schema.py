"""The JSON Schemas of versions.toml and versions.local.toml, from the types, their rules and the documentation.

An editor that knows TOML (Taplo, Even Better TOML) finds them by the first line of a file: `#:schema PATH`.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from build import console
from build.config import manifest, reference, rules
from build.config.load import FILE, LOCAL
from build.config.renamed import RENAMED, Renamed
from build.errors import ManifestError

Schema = dict[str, Any]
_TYPES = {str: "string", int: "integer", bool: "boolean"}
FILES = {FILE: "schema/versions.schema.json", LOCAL: "schema/versions.local.schema.json"}


@dataclasses.dataclass(frozen=True, slots=True)
class _Writer:
    """What the schema of a value depends on; `partial`: of a file that only overrides, where nothing is required."""

    descriptions: Mapping[type, Mapping[str, str]]
    partial: bool = False

    def of(self, hint: Any, path: tuple[str, ...]) -> Schema:
        """The schema of a value of the type `hint`, whose names are `*` in the path."""
        found: list[rules.Rule] = []
        if typing.get_origin(hint) is Annotated:
            hint, *found = typing.get_args(hint)
        schema = self._of_type(hint, path)
        for rule in found:
            schema |= rule.keywords
        return schema

    def _of_type(self, hint: Any, path: tuple[str, ...]) -> Schema:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin in {typing.Union, types.UnionType}:  # with None, which TOML can't write
            return self.of(arguments[0], path)
        if origin is typing.Literal:
            return {"type": "string", "enum": list(arguments)}
        if origin is tuple:
            # A list is replaced as a whole: what its items require, they require in a file of overrides too.
            return {"type": "array", "items": dataclasses.replace(self, partial=False).of(arguments[0], path)}
        if origin is dict:
            names = self.of(arguments[0], path)
            del names["type"]
            schema = {"type": "object", "additionalProperties": self.of(arguments[1], (*path, "*"))}
            if names:
                schema["propertyNames"] = names
            return _with_old_names(schema, path, required=())
        if dataclasses.is_dataclass(hint):
            return self._table(typing.cast("type", hint), path)
        return {} if hint is Any else {"type": _TYPES[hint]}

    def _table(self, kind: type, path: tuple[str, ...]) -> Schema:
        keys = manifest.keys(kind)
        required = [] if self.partial else [name for name, key in keys.items() if _default(key) is None]
        properties = {}
        for name, key in keys.items():
            schema = self.of(rules.hints(kind)[name], (*path, name))
            default = _default(key)
            properties[name] = {"description": self.descriptions[kind][name]} | schema
            if default is None or dataclasses.is_dataclass(default):
                continue
            if key.default is not None or schema.get("type") != "boolean":  # a switch that may be neither
                properties[name]["default"] = default
        table: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
        if required:
            table["required"] = required
        return _with_old_names(table, path, required=required)


def _default(key: dataclasses.Field[Any]) -> Any:
    """The default of a key; None if it is required. A key without a default that is no key at all has ""."""
    if key.default_factory is not dataclasses.MISSING:
        return key.default_factory()
    if key.default is dataclasses.MISSING:
        return None
    return "" if key.default is None else key.default


def _with_old_names(table: Schema, path: tuple[str, ...], *, required: typing.Collection[str]) -> Schema:
    """The schema of a table that also takes the old name of a renamed key, instead of the new one."""
    for row in RENAMED:
        if row.up and row.holder == path:
            table.setdefault("allOf", []).append({"not": _both(row)})
        if row.table != path:
            continue
        properties = table.setdefault("properties", {})
        if row.up:
            properties[row.old] = table["additionalProperties"] | {"description": _renamed(row), "deprecated": True}
            continue
        current = properties.get(row.name) or table["additionalProperties"]
        properties[row.old] = current | {"description": _renamed(row), "deprecated": True}
        properties[row.old].pop("default", None)
        rest = [name for name in required if name != row.name]
        table.pop("required", None)
        if rest:
            table["required"] = rest
        both: Schema = {"not": {"required": [row.old, row.name]}}
        either: Schema = {"oneOf": [{"required": [row.name]}, {"required": [row.old]}]}
        table.setdefault("allOf", []).append(either if row.name in required else both)
    return table


def _both(row: Renamed) -> Schema:
    """The schema of a table that has the new name, and in a table of its own the old one."""
    schema: Schema = {"required": [row.old]}
    for part in reversed(row.table[len(row.holder) :]):
        schema = {"required": [part], "properties": {part: schema}}
    return schema | {"required": [*schema["required"], row.name]}


def _renamed(row: Renamed) -> str:
    return f"The old name of {row.name}, read until {row.until}."


def document(root: Path, *, partial: bool = False) -> Schema:
    """The schema of versions.toml; with `partial`, that of versions.local.toml, where no key is required.

    Raises ManifestError if the documentation of the project at `root` has no description of a key.
    """
    writer = _Writer(reference.descriptions(root), partial)
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": LOCAL if partial else FILE}
    return head | writer.of(manifest.Manifest, ())


def text(root: Path, name: str) -> str:
    """The text of the schema of versions.toml or versions.local.toml. Raises ManifestError as `document` does."""
    return json.dumps(document(root, partial=name == LOCAL), indent=2, ensure_ascii=False) + "\n"


def write(root: Path, *, check: bool, others: Mapping[str, str] | None = None) -> None:
    """Write both schemas of the project at `root`, and others (path → text); with `check`, write nothing.

    Raises ManifestError with `check` when one is stale, and when a key has no description.
    """
    current = {path: text(root, name) for name, path in FILES.items()} | dict(others or {})
    stale = [path for path, content in current.items() if _content(root / path) != content]
    if check and stale:
        raise ManifestError(f"not what the types and {reference.PAGE} say: {', '.join(stale)}", hint="./inv schema")
    for path in stale:
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(current[path], encoding="utf-8", newline="\n")
    names = ", ".join(stale or current)
    console.outcome(f"wrote {names}" if stale else f"current: {names}", {"written": stale})


def _content(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
