"""A plan in a file: written for review, read back, and refused when the world has moved since."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

from build.errors import ReleaseRefused
from build.parallel import at_once
from build.registry.client import Distribution
from build.release.plan import Plan
from build.typed import from_table

_AGAIN = "make and review it again: ./inv release --plan plan.json"


def check(saved: Plan, now: Mapping[str, str]) -> None:
    """Raise ReleaseRefused naming each part that moved since the plan was saved."""
    moved = [part for part in now if saved.state.get(part) != now[part]]
    if moved:
        message = f"the plan is stale: {', '.join(moved)} moved since it was made"
        raise ReleaseRefused(message, hint=_AGAIN)


def check_tags(saved: Plan, registry: Distribution) -> None:
    """Raise ReleaseRefused naming each tag of the plan that the registry has elsewhere than when it was saved."""
    tags = [tag for line in saved.lines for tag in line.tags]
    found = at_once(lambda tag: registry.digest(tag.repository, tag.tag) or "", tags)
    moved = [
        f"{tag.repository}:{tag.tag} was {tag.before or 'not there'} and is {now or 'not there'}"
        for tag, now in zip(tags, found, strict=True)
        if now != tag.before
    ]
    if moved:
        raise ReleaseRefused(f"the plan is stale: {'; '.join(moved)}", hint=_AGAIN)


def encode(plan: Plan) -> str:
    """The plan as a JSON document."""
    return json.dumps(dataclasses.asdict(plan), indent=2) + "\n"


def decode(text: str, source: str) -> Plan:
    """The plan of a file. Raises ReleaseRefused when it is none."""
    hint = "./inv release --plan plan.json"
    try:
        table = json.loads(text)
    except ValueError as error:
        raise ReleaseRefused(f"{source}: not a plan: {error}", hint=hint) from None
    if not isinstance(table, dict) or table.get("schema") != 1:
        raise ReleaseRefused(f"{source}: not a plan of this toolkit", hint=hint)
    return from_table(Plan, table, "", source=source)
