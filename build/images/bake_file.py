"""The types of a bake file (docker/buildx docs/bake-reference.md), with the keys that are used here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NotRequired, TypedDict  # noqa: TID251  (pydantic never reads these, and typing_extensions is slow)

from build import json_file

_TEMPLATE = re.compile(r"[$%](?=\{)")


class Target(TypedDict):
    """A target of a bake file: one image, or one stage that images share."""

    context: str
    contexts: dict[str, str]
    secret: list[str]
    dockerfile: NotRequired[str]
    args: NotRequired[dict[str, str]]
    labels: NotRequired[dict[str, str]]
    annotations: NotRequired[list[str]]
    tags: NotRequired[list[str]]
    attest: NotRequired[list[str]]
    target: NotRequired[str]
    output: NotRequired[list[str]]


class Group(TypedDict):
    """Targets that bake builds under one name; `default` is built when none is named."""

    targets: list[str]


class BakeFile(TypedDict):
    """A bake file as JSON has it."""

    group: dict[str, Group]
    target: dict[str, Target]


def write(path: Path, content: BakeFile) -> None:
    """Write a bake file for buildx."""
    json_file.write(path, literal(content))


def literal(value: Any) -> Any:
    """The value with each string such that buildx reads it as it is: in JSON, too, it expands ${…} and %{…} (HCL)."""
    if isinstance(value, str):
        return _TEMPLATE.sub(r"\g<0>\g<0>", value)
    if isinstance(value, dict):
        return {key: literal(part) for key, part in value.items()}
    return [literal(part) for part in value] if isinstance(value, list) else value
