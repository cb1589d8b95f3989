"""What a deploy changes, computed without asking anybody: the set that is wanted against what was observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Literal

from build.deploy.target import Observed, Spec
from build.images.image import short

Kind = Literal["create", "update", "keep", "remove"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What happens to a container, and why; `before` and `after` are its images (name@digest)."""

    container: str
    action: Kind
    why: str
    before: str = ""
    after: str = ""


def changes(wanted: Mapping[str, Spec], observed: Mapping[str, Observed]) -> list[Change]:
    """A change for each container of either, in the order in which they are carried out.

    Those it depends on come first, and what is not wanted any more goes last.
    """
    result = []
    for name in ordered(wanted):
        spec, now = wanted[name], observed.get(name)
        action, why = _judged(spec, now)
        before = now.image if now else ""
        result.append(Change(container=name, action=action, why=why, before=before, after=spec.image))
    gone = [name for name in observed if name not in wanted]
    return result + [
        Change(container=name, action="remove", why="is not in the release", before=observed[name].image)
        for name in reversed(gone)
    ]


def _judged(spec: Spec, now: Observed | None) -> tuple[Kind, str]:
    if now is None:
        return "create", "is not there"
    if now.spec != spec.hash:
        if now.image != spec.image:
            return "update", f"image {_digest(now.image)} → {_digest(spec.image)}"
        return "update", "other settings or secrets, the same image"
    if now.drift:
        return "update", f"differs: {'; '.join(now.drift)}"
    if now.replicas != now.wanted:
        return "update", f"{now.replicas} of {now.wanted} run"
    if not now.runs:
        return "update", f"is {now.health or now.state}" if now.state == "running" else f"is {now.state}"
    return "keep", "unchanged"


def _digest(reference: str) -> str:
    return short(reference.partition("@")[2]) or "unknown"


def ordered(specs: Mapping[str, Spec]) -> list[str]:
    """The containers, each after those that it depends on; otherwise in the order of the mapping."""
    position = {name: index for index, name in enumerate(specs)}
    sorter = TopologicalSorter(
        {name: [other for other in spec.depends_on if other in specs] for name, spec in specs.items()}
    )
    sorter.prepare()
    result: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=position.__getitem__)
        result += ready
        sorter.done(*ready)
    return result
