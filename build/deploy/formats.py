"""Whether the images of a set can go on with the data that is there: pure, from the journal and what images state.

An image without a label counts as one that writes format 1. What was written is known from the sets that ran.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from build.config.manifest import Manifest
from build.deploy.ledger import Entry
from build.deploy.target import DeployedSet, Problem
from build.errors import DeployRefused
from build.images.data_formats import FIRST, DataFormat


@dataclass(frozen=True, kw_only=True, slots=True)
class Differing:
    """A volume whose data is of another format than the set that is to come writes."""

    volume: str
    written: int
    wanted: DataFormat

    @property
    def readable(self) -> bool:
        """Whether the set can read the data, and bring it up to its own format."""
        return self.wanted.can_read(self.written)


def volumes(manifest: Manifest, services: Collection[str] | None = None) -> dict[str, tuple[str, ...]]:
    """The volumes of these services, default all, each with the containers that write to it."""
    users: dict[str, tuple[str, ...]] = {}
    for container, (service, settings) in manifest.containers().items():
        if services is None or service in services:
            for volume in settings.volumes:
                users[volume] = (*users.get(volume, ()), container)
    return users


def stated(deployed: DeployedSet, users: Mapping[str, Collection[str]]) -> dict[str, DataFormat]:
    """The format of each volume that a set writes to; `users` are the containers of each volume."""
    return {
        volume: deployed.formats.get(volume, FIRST)
        for volume, containers in users.items()
        if any(container in deployed.specs for container in containers)
    }


def written(history: Sequence[Entry], users: Mapping[str, Collection[str]]) -> dict[str, int]:
    """The format of the data in each volume, by the closed entries of a journal.

    A set that was given up may have written; after a roll back the data is that of the set before.
    """
    result: dict[str, int] = {}
    for entry in history:
        ran = {"done": entry.after, "failed": entry.after, "rolled-back": entry.before}.get(entry.state)
        if ran is not None:
            result |= {volume: one.writes for volume, one in stated(ran, users).items()}
    return result


def differing(present: Mapping[str, int], wanted: Mapping[str, DataFormat]) -> list[Differing]:
    """The volumes whose data is of another format than is wanted, among those that have data."""
    return [
        Differing(volume=volume, written=present[volume], wanted=one)
        for volume, one in wanted.items()
        if volume in present and present[volume] != one.writes
    ]


def unreadable(one: Differing, release: str) -> Problem:
    """Why a set may not come, and what makes it possible all the same."""
    message = f"{one.volume} has data of format {one.written}, and {release} reads {_range(one.wanted)}"
    hint = (
        f"the same with --accept-data-loss {one.volume}   goes on with the copy kept before the format was raised, or"
        " without data; then a backup of the older format can come in: ./inv restore FILE"
    )
    return Problem(message, hint)


def unguarded(one: Differing, release: str, place: str) -> Problem:
    """Why a set may not raise a format where there is no way back from it."""
    message = (
        f"{release} raises {one.volume} from format {one.written} to {one.wanted.writes}, and {place} can't keep a copy"
        " of the data: if the deploy fails, there is no way back"
    )
    return Problem(message, f"make a copy of your own, then --accept-data-loss {one.volume}")


def require_at_stake(accepted: Collection[str], at_stake: Collection[str]) -> None:
    """Raise DeployRefused for an accepted loss of data that is not at stake."""
    if wrong := [volume for volume in accepted if volume not in at_stake]:
        message = f"--accept-data-loss {wrong[0]}: no data of this volume is at stake"
        hint = f"at stake: {', '.join(at_stake)}" if at_stake else "leave it out: no data is at stake here"
        raise DeployRefused(message, hint=hint)


def _range(one: DataFormat) -> str:
    return f"only {one.writes}" if one.reads == one.writes else f"{one.reads} to {one.writes}"
