"""The fingerprint of an image: a hash of everything that decides its content.

Included: the bake target (arguments, stage, names of secrets), the path, mode and bytes of every file that its contexts
send, the digests of its bases, and the same of each shared stage. Not included: commit, time and version, which only
label an image, and the content of build secrets, which is not in BuildKit's cache key either.
Release records hold fingerprints: whatever changes their values makes every service be built again once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from build.dockerignore import ignored, parse_ignore
from build.images.bake_file import Target

_FORMAT = b"1"
_LABELS = {"labels", "annotations", "tags", "output"}
_READ_SEPARATELY = {"context", "contexts", "secret", "args"}


def of_target(targets: Mapping[str, Target], name: str, bases: Mapping[str, str]) -> str:
    """The fingerprint of bake target `name`; `bases` maps the context of a base image to its digest."""
    digest = hashlib.sha256(_FORMAT)
    for part in _target(targets, name, bases):
        digest.update(part)
    return digest.hexdigest()


def _target(targets: Mapping[str, Target], name: str, bases: Mapping[str, str]) -> Iterator[bytes]:
    target = targets[name]
    settings: dict[str, object] = {key: value for key, value in target.items() if key not in _LABELS | _READ_SEPARATELY}
    settings["args"] = {key: value for key, value in target.get("args", {}).items() if key != "SOURCE_DATE_EPOCH"}
    settings["secret"] = [secret.partition(",")[0] for secret in target["secret"]]
    yield json.dumps(settings, sort_keys=True).encode()
    for context, value in sorted({"": target["context"], **target["contexts"]}.items()):
        yield f"\0{context}\0".encode()
        if value.startswith("target:"):
            yield from _target(targets, value.removeprefix("target:"), bases)
        elif value.startswith("docker-image:"):
            yield bases[value].encode()
        else:
            yield from _folder(Path(value))


def _folder(folder: Path) -> Iterator[bytes]:
    for relative, path in sorted(files(folder)):
        # A file that was removed since it was listed counts as if it had never been there.
        with contextlib.suppress(FileNotFoundError):
            yield _file(relative, path)


def _file(relative: str, path: Path) -> bytes:
    mode = path.lstat().st_mode
    head = f"{relative}\0{stat.S_IFMT(mode) | (mode & 0o111):o}\0".encode()
    if stat.S_ISLNK(mode):
        return head + str(path.readlink()).encode()
    return head + hashlib.sha256(path.read_bytes()).digest() if stat.S_ISREG(mode) else head


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
