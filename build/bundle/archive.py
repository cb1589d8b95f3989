"""The tar of a bundle: sorted, without times and owners, uncompressed; written and read piece by piece.

Compressing it would save one percent: layers are compressed. pax(5), "ustar"; sizes above 8 GiB as GNU tar writes them.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from build.errors import VerificationFailed
from build.registry.body import Part

_BLOCK = tarfile.BLOCKSIZE
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")
Source = tuple[int, Callable[[Callable[[bytes], object]], object]]  # a size, and what passes that many bytes on


def size(files: Mapping[str, bytes | Source]) -> int:
    """The bytes of a tar with these files."""
    sizes = (len(content) if isinstance(content, bytes) else content[0] for content in files.values())
    return sum(_BLOCK + each + -each % _BLOCK for each in sizes) + 2 * _BLOCK


def write(path: Path, files: Mapping[str, bytes | Source]) -> int:
    """Write the files, by name, to a tar that appears when it is whole; the bytes written.

    Raises OSError, and what a source raises.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            for name in sorted(files):
                content = files[name]
                size, copy = (len(content), None) if isinstance(content, bytes) else content
                info = tarfile.TarInfo(name)
                info.size, info.mode = size, 0o644
                file.write(info.tobuf(tarfile.GNU_FORMAT))
                if copy is None:
                    assert isinstance(content, bytes)
                    file.write(content)
                else:
                    copy(file.write)
                file.write(bytes(-size % _BLOCK))
            file.write(bytes(2 * _BLOCK))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path.stat().st_size


def read(path: Path) -> dict[str, Part]:
    """The files of a tar by name, none of them read. Raises VerificationFailed for anything but plain files."""
    parts: dict[str, Part] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if not member.isreg() or not _NAME.fullmatch(member.name) or member.name in parts:
                    what = "twice" if member.name in parts else "not a plain file with a plain name"
                    raise VerificationFailed(f"{path.name}: {member.name[:120]!r}: {what}", hint="this is no bundle")
                parts[member.name] = Part(path, member.offset_data, member.size)
    except (tarfile.TarError, EOFError) as error:
        raise VerificationFailed(f"{path.name} is not a bundle, or broke off: {error}", hint="copy it again") from None
    except OSError as error:
        message = f"{path}: {str(error.strerror or error).lower()}"
        raise VerificationFailed(message, hint="name the file that ./inv bundle.write has written") from None
    return parts


def hash_of(part: Part) -> str:
    """The SHA-256 of a part, in hex; "" for one that is not all there."""
    hashed = hashlib.sha256()
    try:
        for piece in part.pieces():
            hashed.update(piece)
    except EOFError:
        return ""
    return hashed.hexdigest()
