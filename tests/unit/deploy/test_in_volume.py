"""What runs beside a volume, run as it runs there: as a program of its own, ended at any moment."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from build.deploy import in_volume
from tests.support.samples import deep

_SOURCE = Path(in_volume.__file__).read_text(encoding="utf-8")


def _command(data: Path, kept: Path, *words: str) -> list[str]:
    return [sys.executable, "-S", "-I", "-c", _SOURCE, str(data), str(kept), *words]


def _run(data: Path, kept: Path, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(_command(data, kept, *words), input=stdin, capture_output=True, check=False)


def _ok(data: Path, kept: Path, *words: str, stdin: bytes = b"") -> bytes:
    done = _run(data, kept, *words, stdin=stdin)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A volume and the one with the archives, both empty."""
    folders = tmp_path / "data", tmp_path / "kept"
    for folder in folders:
        folder.mkdir()
    return folders


def _fill(data: Path, mark: str, files: int = 60) -> dict[str, bytes]:
    """Fill a volume with files that all have the mark."""
    for number in range(files):
        path = data / f"folder-{number % 7}" / f"{mark}-{number}" if number % 3 else data / f"common-{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{mark} {number}\n" * 20)
    (data / "link").symlink_to("/nowhere/else")
    return _content(data)


def _content(data: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(data)): str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        for path in data.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def _emptied(data: Path) -> None:
    for path in sorted(data.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def test_what_was_kept_comes_back_byte_by_byte(folders: tuple[Path, Path]) -> None:
    """A copy that was kept replaces whatever came since, with modes and links, and is then gone."""
    data, kept = folders
    first = _fill(data, "first")
    (data / "common-0").chmod(0o640)
    _ok(data, kept, "keep", "1.tar")
    _emptied(data)
    _fill(data, "second")

    _ok(data, kept, "load", "1.tar")

    assert _content(data) == first
    assert (data / "common-0").stat().st_mode & 0o777 == 0o640
    assert _ok(data, kept, "names") == b""


@pytest.mark.parametrize("seed", [*range(5), *deep(*range(5, 400))])
def test_a_load_that_is_killed_is_done_again(folders: tuple[Path, Path], seed: int) -> None:
    """Killed at any moment, once or several times, a load done again ends in exactly the data of the archive."""
    data, kept = folders
    dice = random.Random(seed)
    first = _fill(data, "first")
    _ok(data, kept, "keep", "1.tar")
    _emptied(data)
    second = _fill(data, "second", 50)
    while dice.random() < 0.8:
        _killed(_command(data, kept, "load", "1.tar"), dice.uniform(0.05, 0.25))

    done = _run(data, kept, "load", "1.tar")

    if done.returncode:  # the last kill came after its end
        assert b"FileNotFoundError" in done.stderr
    assert _content(data) == first != second
    assert not [path for path in data.iterdir() if path.name.startswith(".uc-")] or done.returncode


def _killed(command: list[str], after: float) -> None:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(after)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("verb", ["keep", "receive"])
def test_an_archive_has_its_name_once_it_is_whole(folders: tuple[Path, Path], verb: str) -> None:
    """Killed while it is written, an archive is not there; and what is left of it goes with the next `forget`."""
    data, kept = folders
    _fill(data, "first", 200)
    content = random.Random(1).randbytes(3_000_000)
    words = ("keep", "1.tar") if verb == "keep" else ("receive", "1.tar", hashlib.sha256(content).hexdigest())
    for after in (0.05, 0.06, 0.08, 0.1, 0.12):
        _killed(_command(data, kept, *words), after)
        if b"1.tar" in _ok(data, kept, "names"):
            with tarfile.open(kept / "1.tar") as tar:
                assert len(tar.getnames()) > 200
        _ok(data, kept, "forget", "1.tar")
        assert list(kept.iterdir()) == []


def test_what_arrives_is_what_was_sent(folders: tuple[Path, Path]) -> None:
    """Content that is cut short or changed on its way is refused, and leaves no archive."""
    data, kept = folders
    content = b"some content"
    digest = hashlib.sha256(content).hexdigest()
    for arrived in (content[:-1], b"", content + b"x"):
        assert _run(data, kept, "receive", "1.tar", digest, stdin=arrived).returncode
        assert _ok(data, kept, "names") == b""
    _ok(data, kept, "receive", "1.tar", digest, stdin=content)
    assert (kept / "1.tar").read_bytes() == content


def test_an_archive_of_nothing_and_a_second_name(folders: tuple[Path, Path]) -> None:
    """An archive of nothing empties a volume; one under a second name stays when that was loaded."""
    data, kept = folders
    first = _fill(data, "first")
    _ok(data, kept, "keep", "1.tar")
    _ok(data, kept, "copy", "2.tar")
    _ok(data, kept, "load", "2.tar")
    assert _content(data) == {}
    _ok(data, kept, "copy", "3.tar", "1.tar")
    _ok(data, kept, "load", "3.tar")
    assert _content(data) == first
    assert _ok(data, kept, "names") == b"1.tar\n"


def test_an_archive_can_t_write_beside_the_volume(folders: tuple[Path, Path]) -> None:
    """A path that leads out of the volume, by itself or over a link, is refused, and the data stays."""
    data, kept = folders
    first = _fill(data, "first")
    for names in (["../outside"], ["door", "door/outside"]):
        with tarfile.open(kept / "1.tar", "w") as tar:
            for name in names:
                member = tarfile.TarInfo(name)
                if name == "door":
                    member.type, member.linkname = tarfile.SYMTYPE, str(kept)
                tar.addfile(member, io.BytesIO())
        assert _run(data, kept, "load", "1.tar").returncode
        assert not list(data.parent.glob("**/outside"))
        assert {name: value for name, value in _content(data).items() if not name.startswith(".uc-")} == first


@contextlib.contextmanager
def _writer(file: Path, journal: str) -> Iterator[None]:
    """Count into a database, and rewrite and remove files beside it, as long as the block runs."""
    begun, ended = threading.Event(), threading.Event()

    def write() -> None:
        with contextlib.closing(sqlite3.connect(file, isolation_level=None, timeout=30)) as db:
            db.execute(f"PRAGMA journal_mode = {journal}")
            db.execute("CREATE TABLE counts (n INTEGER PRIMARY KEY, pad BLOB)")
            while not ended.is_set():
                db.execute("INSERT INTO counts SELECT coalesce(max(n), 0) + 1, randomblob(900) FROM counts")
                passing = file.with_name("passing")
                passing.write_text("x" * 5000)
                passing.unlink()
                begun.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert begun.wait(60)
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_a_database_is_copied_as_of_one_moment(folders: tuple[Path, Path], tmp_path: Path, journal: str) -> None:
    """While it is written to, each copy is whole and has no gap, and has no log beside it; files may come and go."""
    data, kept = folders
    lengths = []
    with _writer(data / "some counts.db", journal):
        for number in range(4):
            content = _ok(data, kept, "pack")
            folder = tmp_path / f"copy-{number}"
            with tarfile.open(fileobj=io.BytesIO(content)) as tar:
                assert {"some counts.db"} <= set(tar.getnames()) <= {"some counts.db", "passing"}
                tar.extractall(folder, filter="data")
            with contextlib.closing(sqlite3.connect(folder / "some counts.db")) as db:
                assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                first, last, many = db.execute("SELECT min(n), max(n), count(*) FROM counts").fetchone()
            assert (first, many) == (1, last)
            lengths.append(last)
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]
    assert list(kept.iterdir()) == []


