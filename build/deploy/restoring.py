"""A backup on its way into a target: which volumes it goes into, and what forbids it."""

from __future__ import annotations

import tempfile

from build.deploy import formats, kept
from build.deploy.archive import Archive, Volume
from build.deploy.kept import Fill, Place
from build.deploy.ledger import DataChange
from build.deploy.run import Run
from build.deploy.target import DeployedSet
from build.errors import DeployRefused


def changes(run: Run, current: DeployedSet) -> dict[str, DataChange]:
    """What a restore does to the data of the set in force.

    Raises DeployRefused for a backup of another project, of a volume that is not here, of a format that the set can't
    read, and for a target that can't reach its data.
    """
    archive = run.options.restore
    assert archive is not None
    _require_own(run, archive)
    there = kept.place(run.target, current)
    users = formats.volumes(run.manifest)
    present, stated = formats.written(run.history, users), formats.stated(current, users)
    result = {}
    for volume, backup in _chosen(archive, run.options.services).items():
        if volume not in there.volumes or volume not in stated:
            message = f"{current.release} has no volume {volume} here, which the backup has"
            raise DeployRefused(message, hint="--service NAME   restores only what belongs to this service")
        if not stated[volume].can_read(backup.format):
            message = f"{volume} is backed up with format {backup.format}, and {current.release} reads {stated[volume]}"
            raise DeployRefused(message, hint="./inv deploy VERSION   of a release that reads it, then the restore")
        words = f"the backup of {archive.backup.release} from {archive.backup.created}"
        written = present.get(volume, stated[volume].writes)
        result[volume] = DataChange(written=written, wanted=stated[volume].writes, loads=words)
    return result


def _require_own(run: Run, archive: Archive) -> None:
    backup, project = archive.backup, run.manifest.project.name
    if (backup.project, backup.target) != (project, run.name) and not run.options.foreign:
        what = f"{archive.path} is a backup of {backup.project}, target {backup.target}"
        message = f"{what}; this is {project}, target {run.name}"
        raise DeployRefused(message, hint="the same command with --yes, if it is meant")


def _chosen(archive: Archive, services: tuple[str, ...]) -> dict[str, Volume]:
    chosen = {
        volume: backup
        for volume, backup in archive.backup.volumes.items()
        if not services or backup.service in services
    }
    if not chosen:
        there = ", ".join(sorted({backup.service for backup in archive.backup.volumes.values()}))
        raise DeployRefused(f"{archive.path} has nothing of {', '.join(services)}", hint=f"--service {there}")
    return chosen


def fill(archive: Archive) -> Fill:
    """What brings the data of a volume from a backup into the target."""

    def send(there: Place, volume: str, name: str) -> None:
        with tempfile.TemporaryFile() as tar:
            digest = archive.tar_of(volume, tar)
            tar.seek(0)
            there.run(volume, "receive", name, digest, source=tar)

    return send
