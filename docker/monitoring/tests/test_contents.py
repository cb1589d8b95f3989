"""An edit that keeps size and mtime is a change; what leaves the content as it was is none."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from monitor_rig import Monitor, Rules, Start, Target, eventually
from monitor_service.contents import Contents
from monitor_service.pattern import Ignore
from monitor_service.tree import Tree


def _edit_unseen(file: Path, text: str) -> None:
    """Other content of the same size in the same inode, under the old mtime."""
    status = file.stat()
    with file.open("r+") as opened:
        opened.write(text)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)


def _told(monitor: Monitor) -> list[tuple[str, str]]:
    return [(event["kind"], event["path"]) for event in monitor.events()]


@pytest.mark.parametrize("inotify", ["1", "0"], ids=["by a hint", "by a scan"])
def test_p11_an_edit_with_its_mtime_restored_is_reported(
    start: Start, rules: Rules, workspace: Path, inotify: str
) -> None:
    """Same size, same inode, same mtime, other bytes: one `modified`, whoever finds it."""
    (workspace / "f.txt").write_text("before")
    monitor = start(UC_INOTIFY=inotify, UC_RESCAN_SECONDS="0.5")

    _edit_unseen(workspace / "f.txt", "behind")

    eventually(lambda: _told(monitor) == [("modified", "f.txt")])


def test_p11_an_edit_with_its_mtime_restored_during_downtime_is_reported(
    start: Start, rules: Rules, workspace: Path
) -> None:
    """The digest is part of the snapshot on disk."""
    (workspace / "f.txt").write_text("before")
    start().kill()

    _edit_unseen(workspace / "f.txt", "behind")

    monitor = start()
    eventually(lambda: _told(monitor) == [("modified", "f.txt")])


def _chmod(file: Path) -> None:
    file.chmod(0o600)


def _hard_link(file: Path) -> None:
    file.with_name("link.ignored").hardlink_to(file)


def _same_again(file: Path) -> None:
    _edit_unseen(file, file.read_text())


@pytest.mark.parametrize("touch", [_chmod, _hard_link, _same_again])
def test_p11_a_moved_change_time_alone_is_not_news(
    start: Start, rules: Rules, workspace: Path, touch: Callable[[Path], None]
) -> None:
    """A chmod, a hard link as backups make them, and a rewrite of the same bytes are not reported."""
    (workspace / "f.txt").write_text("before")
    monitor = start(UC_IGNORE="*.ignored", UC_RESCAN_SECONDS="0.5")

    touch(workspace / "f.txt")
    scans = monitor.metric("monitoring_scans_total")
    eventually(lambda: monitor.metric("monitoring_scans_total") >= scans + 2)
    assert _told(monitor) == []
    _edit_unseen(workspace / "f.txt", "behind")

    eventually(lambda: _told(monitor) == [("modified", "f.txt")])
    assert monitor.metric("monitoring_missed_by_inotify_total") == 0


@pytest.mark.parametrize("name", ["large.bin", ".env"])
def test_p11_what_is_not_read_is_reported_by_its_change_time(
    start: Start, rules: Rules, workspace: Path, name: str
) -> None:
    """Of a file over UC_HASH_BYTES, and of a secret file, a moved change time alone counts as a change."""
    (workspace / name).write_text("0123456789")
    monitor = start(UC_HASH_BYTES="9" if name == "large.bin" else "")

    _edit_unseen(workspace / name, "9876543210")

    eventually(lambda: _told(monitor) == [("modified", name)])


def test_p11_without_hashes_change_times_do_not_count(start: Start, rules: Rules, workspace: Path) -> None:
    """UC_HASH_BYTES=0 is for file systems whose change times mean nothing: size, mtime and inode alone are compared."""
    (workspace / "f.txt").write_text("before")
    monitor = start(UC_HASH_BYTES="0", UC_RESCAN_SECONDS="0.5")

    _edit_unseen(workspace / "f.txt", "behind")
    scans = monitor.metric("monitoring_scans_total")
    eventually(lambda: monitor.metric("monitoring_scans_total") >= scans + 2)

    assert _told(monitor) == []


def test_p11_a_store_of_an_earlier_release_is_taken_over_without_news(
    start: Start, rules: Rules, workspace: Path, home: Path
) -> None:
    """A snapshot without change times and digests gets them at the first scan; no file is reported for it."""
    (workspace / "f.txt").write_text("before")
    start().terminate()
    with closing(sqlite3.connect(home / "data" / "monitoring.db")) as store:
        for column in ("ctime_ns", "digest"):
            store.execute(f"ALTER TABLE files DROP COLUMN {column}")
        store.commit()

    monitor = start()
    assert _told(monitor) == []
    _edit_unseen(workspace / "f.txt", "behind")

    eventually(lambda: _told(monitor) == [("modified", "f.txt")])


def test_p11_a_digest_belongs_to_its_signature(workspace: Path) -> None:
    """A file that changed between its stat and the reading has no digest: the next look decides again."""
    tree = Tree(workspace, Ignore([]))
    contents = Contents(tree, 100)
    file = workspace / "f.txt"
    file.write_text("before")
    before = tree.signature(file.lstat())
    assert before is not None
    assert contents.digest("f.txt", before) is not None

    _edit_unseen(file, "behind")

    assert contents.digest("f.txt", before) is None


def test_s10_no_content_of_a_secret_file_leaves_the_tree(
    start: Start, rules: Rules, target: Target, workspace: Path, home: Path
) -> None:
    """Of an environment file the target gets the path, and neither target nor store gets its content or a digest."""
    monitor = start()
    (workspace / ".env").write_text("API_KEY=a-value-to-look-for\n")

    eventually(lambda: target.told() == [("added", ".env")])
    eventually(lambda: monitor.metric("monitoring_outbox_depth") == 0)
    monitor.terminate()

    assert "a-value-to-look-for" not in str(target.requests)
    assert not any(b"a-value-to-look-for" in file.read_bytes() for file in (home / "data").iterdir())
    with closing(sqlite3.connect(home / "data" / "monitoring.db")) as store:
        assert store.execute("SELECT path, digest FROM files").fetchall() == [(".env", None)]
