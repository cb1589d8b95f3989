"""Backups of the data of a target into a file, and back: what `./inv backup` and `./inv restore` do."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from build import console
from build.config.manifest import Manifest
from build.config.select import chosen
from build.deploy import archive, formats, kept, kinds, ledger, steps
from build.deploy.archive import Backup, Volume
from build.deploy.kept import Place
from build.deploy.ledger import Entry
from build.deploy.run import Options, Run
from build.deploy.target import DeployedSet, Target
from build.errors import DeployRefused


@dataclass(frozen=True, kw_only=True, slots=True)
class BackedUp:
    """A backup that was written: its file, the size of that in bytes, and what it is a backup of."""

    file: str
    size: int
    backup: Backup


def write(manifest: Manifest, *, target: str = "", services: Sequence[str] = (), out: str = "") -> BackedUp:
    """Back up the volumes of a target, while its containers run, and return what was written where.

    Without `services`, of those whose images state the format of their data. Raises DeployRefused if nothing is there
    to back up, a deploy is open or changes the target meanwhile, ToolFailed for a damaged database.
    """
    name, place_of = kinds.named(manifest, target)
    history = ledger.entries(place_of.store)
    current = _in_force(name, history)
    there = kept.place(place_of, current)
    volumes = _due(manifest, there, current, services)
    written = formats.written(history, formats.volumes(manifest))
    now = datetime.now(UTC)
    file = f"{manifest.project.name}-{name}-{now:%Y%m%dT%H%M%SZ}.tar.gz"
    path = Path(out) if out else manifest.workspace.backups / file
    with contextlib.ExitStack() as open_files:
        tars: dict[str, IO[bytes]] = {}
        backed_up: dict[str, Volume] = {}
        for volume in volumes:
            tars[volume] = open_files.enter_context(tempfile.TemporaryFile(dir=_spool(path)))
            there.run(volume, "pack", sink=tars[volume], shared=True)
            files = archive.listed(tars[volume])
            service = there.specs[there.volumes[volume][0]].service
            backed_up[volume] = Volume(service=service, format=written[volume], files=files)
            console.note(f"{volume}: {len(files)} files, {sum(one.size for one in files.values()) / 1e6:.1f} MB")
        _require_unchanged(place_of, history)
        backup = Backup(
            project=manifest.project.name, target=name, release=current.release,
            created=now.isoformat(timespec="seconds"), volumes=backed_up,
        )  # fmt: skip
        archive.write(path, backup, tars)
    return BackedUp(file=str(path), size=path.stat().st_size, backup=backup)


def _spool(path: Path) -> Path:
    """The folder of the file: as much fits there as will have to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.parent


def _in_force(name: str, history: Sequence[Entry]) -> DeployedSet:
    if entry := ledger.unfinished(history):
        message = f"{entry.action} {entry.number} is open: its data may be neither that of before nor that of after"
        raise DeployRefused(message, hint=f"./inv status --target {name}")
    return ledger.require_current(history, name)


def _due(manifest: Manifest, there: Place, current: DeployedSet, services: Sequence[str]) -> list[str]:
    wanted = set(chosen(manifest, services)) if services else set()
    if not services:
        users = formats.volumes(manifest)
        wanted = {
            current.specs[name].service
            for volume in current.formats
            for name in users.get(volume, ())
            if name in current.specs
        }
    volumes = [
        volume
        for volume, containers in there.volumes.items()
        if any(there.specs[name].service in wanted for name in containers)
    ]
    if not volumes:
        message = "no service has a volume whose format of data its image states"
        if services:
            message = f"{', '.join(services)} has no volume there"
        raise DeployRefused(message, hint="./inv backup --service NAME   takes any service with volumes")
    return volumes


def _require_unchanged(target: Target, history: Sequence[Entry]) -> None:
    """A deploy that came in between may have replaced the data while it was copied."""
    newest = [(entry.number, entry.state) for entry in ledger.entries(target.store)[-1:]]
    if newest != [(entry.number, entry.state) for entry in history[-1:]]:
        raise DeployRefused("a deploy has changed the target during the backup", hint="./inv backup again")


def restore(
    manifest: Manifest, file: str, *, target: str = "", services: Sequence[str] = (), foreign: bool = False,
    adopt: bool = False, break_lock: bool = False,
) -> Run:  # fmt: skip
    """Bring a backup back into the volumes of a target, as a deploy of the set in force: whole, or not at all.

    The containers that write to them are stopped meanwhile. With `foreign`, the backup may be of another project or
    target. Raises DeployRefused for one that is damaged or does not fit, before anything is touched, and as
    `steps.make` does.
    """
    if services:
        chosen(manifest, services)
    options = Options(
        action="restore", restore=archive.opened(Path(file)), services=tuple(services), foreign=foreign, adopt=adopt,
        break_lock=break_lock,
    )  # fmt: skip
    name, place_of = kinds.named(manifest, target)
    return steps.make(Run(manifest=manifest, name=name, target=place_of, options=options))
