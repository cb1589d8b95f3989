"""Searches files for canaries: in archives and compressed streams as well, one inside the other."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.canary.canaries import needles

_DEPTH = 6
_CONTEXT = 48
_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,
)
_NEEDLES = needles()


def also(secrets: Mapping[str, bytes]) -> None:
    """Search for these secrets too, by name, from now on: they are not known before the audit has made them."""
    for name, secret in secrets.items():
        _NEEDLES.update({f"{name}, {encoding}": needle for encoding, needle in needles(secret).items()})


@dataclass(slots=True)
class Found:
    """What a search read, and where it found a canary: a line each."""

    files: int = 0
    size: int = 0
    hits: list[str] = field(default_factory=list)

    def read(self, where: str, data: bytes, depth: int = 0) -> None:
        """Search data, and what is packed in it."""
        self.files += 1
        self.size += len(data)
        for encoding, needle in _NEEDLES.items():
            if (at := data.find(needle)) >= 0:
                around = data[max(0, at - _CONTEXT) : at + len(needle) + _CONTEXT]
                self.hits.append(f"{where}: {encoding}: {around!r}")
        if depth < _DEPTH:
            for name, inner in _inside(data):
                self.read(f"{where}!{name}", inner, depth + 1)

    def folder(self, root: Path, *, without: tuple[Path, ...] = ()) -> Found:
        """Search all files below a folder, and the names of all entries; returns itself."""
        for place, folders, files in os.walk(root):
            folders[:] = [name for name in folders if Path(place, name) not in without]
            self.read(f"{place} (names)", "\n".join((*folders, *files)).encode("utf-8", "surrogateescape"))
            for name in files:
                path = Path(place, name)
                if path in without:
                    continue
                mode = path.lstat().st_mode
                if stat.S_ISLNK(mode):
                    self.read(f"{path} (link)", os.fsencode(path.readlink()))
                elif stat.S_ISREG(mode):
                    self.read(str(path), path.read_bytes())
        return self


def _inside(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What an archive or a compressed stream has, by name; nothing for what is neither, or broken."""
    try:
        if data.startswith(b"\x1f\x8b"):
            yield "gzip", gzip.decompress(data)
        elif data.startswith(b"BZh"):
            yield "bz2", bz2.decompress(data)
        elif data.startswith(b"\xfd7zXZ\0"):
            yield "xz", lzma.decompress(data)
        elif data.startswith(b"\x28\xb5\x2f\xfd"):
            yield "zstd", _zstd(data)
        elif data.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                yield "names", "\n".join(archive.namelist()).encode()
                for name in archive.namelist():
                    yield name, archive.read(name)
        elif data[257:262] == b"ustar":
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                for member in archive:
                    if file := archive.extractfile(member) if member.isreg() else None:
                        yield member.name, file.read()
    except _BROKEN:
        return


def _zstd(data: bytes) -> bytes:
    """Decompress with the program: Python has no zstd before 3.14. Raises FileNotFoundError without it."""
    return subprocess.run(["zstd", "--decompress", "--stdout"], input=data, capture_output=True, check=False).stdout
