"""Rebuild and restart what changed: a poll over file times, which also works on bind mounts without inotify."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from build import console
from build.config.manifest import Manifest
from build.deploy import workflow
from build.errors import BuildError
from build.images import build

_POLL_SECONDS = 0.5
_IGNORED = {".git", "__pycache__", "node_modules", ".venv", "tests"}
# Between two looks things go away, turn into something else, or are shut; what a build can't read, it says itself.
_NOT_THERE = (FileNotFoundError, NotADirectoryError, PermissionError)


def folders(manifest: Manifest, service: str) -> list[Path]:
    """Every folder whose files decide what the service's image holds."""
    settings = manifest.services[service]
    found = [manifest.root / settings.folder]
    for value in settings.contexts.values():
        kind, _, key = value.partition(":")
        folder = manifest.root / manifest.stages[key].folder if kind == "stage" else manifest.source(key)
        if folder:
            found.append(folder)
    return found


def snapshot(paths: Sequence[Path]) -> dict[str, tuple[int, int]]:
    """Path → (modification time in ns, size) of every file below `paths` that is there and may be looked at."""
    found = {}
    for top in paths:
        for entry in _files(top):
            with contextlib.suppress(*_NOT_THERE):
                status = entry.stat(follow_symlinks=False)
                found[entry.path] = (status.st_mtime_ns, status.st_size)
    return found


def _files(top: Path) -> Iterator[os.DirEntry[str]]:
    with contextlib.suppress(*_NOT_THERE), os.scandir(top) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _IGNORED:
                    yield from _files(Path(entry.path))
            else:
                yield entry


def run(manifest: Manifest, services: Sequence[str]) -> None:
    """Watch until interrupted; a failed build or start is shown, and watching goes on."""
    seen = {name: snapshot(folders(manifest, name)) for name in services}
    console.note(f"watching {', '.join(services)}; Ctrl-C ends it")
    while True:
        time.sleep(_POLL_SECONDS)
        now = {name: snapshot(folders(manifest, name)) for name in services}
        changed = [name for name in services if now[name] != seen[name]]
        seen = now
        if changed:
            _renew(manifest, changed)


def _renew(manifest: Manifest, changed: Sequence[str]) -> None:
    try:
        with console.step(f"rebuild {', '.join(changed)}"):
            build.require_complete(build.build_images(manifest, changed))
            workflow.start(manifest)
    except BuildError as error:
        console.error(str(error), hint=error.hint, output=error.output)
