"""Converts TOML tables into frozen dataclasses; every error starts with the path and says what was expected.

Why not a validation library: importing one takes longer than a cached build may, and the messages are the point.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from build.errors import ManifestError

T = TypeVar("T")
# Metadata of a field that is left out of a document where it is empty: earlier documents of that type lack it.
LATER = {"later": True}
_NAMES = {str: "a string", int: "an integer", bool: "true or false", float: "a number"}


def suggest(name: str, known: typing.Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the most similar known name, "" if none is similar."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


@cache
def _hints(cls: typing.Hashable) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def from_table(cls: type[T], table: Any, path: str, *, source: str) -> T:
    """Return the dataclass `cls` built from the TOML table at `path` of the file `source`.

    Raises ManifestError for a value of the wrong type, an unknown key, or a missing key without a default.
    """
    if not isinstance(table, Mapping):
        raise _wrong(source, path, "a table", table)
    hints = _hints(typing.cast("typing.Hashable", cls))
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            message = f"{source}: {_join(path, key)}: unknown key{suggest(key, fields)}"
            raise ManifestError(message, hint=f"keys here: {', '.join(sorted(fields))}")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            values[name] = _convert(hints[name], table[name], _join(path, name), source)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ManifestError(f"{source}: {_join(path, name)}: missing", hint=f"add {name} = … to [{path}]")
    return cls(**values)


def as_table(value: Any) -> Any:
    """What `from_table` reads: a dataclass and all in it as tables and lists, without empty fields that are LATER."""
    if dataclasses.is_dataclass(value):
        fields = [(field, getattr(value, field.name)) for field in dataclasses.fields(value)]
        return {field.name: as_table(part) for field, part in fields if part or not field.metadata.get("later")}
    if isinstance(value, Mapping):
        return {key: as_table(part) for key, part in value.items()}
    return [as_table(part) for part in value] if isinstance(value, tuple | list) else value


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _wrong(source: str, path: str, expected: str, value: Any) -> ManifestError:
    return ManifestError(f"{source}: {path}: expected {expected}, found {value!r}")


def _convert(kind: Any, value: Any, path: str, source: str) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in {typing.Union, types.UnionType}:
        return _convert(next(arg for arg in args if arg is not types.NoneType), value, path, source)
    if origin is typing.Literal:
        if value not in args:
            raise ManifestError(
                f"{source}: {path}: expected one of {', '.join(map(str, args))}, found {value!r}"
                f"{suggest(str(value), map(str, args))}"
            )
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(source, path, "a list", value)
        return tuple(_convert(args[0], item, f"{path}[{i}]", source) for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _wrong(source, path, "a table", value)
        return {key: _convert(args[1], item, _join(path, key), source) for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return from_table(typing.cast("type[Any]", kind), value, path, source=source)
    if kind is typing.Any:
        return value
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _wrong(source, path, _NAMES[kind], value)
    return value
