"""What a target keeps of its data before a set comes that could spoil it, and how that data comes back.

Each archive is in the target, next to the volumes, so that any machine can go on. For the deploy N and a volume there
may be two: `N-VOLUME.tar` is the data as it was before the deploy, `N-VOLUME.new.tar` what is to replace it. The first
says that the data may have been changed, until it is back; the second is gone as soon as it has replaced the data. So
whatever ends a process, what is left to do can be told from the names.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from build import console
from build.deploy import formats, locking
from build.deploy.ledger import DataChange, Entry
from build.deploy.target import DeployedSet, KeepsData, Spec, Target
from build.errors import DeployRefused
from build.images.data_formats import FIRST, DataFormat

Fill = Callable[["Place", str, str], None]  # place, volume, the name of the archive to be made


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The data of a target: its volumes with their containers, and those containers' specs."""

    keeper: KeepsData
    volumes: Mapping[str, tuple[str, ...]]
    specs: Mapping[str, Spec]

    def run(
        self, volume: str, verb: str, *arguments: str, source: IO[bytes] | None = None, sink: IO[bytes] | None = None,
        shared: bool = False,
    ) -> str:  # fmt: skip
        """Run a verb of in_volume.py beside a volume. Raises as `KeepsData.beside` does."""
        container = self.volumes[volume][0]
        spec = self.specs[container]
        return self.keeper.beside(volume, container, spec, verb, *arguments, source=source, sink=sink, shared=shared)

    def names(self, *, shared: bool = False) -> list[str]:
        """The names of what is kept; `shared` as for `run`."""
        volumes = self._one_of_each_home()
        return [name for volume in volumes for name in self.run(volume, "names", shared=shared).splitlines()]

    def forget(self, names: Sequence[str]) -> None:
        """Remove what is kept under these names."""
        for volume in self._one_of_each_home() if names else ():
            self.run(volume, "forget", *names)

    def _one_of_each_home(self) -> Iterable[str]:
        """A volume of each machine that has some: those of one machine have their archives together."""
        volumes: dict[str, str] = {}
        for volume, containers in self.volumes.items():
            volumes.setdefault(self.keeper.home(containers[0], self.specs[containers[0]]), volume)
        return volumes.values()


def place(target: Target, *sets: DeployedSet | None) -> Place:
    """The data of a target that these sets write to; what the last of them says of a container counts.

    Raises DeployRefused for a target that can't reach its data.
    """
    if not isinstance(target, KeepsData):
        kind = target.settings.kind
        message = f"targets of the kind {kind} can't back up or restore the data of their volumes yet"
        raise DeployRefused(message, hint="by hand, with kubectl: docs/pages/deploying/data.md#on-kubernetes")
    specs: dict[str, Spec] = {}
    for deployed in sets:
        specs |= deployed.specs if deployed else {}
    return Place(keeper=target, volumes=target.volumes(specs), specs=specs)


def kept_name(number: int, volume: str) -> str:
    """What the data of a volume is kept as, as it was before the deploy of this number."""
    return f"{number:06d}-{volume}.tar"


def new_name(number: int, volume: str) -> str:
    """What is to replace the data of a volume in the deploy of this number."""
    return f"{number:06d}-{volume}.new.tar"


def changes(
    target: Target, history: Sequence[Entry], differing: Sequence[formats.Differing], *sets: DeployedSet | None
) -> dict[str, DataChange]:
    """What becomes of data whose format differs: it is kept, and where the set can't read it an older copy is loaded.

    A target that can't reach its data leaves it as it is.
    """
    there = place(target, *sets) if differing and isinstance(target, KeepsData) else None
    present = there.volumes if there else [one.volume for one in differing]
    # A plan is made without the lock: what works for a deploy meanwhile goes on.
    names = there.names(shared=True) if there and not all(one.readable for one in differing) else []
    return {
        one.volume: DataChange(
            written=one.written,
            wanted=one.wanted.writes,
            loads="" if one.readable or not there else _replacement(history, names, one.volume, one.wanted)[1],
        )
        for one in differing
        if one.volume in present
    }


def _replacement(history: Sequence[Entry], names: Sequence[str], volume: str, wanted: DataFormat) -> tuple[str, str]:
    """The newest archive of a volume's data that a set can read, "" if there is none; and in words what it is."""
    for entry in reversed(history):
        change = entry.data.get(volume)
        name = kept_name(entry.number, volume)
        if change and name in names and wanted.can_read(change.written):
            return name, f"the copy that was kept before {entry.action} {entry.number} ({entry.began})"
    return "", "no data at all"


