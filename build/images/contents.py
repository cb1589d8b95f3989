"""What a build reads of a folder: the hash of all that is sent, and what the filter leaves out.

The filter reads every file once: bytes that have no secret are known by their git id afterwards.
"""

from __future__ import annotations

import contextlib
import hashlib
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build import context_walk
from build.git.blobs import FILE, LINK, PROGRAM, blob_id, odd_mode
from build.git.inputs import Inputs
from build.git.memory import recalled, remember
from build.left_out import LeftOut


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """The hash of a folder's path, kind, exec bit and content of everything that is sent, and what is not."""

    digest: bytes
    left_out: tuple[LeftOut, ...]


ByContext = Mapping[tuple[str, str], Sequence[LeftOut]]


class Reader:
    """Reads folders, each once; `inputs` is what git knows of them: it makes this fast and changes no value."""

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self._read: dict[tuple[Path, str], Contents] = {}
        self._clean = _CleanContent(inputs.home)

    def contents(self, folder: Path, dockerfile: str = "") -> Contents:
        """The contents of a build context. Raises ManifestError for an ignore file that Docker refuses."""
        if (folder, dockerfile) not in self._read:
            self._read[folder, dockerfile] = self._contents(folder, dockerfile)
        return self._read[folder, dockerfile]

    @property
    def left_out(self) -> ByContext:
        """What is left out of each context that was read, by its path and Dockerfile."""
        return {(str(folder), dockerfile): read.left_out for (folder, dockerfile), read in self._read.items()}

    def _contents(self, folder: Path, dockerfile: str) -> Contents:
        """The contents; those of a tree which is the commit's are remembered."""
        known = self.inputs.sent.get((str(folder), dockerfile))
        memory = self.inputs.home / "contents.json" if self.inputs.home else None
        key = known.key if known else ""
        if key and memory and (recorded := _restored(recalled(memory).get(key))):
            return recorded
        blobs = known.blobs() if known else {}
        left_out: list[LeftOut] = []
        digest = hashlib.sha256()
        root = context_walk.root_of(folder)
        for path in sorted(context_walk.sent_from(folder, dockerfile, self.inputs.filter, left_out)):
            # What was removed since it was listed counts as if it had never been there.
            with contextlib.suppress(FileNotFoundError):
                mode, content = blobs.get(path) or _entry(root, path)
                if rule := self._secret(root, path, content):
                    left_out.append(LeftOut(path, rule))
                else:
                    digest.update(f"{mode} {content}\t{path}\0".encode("utf-8", "surrogateescape"))
        self._clean.save()
        contents = Contents(digest=digest.digest(), left_out=tuple(sorted(left_out)))
        if key and memory:
            stored = {"digest": contents.digest.hex(), "left_out": [[each.path, each.rule] for each in left_out]}
            remember(memory, key, stored)
        return contents

    def _secret(self, folder: Path, path: str, content: str) -> str:
        if not content or content in self._clean:
            return ""
        rule = self.inputs.filter.by_content(folder, path)
        if not rule:
            self._clean.add(content)
        return rule


class _CleanContent:
    """The git ids of bytes that the filter has read and leaves in, kept in a file between builds."""

    def __init__(self, home: Path | None) -> None:
        self._file = home / "no-secrets" if home else None
        self._ids: set[str] | None = None
        self._new: list[str] = []

    def __contains__(self, identifier: str) -> bool:
        if self._ids is None:
            self._ids = set()
            with contextlib.suppress(OSError):
                self._ids = set(self._file.read_text("ascii").split() if self._file else ())
        return identifier in self._ids

    def add(self, identifier: str) -> None:
        """Add the id of bytes that were read."""
        assert self._ids is not None
        self._ids.add(identifier)
        self._new.append(identifier)

    def save(self) -> None:
        """Append the new ids to the file; a folder that can't be written keeps nothing."""
        if self._file and self._new:
            with contextlib.suppress(OSError), self._file.open("a", encoding="ascii") as file:
                file.write("".join(f"{identifier}\n" for identifier in self._new))
        self._new = []


def _restored(stored: Any) -> Contents | None:
    """What `contents.json` has for a tree; None for a value of another form."""
    if not isinstance(stored, Mapping):
        return None
    pairs: Sequence[Sequence[str]] = stored["left_out"]
    return Contents(digest=bytes.fromhex(stored["digest"]), left_out=tuple(LeftOut(*pair) for pair in pairs))


def _entry(folder: Path, path: str) -> tuple[str, str]:
    """Mode and content of an entry as git has them; for what git can't have, the kind."""
    mode = (folder / path).lstat().st_mode
    if stat.S_ISREG(mode):
        kind = PROGRAM if mode & stat.S_IXUSR else FILE
        return f"{kind}{odd_mode(folder / path)}", blob_id(folder / path)
    return (LINK, blob_id(folder / path)) if stat.S_ISLNK(mode) else (f"{stat.S_IFMT(mode):o}", "")
