"""A plan in a file: written for review, read back, and refused if the world changed in between."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from build.errors import ReleaseRefused
from build.parallel import at_once
from build.registry.client import RegistryClient
from build.release.plan import Plan
from build.typed import from_table

_AGAIN = "make and review it again: ./inv release --plan plan.json"
# Fields whose key in the file, since schema 1, is another word.
_KEYS = {"request": "wish", "basis": "state"}


def check_basis(saved: Plan, current: Mapping[str, str]) -> None:
    """Raise ReleaseRefused naming each part of the basis that is not what it was when the plan was saved."""
    moved = [part for part in current if saved.basis.get(part) != current[part]]
    if moved:
        message = f"the plan is stale: {', '.join(moved)} moved since it was made"
        raise ReleaseRefused(message, hint=_AGAIN)


def check_tags(saved: Plan, registry: RegistryClient) -> None:
    """Raise ReleaseRefused naming each tag of the plan that has another digest than when it was saved."""
    tags = [tag for line in saved.lines for tag in line.tags]
    digests = at_once(lambda tag: registry.digest(tag.repository, tag.tag) or "", tags)
    moved = [
        f"{tag.repository}:{tag.tag} was {tag.before or 'not there'} and is {digest or 'not there'}"
        for tag, digest in zip(tags, digests, strict=True)
        if digest != tag.before
    ]
    if moved:
        raise ReleaseRefused(f"the plan is stale: {'; '.join(moved)}", hint=_AGAIN)


def as_table(plan: Plan) -> dict[str, Any]:
    """The plan as the JSON object that its file has."""
    return {_KEYS.get(name, name): value for name, value in dataclasses.asdict(plan).items()}


def encode(plan: Plan) -> str:
    """The plan as a JSON document."""
    return json.dumps(as_table(plan), indent=2) + "\n"


def decode(text: str, source: str) -> Plan:
    """The plan in a file's text. Raises ReleaseRefused if it is not one, ManifestError naming a key that is wrong."""
    hint = "./inv release --plan plan.json"
    try:
        table = json.loads(text)
    except ValueError as error:
        raise ReleaseRefused(f"{source}: not a plan: {error}", hint=hint) from None
    if not isinstance(table, dict) or table.get("schema") != 1:
        raise ReleaseRefused(f"{source}: not a plan of this toolkit", hint=hint)
    fields = {key: name for name, key in _KEYS.items()}
    return from_table(Plan, {fields.get(key, key): value for key, value in table.items()}, "", source=source)