def stage_older(history: Sequence[Entry], formats_: Mapping[str, DataFormat]) -> Fill:
    """What makes the archive that replaces a volume's data: of the newest copy that a set can read, or of nothing."""

    def fill(there: Place, volume: str, name: str) -> None:
        older, _ = _replacement(history, there.names(), volume, formats_.get(volume, FIRST))
        there.run(volume, "copy", name, *([older] if older else []))

    return fill


def stage(there: Place, number: int, data: Mapping[str, DataChange], fill: Fill) -> None:
    """Have everything that is to replace data in the target, before anything is touched."""
    for volume, change in data.items():
        if change.loads:
            fill(there, volume, new_name(number, volume))
            console.note(f"{volume}: {change.loads} is ready")


def carry_out(target: Target, entry: Entry) -> set[str]:
    """Stop what writes to the volumes of an entry, keep their data, and replace it where that is due.

    Return the containers that were stopped. What an earlier process has done of it is not done again. Raises
    DeployRefused if what was to replace data is gone.
    """
    if not isinstance(target, KeepsData):
        console.warn(f"as accepted, no copy is made of the data of {', '.join(entry.data)}")
        return set()
    there = place(target, entry.after, entry.before)
    stopped: set[str] = set()
    names = there.names()
    for volume, change in entry.data.items():
        kept, new = kept_name(entry.number, volume), new_name(entry.number, volume)
        if change.loads and kept not in names and new not in names:
            message = f"what was to replace the data of {volume} is not in the target any more"
            raise DeployRefused(message, hint="./inv rollback   ends it; then the same command again")
        due = bool(change.loads) and new in names
        if kept in names and not due:
            continue
        stopped |= _stop(target, there, volume)
        if kept not in names:
            there.run(volume, "keep", kept)
            console.note(f"{volume}: its data of format {change.written} is kept")
        if due:
            locking.require(target.store)
            there.run(volume, "load", new)
            console.warn(f"{volume} has {change.loads} from now on")
    return stopped


def put_back(target: Target, entry: Entry, users: Mapping[str, Collection[str]]) -> list[str]:
    """Bring the data back that an entry kept, before the set of before starts on it; say what is lost by that.

    `users` are the containers of each volume. Raises DeployRefused if there is no copy, and the set can't read what may
    have been written.
    """
    if not entry.data or entry.before is None:
        return []
    if not isinstance(target, KeepsData):
        _require_readable(target, entry, entry.before, users)
        return []
    there = place(target, entry.after, entry.before)
    names = there.names()
    lost = []
    for volume in entry.data:
        if kept_name(entry.number, volume) in names:
            _stop(target, there, volume)
            there.run(volume, "load", kept_name(entry.number, volume))
            lost.append(
                f"DATA: {volume} is as {entry.action} {entry.number} found it:"
                f" what was written to it since {entry.began} is lost"
            )
    there.forget([name for name in names if name.startswith(f"{entry.number:06d}-")])
    return lost


def _require_readable(target: Target, entry: Entry, before: DeployedSet, users: Mapping[str, Collection[str]]) -> None:
    """Data of which nobody could keep a copy: the old set goes on with it if it can, or nothing has touched it."""
    observed = target.observe(before.specs)
    for volume, change in entry.data.items():
        containers = [name for name in users.get(volume, ()) if name in before.specs]
        touched = [
            name for name in containers if name not in observed or observed[name].spec != before.specs[name].hash
        ]
        if touched and not before.formats.get(volume, FIRST).can_read(change.wanted):
            message = (
                f"{volume} may have data of format {change.wanted} by now, which {before.release} can't read, and no"
                f" copy was kept: {', '.join(touched)} of {before.release} does not start on it"
            )
            raise DeployRefused(message, hint="./inv deploy --resume   goes on to the new set")


def _stop(target: Target, there: Place, volume: str) -> set[str]:
    for container in there.volumes[volume]:
        locking.require(target.store)
        target.remove(container)
    return set(there.volumes[volume])


def sweep(target: Target, remaining: Sequence[Entry], deployed: DeployedSet) -> None:
    """Remove what is kept for deploys that are not remembered any more, and what was to be loaded."""
    there = place(target, deployed)
    numbers = {f"{entry.number:06d}" for entry in remaining}
    there.forget([
        name for name in there.names() if name.partition("-")[0] not in numbers or name.endswith(".new.tar")
    ])  # fmt: skip
