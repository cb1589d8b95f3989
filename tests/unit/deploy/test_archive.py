"""The file of a backup: all of it is verified, or none of it is used."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from build.deploy import archive
from build.deploy.archive import Backup, Volume
from build.errors import DeployRefused, UsageError
from tests.support.samples import deep

CONTENT = {"a": b"alpha" * 500, "deep/b c": b"beta", "empty": b"", "ünï": b"x"}


def _tar(files: dict[str, bytes]) -> io.BytesIO:
    result = io.BytesIO()
    with tarfile.open(fileobj=result, mode="w") as tar:
        folder = tarfile.TarInfo("deep")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o750
        tar.addfile(folder)
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "a"
        tar.addfile(link)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return result


def _written(path: Path) -> Path:
    tars = {"notes": _tar(CONTENT), "tunes": _tar({"t": b"la"})}
    volumes = {name: Volume(service=f"{name}-api", format=2, files=archive.listed(tar)) for name, tar in tars.items()}
    backup = Backup(project="p", target="t", release="1.0.0", created="2026-01-01T00:00:00+00:00", volumes=volumes)
    archive.write(path, backup, tars)
    return path


def _members(path: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(path) as tar:
        return [(member, (tar.extractfile(member) or io.BytesIO()).read() if member.isreg() else b"") for member in tar]


def _rewritten(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Each volume comes out as it went in; the first entry says what the file is, for people, too."""
    path = _written(tmp_path / "b.tar.gz")
    assert path.stat().st_mode & 0o777 == 0o600
    first, content = _members(path)[0]
    assert first.name == "backup.json"
    assert json.loads(content)["volumes"]["notes"]["files"]["empty"] == {
        "size": 0, "sha256": hashlib.sha256(b"").hexdigest(),
    }  # fmt: skip

    opened = archive.opened(path)

    assert (opened.backup.project, sorted(opened.backup.volumes)) == ("p", ["notes", "tunes"])
    out = io.BytesIO()
    digest = opened.tar_of("notes", out)
    assert digest == hashlib.sha256(out.getvalue()).hexdigest()
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        read = {member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in tar if member.isreg()}
        assert read == CONTENT
        assert (tar.getmember("link").linkname, tar.getmember("deep").mode) == ("a", 0o750)


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    """A backup that is there stays, and a half written one is no backup."""
    path = _written(tmp_path / "b.tar.gz")
    content = path.read_bytes()
    with pytest.raises(UsageError, match="there already"):
        _written(path)
    assert path.read_bytes() == content
    assert [found.name for found in tmp_path.iterdir()] == ["b.tar.gz"]


@pytest.mark.parametrize("seed", [*range(10), *deep(*range(10, 2000))])
def test_a_file_that_was_damaged_is_refused(tmp_path: Path, seed: int) -> None:
    """A bit that has flipped anywhere, or an end that is missing, is seen before anything is used."""
    path = _written(tmp_path / "b.tar.gz")
    dice = random.Random(seed)
    content = bytearray(path.read_bytes())
    if seed % 2:
        del content[dice.randrange(len(content)) :]
    else:
        # Not in the ten bytes of gzip's header: its time and its flags say nothing of the content.
        content[dice.randrange(10, len(content))] ^= 1 << dice.randrange(8)
    assert _content(bytes(content)) != _content(path.read_bytes())
    path.write_bytes(content)
    with pytest.raises(DeployRefused) as refused:
        archive.opened(path)
    assert "nothing was changed" in refused.value.hint or "version" in refused.value.hint


@pytest.mark.parametrize("missing", range(1, 10))
def test_a_file_whose_last_bytes_are_missing_is_refused(tmp_path: Path, missing: int) -> None:
    """The checksum of all of it stands at its end, after everything that a reader of the entries needs."""
    path = _written(tmp_path / "b.tar.gz")
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(DeployRefused):
        archive.opened(path)


def _content(compressed: bytes) -> bytes | None:
    """The content of compressed bytes, None if they are damaged."""
    try:
        return gzip.decompress(compressed)
    except (OSError, EOFError, zlib.error):
        return None


def _changed(number: int, content: bytes) -> Any:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        members[number] = (members[number][0], content)

    return change


def _named(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> Any:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, link
        members.append((member, b""))

    return change


CHANGES: dict[str, Any] = {
    "an empty manifest": _changed(0, b"{}"),
    "no JSON": _changed(0, b"no JSON"),
    "a list": _changed(0, b"[]"),
    "another schema": _changed(0, b'{"schema": 2}'),
    "a wrong type": _changed(0, b'{"schema": 1, "project": 4}'),
    "no manifest": lambda members: members.pop(0),
    "a file less": lambda members: members.pop(),
    "the manifest second": lambda members: members.insert(1, members.pop(0)),
    "another content": _changed(-1, b"lo"),
    "a file more": _named("volumes/notes/more"),
    "another volume": _named("volumes/other/x"),
    "a file beside": _named("outside"),
    "a way out": _named("volumes/notes/../../x"),
    "a folder elsewhere": _named("volumes/notes/../../x", tarfile.DIRTYPE),
    "an absolute path": _named("/volumes/notes/x"),
    "a pipe": _named("volumes/notes/pipe", tarfile.FIFOTYPE),
    "a hard link": _named("volumes/notes/hard", tarfile.LNKTYPE, "volumes/notes/a"),
    "a device": _named("volumes/notes/device", tarfile.CHRTYPE),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_file_that_says_something_else_than_it_has_is_refused(tmp_path: Path, case: str) -> None:
    """What is missing, added, changed, or would be written elsewhere makes it no backup."""
    path = _written(tmp_path / "b.tar.gz")
    members = _members(path)
    CHANGES[case](members)
    _rewritten(path, members)
    with pytest.raises(DeployRefused):
        archive.opened(path)


@pytest.mark.parametrize("content", [None, b"", b"text", gzip.compress(b"text"), b"\x1f\x8b"], ids=range(5))
def test_a_file_that_is_no_backup_is_refused_by_its_name(tmp_path: Path, content: bytes | None) -> None:
    """No file, an empty one, and anything else."""
    path = tmp_path / "b.tar.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DeployRefused, match=r"b\.tar\.gz"):
        archive.opened(path)
