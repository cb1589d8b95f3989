"""A plan in a file: written for review, read back, and refused if the world changed in between."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from semver import Version

from build.errors import ReleaseRefused
from build.release.plan import Plan, PlannedLine, PlannedService
from build.release.world import World
from build.typed import from_table

_AGAIN = "make and review it again: ./inv release --plan plan.json"
_SHOWN = 5
# Fields whose key in the file, since schema 1, is another word.
_KEYS = {"request": "wish", "basis": "state"}


def check_basis(saved: Plan, current: Mapping[str, str]) -> None:
    """Raise ReleaseRefused naming each part of the basis that is not what it was when the plan was saved."""
    moved = [part for part in current if saved.basis.get(part) != current[part]]
    if moved:
        message = f"the plan is stale: {', '.join(moved)} moved since it was made"
        raise ReleaseRefused(message, hint=_AGAIN)


def check_tags(saved: Plan, digests: Mapping[tuple[str, str], str]) -> None:
    """Raise ReleaseRefused naming each tag of the plan that has another digest than when it was saved.

    `digests` are those of the tags that would move now, by (repository, tag).
    """
    moved = [
        f"{tag.repository}:{tag.tag} was {tag.before or 'not there'} and is {digest or 'not there'}"
        for line in saved.lines
        for tag in line.tags
        if (digest := digests.get((tag.repository, tag.tag), tag.before)) != tag.before
    ]
    if moved:
        raise ReleaseRefused(f"the plan is stale: {'; '.join(moved)}", hint=_AGAIN)


def check_equal(saved: Plan, computed: Plan) -> None:
    """Raise ReleaseRefused naming what differs between a saved plan and the one that its request makes now.

    What differs was edited: a plan says what will be done, and its request is the only thing that decides it. An image
    that was to be built and has been staged since, from the same sources, is no difference.
    """
    before = _before_staging(saved, computed)
    expected = replace(before, unfinished=saved.unfinished, near_misses=saved.near_misses)
    if edited := list(_differences(as_table(saved), as_table(expected), "")):
        more = f" and {len(edited) - _SHOWN} more" if len(edited) > _SHOWN else ""
        message = f"the plan is not what its request makes: {'; '.join(edited[:_SHOWN])}{more}"
        raise ReleaseRefused(message, hint=_AGAIN)


def _before_staging(saved: Plan, computed: Plan) -> Plan:
    """The computed plan, in which each image is built that the saved plan builds from the same sources."""
    built = {one.service: one for line in saved.lines for one in line.services if one.action == "build"}

    def as_planned(service: PlannedService) -> PlannedService:
        planned = built.get(service.service)
        staged = planned is not None and (service.action, service.fingerprint) == ("reuse", planned.fingerprint)
        return replace(service, action="build", why=planned.why, digest="") if planned and staged else service

    def line_before(line: PlannedLine) -> PlannedLine:
        services = tuple(map(as_planned, line.services))
        staged = {was.digest for was, now in zip(line.services, services, strict=True) if was != now}
        tags = tuple(replace(tag, after="") if tag.after in staged else tag for tag in line.tags)
        return replace(line, services=services, tags=tags)

    return replace(computed, lines=tuple(map(line_before, computed.lines)))


def _differences(saved: Any, computed: Any, path: str) -> Iterator[str]:
    """Where two JSON values differ, as `lines[0].version is "9.9.9", not "0.4.0"`."""
    if isinstance(saved, dict) and isinstance(computed, dict) and saved.keys() == computed.keys():
        for key in computed:
            yield from _differences(saved[key], computed[key], f"{path}.{key}" if path else key)
    elif isinstance(saved, (list, tuple)) and isinstance(computed, (list, tuple)) and len(saved) == len(computed):
        for number, (one, other) in enumerate(zip(saved, computed, strict=True)):
            yield from _differences(one, other, f"{path}[{number}]")
    elif isinstance(saved, (list, tuple)) and isinstance(computed, (list, tuple)):
        yield f"{path} has {len(saved)} entries, not {len(computed)}"
    elif saved != computed:
        yield f"{path} is {json.dumps(saved)}, not {json.dumps(computed)}"


def carried_out(saved: Plan, world: World) -> bool:
    """Whether each line of a saved plan is released from HEAD by now, as it was planned."""
    return bool(saved.lines) and all(
        planned.tag in world.here
        and planned.line in world.known
        and Version.parse(planned.version) in world.known[planned.line].complete
        for planned in saved.lines
    )


def as_table(plan: Plan) -> dict[str, Any]:
    """The plan as the JSON object that its file has; `near_misses`, younger than schema 1, only if there are any."""
    table = {_KEYS.get(name, name): value for name, value in dataclasses.asdict(plan).items()}
    if not plan.near_misses:
        del table["near_misses"]
    return table


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