def test_a_damaged_database_is_named(folders: tuple[Path, Path]) -> None:
    """A copy of a database that SQLite can't read is none: it is named, and nothing is written."""
    data, kept = folders
    with contextlib.closing(sqlite3.connect(data / "counts.db")) as db:
        db.execute("CREATE TABLE counts (n INTEGER PRIMARY KEY, pad BLOB)")
        db.executemany("INSERT INTO counts VALUES (?, zeroblob(900))", [(n,) for n in range(200)])
        db.commit()
    content = bytearray((data / "counts.db").read_bytes())
    content[4096 * 5 : 4096 * 9] = b"\xff" * 4096 * 4
    (data / "counts.db").write_bytes(content)

    done = _run(data, kept, "pack")

    assert done.returncode
    assert b"counts.db: SQLite says:" in done.stderr
    assert done.stdout == b""


@pytest.mark.parametrize("after", [0.05, 0.08, 0.1])
def test_a_backup_that_is_killed_leaves_the_data_alone(folders: tuple[Path, Path], after: float) -> None:
    """Killed at any moment, it has changed nothing; its work folder goes with a later one."""
    data, kept = folders
    first = _fill(data, "first", 200)
    _killed(_command(data, kept, "pack"), after)
    assert _content(data) == first
    for folder in kept.iterdir():
        _age(folder)
    _ok(data, kept, "pack")
    assert list(kept.iterdir()) == []


def _age(folder: Path) -> None:
    os.utime(folder, (1, 1))
