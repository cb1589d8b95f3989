"""Build contexts without what the filter leaves out.

BuildKit reads no ignore file but a context's own, so a context from which something is left out is sent from a copy in
the workspace: hard links, where the disk has them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from build import console, context_walk, json_file
from build.config.manifest import Manifest
from build.git.comparison import shown
from build.images.bake_file import BakeFile, Target
from build.images.contents import ByContext
from build.left_out import Filter, LeftOut

_SHOWN = 20  # lines on the terminal


def staged(manifest: Manifest, bake_file: BakeFile, left_out: ByContext) -> BakeFile:
    """The bake file with a copy in place of each context that is not sent as it is; makes the copies.

    That is a context from which something is left out, and what an mkdocs.yml stands for.

    `left_out` is by the path and the Dockerfile of a context. Only one build of a checkout may do this at a time.
    Raises ManifestError for an ignore file that Docker refuses.
    """
    shutil.rmtree(manifest.workspace.contexts, ignore_errors=True)
    copies: dict[tuple[str, str], str] = {}

    def copied(folder: str, dockerfile: str) -> str:
        key = folder, dockerfile
        if not (left_out.get(key) or Path(folder).is_file()):
            return folder
        if key not in copies:
            secret = {each.path for each in left_out.get(key, ())}
            copies[key] = str(_copy(manifest, Path(folder), dockerfile, secret))
        return copies[key]

    targets: dict[str, Target] = {}
    for name, target in bake_file["target"].items():
        targets[name] = target.copy()
        targets[name]["context"] = copied(target["context"], target.get("dockerfile", ""))
        targets[name]["contexts"] = {context: copied(value, "") for context, value in target["contexts"].items()}
    return {"group": bake_file["group"], "target": targets}


def report(manifest: Manifest, left_out: ByContext) -> None:
    """Write what is left out to the reports, a line each, and show the first lines."""
    lines = sorted({line for (folder, _), each in left_out.items() for line in lines_of(manifest, Path(folder), each)})
    json_file.replace(manifest.workspace.left_out, "".join(f"{line}\n" for line in lines))
    for line in lines[:_SHOWN]:
        console.note(f"left out: {line}")
    if (more := len(lines) - _SHOWN) > 0:
        console.note(f"left out: {more} more, in {shown(manifest.workspace.left_out, manifest.root)}")


def lines_of(manifest: Manifest, folder: Path, left_out: Iterable[LeftOut]) -> list[str]:
    """A line for each path left out of a context: the path as people read it, and the rule."""
    root = context_walk.root_of(folder)
    return [f"{shown(root / each.path, manifest.root)}: {each.rule}" for each in left_out]


def _copy(manifest: Manifest, folder: Path, dockerfile: str, secret: set[str]) -> Path:
    """A copy of what a context sends, under a name that the next build uses too: BuildKit sends only what changed."""
    root = context_walk.root_of(folder)
    identity = hashlib.sha256("\0".join((str(folder), dockerfile)).encode()).hexdigest()[:12]
    copy = manifest.workspace.contexts / f"{folder.name}-{identity}"
    modes: dict[Path, Path] = {copy: root}
    for path in context_walk.sent_from(folder, dockerfile, Filter(manifest.filter.allow)):
        if path in secret:
            continue
        source, target = root / path, copy / path
        place = target if path.endswith("/") else target.parent
        place.mkdir(parents=True, exist_ok=True)
        while place not in modes:
            modes[place] = root / place.relative_to(copy)
            place = place.parent
        # What was removed since it was listed counts as if it had never been there.
        with contextlib.suppress(FileNotFoundError):
            if not path.endswith("/"):
                _link(source, target)
    copy.mkdir(parents=True, exist_ok=True)
    for place, original in modes.items():
        shutil.copymode(original, place)
    return copy


def _link(source: Path, target: Path) -> None:
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
