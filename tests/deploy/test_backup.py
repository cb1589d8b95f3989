"""Backups of a service that writes without a pause, and restores of them: whole, or not at all, whatever is killed."""

from __future__ import annotations

import contextlib
import sqlite3
import tarfile
from pathlib import Path

from tests.support.coherent import assert_at_rest, running, started
from tests.support.counting import SERVICE, VOLUME, counted, counts, inside, rewritten, with_file
from tests.support.deploying import Site
from tests.support.project import Ran


def _backup(site: Site, path: Path) -> Path:
    ran = site.inv("backup", "--out", str(path), "--json")
    assert ran.code == 0, ran.text
    return path


def _refused(ran: Ran, *words: str) -> None:
    assert ran.code == 18, ran.text
    assert "try:" in ran.stderr, "no remedy"
    for word in words:
        assert word in ran.stderr, ran.text


def test_a_backup_of_a_running_service_comes_back(counter: Site, tmp_path: Path) -> None:
    """While numbers are counted on, the copy is whole and has no gap; a restore brings exactly that state."""
    counted(counter)
    counts(counter, "/note=before")
    ran = counter.inv("backup", "--out", str(tmp_path / "b.tar.gz"), "--json")
    assert ran.code == 0, ran.text
    assert ran.result["backup"]["volumes"][VOLUME]["format"] == 1
    assert {"counts.db", "note"} == set(ran.result["backup"]["volumes"][VOLUME]["files"])
    copy = inside(tmp_path / "b.tar.gz", tmp_path / "inside")
    copy.assert_sound()
    counts(counter, "/note=after")
    later = counted(counter, 300)
    assert (later.last > copy.last, later.note) == (True, "after")
    before = running(counter)[SERVICE]

    ran = counter.inv("restore", str(tmp_path / "b.tar.gz"), "--json")

    assert ran.code == 0, ran.text
    restored = counts(counter)
    restored.assert_sound()
    assert (restored.first, restored.note) == (1, "before")
    assert copy.last < restored.last
    assert running(counter)[SERVICE].digests == before.digests
    assert_at_rest(counter)
    assert [(entry["action"], entry["state"]) for entry in counter.deploys()[:1]] == [("restore", "done")]


def test_a_backup_that_does_not_fit_is_refused(counter: Site, tmp_path: Path) -> None:
    """One of another project, of a format that the image can't read, or damaged: refused, and nothing is touched."""
    good = _backup(counter, tmp_path / "b.tar.gz")
    later = rewritten(good, tmp_path / "later.tar.gz", volumes={VOLUME: {"format": 2}})
    foreign = rewritten(good, tmp_path / "foreign.tar.gz", project="another")
    damaged = tmp_path / "damaged.tar.gz"
    damaged.write_bytes(good.read_bytes()[:-5000])
    before = started(counter)

    _refused(counter.inv("restore", str(damaged)), "damaged.tar.gz")
    _refused(counter.inv("restore", str(later)), VOLUME, "format 2", "reads 1", "./inv deploy")
    _refused(counter.inv("restore", str(foreign)), "another", "--yes")

    assert started(counter) == before
    assert_at_rest(counter)
    ran = counter.inv("restore", str(foreign), "--yes", "--json")
    assert ran.code == 0, ran.text
    counts(counter).assert_sound()


def test_a_restore_after_which_the_service_does_not_run_is_undone(counter: Site, tmp_path: Path) -> None:
    """A backup that says less of its format than it has ends in the data of before, with exit 16."""
    other = _backup(counter, tmp_path / "b.tar.gz")
    with tarfile.open(other) as tar:
        tar.extractall(tmp_path / "inside", filter="data")
    file = tmp_path / "inside" / "volumes" / VOLUME / "counts.db"
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA user_version = 9")
    spoiled = with_file(other, tmp_path / "spoiled.tar.gz", VOLUME, "counts.db", file.read_bytes())
    counts(counter, "/note=kept")
    before = counted(counter)

    ran = counter.inv("restore", str(spoiled), "--json")

    assert ran.code == 16, ran.text
    assert "DATA: counter-data" in ran.stderr
    after = counts(counter)
    after.assert_sound()
    assert (after.note, after.last >= before.last) == ("kept", True)
    assert_at_rest(counter)
    assert counter.deploys()[0]["state"] == "rolled-back"
