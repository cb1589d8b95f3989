"""The JSON Schema of what tasks print with --json, from the types of their results."""

from __future__ import annotations

import dataclasses
import inspect
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from semver import Version

from build import errors
from build.program import outcome
from build.program.results import RESULTS

FILE = "schema/output.schema.json"
Schema = dict[str, Any]
_SCALARS: dict[Any, Schema] = {
    str: {"type": "string"}, int: {"type": "integer"}, bool: {"type": "boolean"}, float: {"type": "number"},
    Path: {"type": "string"}, Version: {"type": "string"}, type(None): {"type": "null"}, Any: {},
}  # fmt: skip


class _Writer:
    """Writes schemas of types; each class is a definition, under its name."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}
        self._kinds: dict[str, type] = {}

    def of(self, hint: Any) -> Schema:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if hint in _SCALARS:
            return dict(_SCALARS[hint])
        if origin in {typing.Union, types.UnionType}:
            return {"anyOf": [self.of(argument) for argument in arguments]}
        if origin is typing.Literal:
            return {"enum": list(arguments)}
        if origin in {list, tuple}:
            return {"type": "array", "items": self.of(arguments[0])}
        if origin is not None and issubclass(origin, Mapping):
            return {"type": "object", "additionalProperties": self.of(arguments[1])}
        return self._reference(hint)

    def _reference(self, kind: type) -> Schema:
        name = kind.__name__
        if self._kinds.setdefault(name, kind) is not kind:
            raise TypeError(f"two types of results are called {name}: {self._kinds[name]} and {kind}")
        if name not in self.definitions:
            self.definitions[name] = {}  # a type may hold others of its own
            hints = typing.get_type_hints(kind)
            names = (
                [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else list(hints)
            )
            self.definitions[name] = {
                "type": "object",
                "description": inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].replace("\n", " "),
                "properties": {key: self.of(hints[key]) for key in names},
                "required": names,
                "additionalProperties": False,
            }
        return {"$ref": f"#/definitions/{name}"}


def document() -> Schema:
    """The schema of a task's document: by its task, what its result may be."""
    writer = _Writer()
    by_task = [
        {
            "if": {"properties": {"task": {"const": task}}},
            "then": {"properties": {"result": {"anyOf": [{"type": "null"}, *map(writer.of, kinds)]}}},
        }
        for task, kinds in RESULTS.items()
    ]
    failures = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.BuildError)
    ]
    text = {"type": "string"}
    error = {
        "type": "object",
        "properties": {
            "kind": {"enum": sorted({outcome.kind(kind) for kind in (*failures, outcome.Interrupted)})},
            "message": text, "hint": text, "output": text,
        },
        "required": ["kind", "message", "hint", "output"],
        "additionalProperties": False,
    }  # fmt: skip
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "What a task prints with --json",
        "type": "object",
        "properties": {
            "task": {"type": "string"},
            "ok": {"type": "boolean"},
            "exit_code": {"type": "integer"},
            "result": {},
            "error": {"anyOf": [{"type": "null"}, error]},
            "warnings": {"type": "array", "items": text},
        },
        "required": ["task", "ok", "exit_code", "result", "error", "warnings"],
        "additionalProperties": False,
        "allOf": by_task,
        "definitions": dict(sorted(writer.definitions.items())),
    }


def text() -> str:
    """The text of the schema's file."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"
