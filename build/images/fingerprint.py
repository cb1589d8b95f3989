"""The fingerprint of a service: a hash of everything that decides its image's content.

What counts: the bake target (arguments, stages, secrets by name), the bytes and modes of every file its contexts
send, the digests of its bases, and the same of each shared stage. What does not: the commit, its time and the version,
which only label an image; the content of build secrets, which BuildKit keeps out of its own cache key as well.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from build.dockerignore import ignored, parse_ignore

_FORMAT = "1"
_VARYING = {"labels", "annotations", "tags", "output"}


def of_target(targets: Mapping[str, Any], name: str, bases: Mapping[str, str]) -> str:
    """The fingerprint of bake target `name`; `bases` maps the context of a base image to its digest."""
    digest = hashlib.sha256(_FORMAT.encode())
    _add_target(digest, targets, name, bases)
    return digest.hexdigest()


def _add_target(digest: Any, targets: Mapping[str, Any], name: str, bases: Mapping[str, str]) -> None:
    target = targets[name]
    kept = {key: value for key, value in target.items() if key not in _VARYING | {"context", "contexts", "secret"}}
    kept["args"] = {key: value for key, value in target.get("args", {}).items() if key != "SOURCE_DATE_EPOCH"}
    kept["secret"] = [one.partition(",")[0] for one in target["secret"]]
    digest.update(json.dumps(kept, sort_keys=True).encode())
    for context, value in sorted({"": target["context"], **target["contexts"]}.items()):
        digest.update(f"\0{context}\0".encode())
        if value.startswith("target:"):
            _add_target(digest, targets, value.removeprefix("target:"), bases)
        elif value.startswith("docker-image:"):
            digest.update(bases[value].encode())
        else:
            _add_folder(digest, Path(value))


def _add_folder(digest: Any, folder: Path) -> None:
    for relative, entry in sorted(files(folder)):
        # What went away since it was listed is as if it had not been there.
        with contextlib.suppress(FileNotFoundError):
            digest.update(_of_file(relative, entry))


def _of_file(relative: str, entry: Path) -> bytes:
    mode = entry.lstat().st_mode
    head = f"{relative}\0{stat.S_IFMT(mode) | (mode & 0o111):o}\0".encode()
    if stat.S_ISLNK(mode):
        return head + str(entry.readlink()).encode()
    return head + hashlib.sha256(entry.read_bytes()).digest() if stat.S_ISREG(mode) else head


def files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file that a build context of `folder` sends, as (path relative to it, path), by its .dockerignore.

    The Dockerfile and the .dockerignore itself always count.
    """
    ignore = folder / ".dockerignore"
    rules = parse_ignore(ignore.read_text(encoding="utf-8")) if ignore.is_file() else []
    for top, names, leaves in os.walk(folder):
        base = Path(top)
        if not any(keep for _, keep in rules):
            names[:] = [name for name in names if not ignored((base / name).relative_to(folder).as_posix(), rules)]
        links = [name for name in names if (base / name).is_symlink()]
        for name in [*leaves, *links]:
            path = base / name
            relative = path.relative_to(folder).as_posix()
            if relative in {"Dockerfile", ".dockerignore"} or not ignored(relative, rules):
                yield relative, path
