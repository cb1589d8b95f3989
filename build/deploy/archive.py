"""A backup as a file: a compressed tar, whose first entry says what it is, and has the hash of every other one.

The data of a volume is below `volumes/VOLUME/`. Nothing of a file is used before all of it was verified.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from build.errors import DeployRefused, ManifestError, UsageError
from build.typed import from_table

SCHEMA = 1
_MANIFEST = "backup.json"
_VOLUMES = "volumes"
_MOST = 1 << 28  # bytes of a manifest; what is larger is none of ours
_CHUNK = 1 << 20
_BROKEN = (tarfile.TarError, zlib.error, EOFError, OSError, UnicodeError)


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A file of a volume: its size in bytes, and the SHA-256 of its content."""

    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """The data of a volume: whose it is, its format, and its files by their paths."""

    service: str
    format: int
    files: dict[str, File] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Backup:
    """What a backup is of: the project and the target as they are called, the release that ran, when (UTC)."""

    schema: int = SCHEMA
    project: str
    target: str
    release: str
    created: str
    volumes: dict[str, Volume] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Archive:
    """A file that was verified, and what it is a backup of."""

    path: Path
    backup: Backup

    def tar_of(self, volume: str, sink: IO[bytes]) -> str:
        """Write the data of a volume as an archive of its own; return the SHA-256 of that."""
        with (
            _explained(str(self.path)),
            _reading(self.path) as tar,
            tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as own,
        ):
            for member in tar:
                name = _within(member, volume)
                if name:
                    content = tar.extractfile(member) if member.isreg() else None
                    own.addfile(_renamed(member, name), content)
        sink.seek(0)
        return _sha256(sink)


def listed(tar_file: IO[bytes]) -> dict[str, File]:
    """The files in the archive of a volume. Raises DeployRefused for one that is not whole."""
    tar_file.seek(0)
    with _explained("what came of the volume"), tarfile.open(fileobj=tar_file, mode="r|") as tar:
        return {member.name: _hashed(tar, member) for member in tar if member.isreg()}


def write(path: Path, backup: Backup, tars: Mapping[str, IO[bytes]]) -> None:
    """Write a backup from the archives of its volumes; the file has its name only once it is whole.

    Raises UsageError if there is a file of this name, OSError.
    """
    if path.exists():
        raise UsageError(f"{path} is there already", hint="--out with another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
                content = json.dumps(dataclasses.asdict(backup), indent=1).encode() + b"\n"
                entry = tarfile.TarInfo(_MANIFEST)
                entry.size, entry.mode = len(content), 0o644
                tar.addfile(entry, io.BytesIO(content))
                for volume, tar_file in tars.items():
                    _add(tar, volume, tar_file)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)


def _add(tar: tarfile.TarFile, volume: str, tar_file: IO[bytes]) -> None:
    tar_file.seek(0)
    with tarfile.open(fileobj=tar_file, mode="r|") as own:
        for member in own:
            content = own.extractfile(member) if member.isreg() else None
            tar.addfile(_renamed(member, f"{_VOLUMES}/{volume}/{member.name}"), content)


def opened(path: Path) -> Archive:
    """The backup in a file, all of it verified. Raises DeployRefused for one that is damaged or none."""
    if not path.is_file():
        raise DeployRefused(f"there is no file {path}", hint="./inv backup   writes one")
    with _explained(str(path)), _reading(path) as tar:
        members = iter(tar)
        first = next(members, None)
        if first is None or first.name != _MANIFEST or not first.isreg() or first.size > _MOST:
            raise DeployRefused(f"{path} is no backup: its first entry is not {_MANIFEST}", hint=_HINT)
        backup = _parsed(_content(tar, first), path)
        seen: dict[str, dict[str, File]] = {volume: {} for volume in backup.volumes}
        for member in members:
            volume, name = _placed(member, path)
            if volume not in seen:
                raise DeployRefused(f"{path} has {member.name}, of which it says nothing", hint=_HINT)
            if member.isreg():
                seen[volume][name] = _hashed(tar, member)
    for volume, expected in backup.volumes.items():
        different = [
            name for name in {**expected.files, **seen[volume]} if expected.files.get(name) != seen[volume].get(name)
        ]
        if different:
            message = f"{path} is damaged: {volume}/{different[0]} is not what was backed up"
            raise DeployRefused(message, hint=_HINT)
    return Archive(path, backup)


_HINT = "another backup: nothing was changed"


def _parsed(content: bytes, path: Path) -> Backup:
    try:
        table = json.loads(content)
        if not isinstance(table, dict) or table.get("schema") != SCHEMA:
            raise DeployRefused(f"{path} is a backup that this version can't read", hint="the version that wrote it")
        return from_table(Backup, table, "", source=str(path))
    except (ValueError, ManifestError) as error:
        raise DeployRefused(f"{path} is damaged: {error}", hint=_HINT) from None


@contextmanager
def _reading(path: Path) -> Iterator[tarfile.TarFile]:
    with gzip.open(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r:") as tar:
        yield tar
        # To its end: only there is the checksum of all of it.
        while unpacked.read(_CHUNK):
            pass


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise DeployRefused(f"{what} is damaged, or no backup: {error}", hint=_HINT) from None


def _placed(member: tarfile.TarInfo, path: Path) -> tuple[str, str]:
    """The volume of an entry and its path there. Raises DeployRefused for one that could be written elsewhere."""
    parts = PurePosixPath(member.name).parts
    is_plain = member.isreg() or member.isdir() or member.issym()
    if len(parts) < 3 or parts[0] != _VOLUMES or ".." in parts or not is_plain:
        raise DeployRefused(f"{path} has {member.name}, which is in no volume", hint=_HINT)
    return parts[1], "/".join(parts[2:])


def _within(member: tarfile.TarInfo, volume: str) -> str:
    prefix = f"{_VOLUMES}/{volume}/"
    return member.name.removeprefix(prefix) if member.name.startswith(prefix) else ""


def _renamed(member: tarfile.TarInfo, name: str) -> tarfile.TarInfo:
    renamed = member.replace(name=name, deep=False)
    renamed.pax_headers = {}
    return renamed


def _hashed(tar: tarfile.TarFile, member: tarfile.TarInfo) -> File:
    content = tar.extractfile(member)
    assert content is not None
    return File(size=member.size, sha256=_sha256(content))


def _sha256(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := content.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = tar.extractfile(member)
    assert content is not None
    return content.read()
