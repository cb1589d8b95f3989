"""The types of a bake file (docker/buildx docs/bake-reference.md), with the keys that are used here."""

from __future__ import annotations

from typing import NotRequired, TypedDict  # noqa: TID251  (pydantic never reads these, and typing_extensions is slow)


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
