"""Rebuilds and restarts services whose files change: polls file times, which also works where inotify does not."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from build import console, mkdocs_needs
from build.config.manifest import Manifest
from build.deploy import start as deploy
from build.engine import ownership
from build.errors import BuildError
from build.images import build

_POLL_SECONDS = 0.5
_IGNORED = {".git", "__pycache__", "node_modules", ".venv", "tests"}
# Between two polls a path may be removed, replaced or locked; a build reports by itself what it can't read.
_UNAVAILABLE = (FileNotFoundError, NotADirectoryError, PermissionError)


def folders(manifest: Manifest, service: str) -> list[Path]:
    """Every folder or file that the image of the service is built from."""
    settings = manifest.services[service]
    paths = [manifest.root / settings.folder]
    for value in settings.contexts.values():
        kind, _, key = value.partition(":")
        folder = manifest.root / manifest.stages[key].folder if kind == "stage" else manifest.source(key)
        if folder and folder.is_file():
            paths += [folder.parent / needed for needed in mkdocs_needs.needs(folder).paths]
        elif folder:
            paths.append(folder)
    return paths


def snapshot(paths: Sequence[Path]) -> dict[str, tuple[int, int]]:
    """Path → (modification time in ns, size) of every accessible file of `paths`, or below them."""
    files = {}
    for top in paths:
        with contextlib.suppress(*_UNAVAILABLE):
            if top.is_file():
                status = top.stat()
                files[str(top)] = (status.st_mtime_ns, status.st_size)
                continue
        for entry in _files(top):
            with contextlib.suppress(*_UNAVAILABLE):
                status = entry.stat(follow_symlinks=False)
                files[entry.path] = (status.st_mtime_ns, status.st_size)
    return files


def _files(top: Path) -> Iterator[os.DirEntry[str]]:
    with contextlib.suppress(*_UNAVAILABLE), os.scandir(top) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _IGNORED:
                    yield from _files(Path(entry.path))
            else:
                yield entry


def run(manifest: Manifest, services: Sequence[str]) -> None:
    """Watch until interrupted; print a failed build or start and keep watching.

    Raises StackTaken when the stack is another checkout's.
    """
    ownership.require_stack(manifest)
    before = {name: snapshot(folders(manifest, name)) for name in services}
    console.note(f"watching {', '.join(services)}; Ctrl-C stops it")
    while True:
        time.sleep(_POLL_SECONDS)
        after = {name: snapshot(folders(manifest, name)) for name in services}
        changed = [name for name in services if after[name] != before[name]]
        before = after
        if changed:
            _rebuild(manifest, changed)


def _rebuild(manifest: Manifest, changed: Sequence[str]) -> None:
    try:
        with console.step(f"rebuild {', '.join(changed)}"):
            build.require_complete(build.build_images(manifest, changed))
            deploy.start(manifest)
    except BuildError as error:
        console.error(str(error), hint=error.hint, output=error.output)
