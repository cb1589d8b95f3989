"""Backups: what was written, and what came back."""

from __future__ import annotations

from build import console
from build.deploy.backup import BackedUp
from build.deploy.run import Run


def written(done: BackedUp, *, json: bool = False) -> None:
    """Print where a backup is, and what is in it."""
    if json:
        console.result(done)
        return
    rows = [
        (
            volume,
            one.service,
            str(one.format),
            str(len(one.files)),
            _size(sum(file.size for file in one.files.values())),
        )
        for volume, one in done.backup.volumes.items()
    ]
    console.table(("volume", "service", "format", "files", "size"), rows)
    console.note(f"{done.file}: {_size(done.size)}, of {done.backup.release} on {done.backup.target}")


def restored(run: Run, seconds: float, *, json: bool = False) -> None:
    """Print what came back into which volumes."""
    archive = run.options.restore
    assert archive is not None
    assert run.wanted is not None
    if json:
        console.result({
            "target": run.name, "number": run.number, "file": str(archive.path), "release": run.wanted.release,
            "backup": archive.backup.created, "volumes": run.data, "seconds": round(seconds, 3),
        })  # fmt: skip
        return
    console.table(("volume", "now has"), [(volume, change.loads) for volume, change in run.data.items()])


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
