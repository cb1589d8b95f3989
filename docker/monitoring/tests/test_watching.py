"""What changes in the tree is told, whatever inotify keeps to itself."""

from __future__ import annotations

import os
import shutil
import signal
import time
from functools import partial
from pathlib import Path

import pytest
from monitor_rig import Rules, Start, Target, eventually
from monitor_service.hints import Hints
from monitor_service.pattern import Ignore
from monitor_service.tree import Tree

from tests.support.machine import own_namespaces


def test_files_in_new_nested_folders_are_all_seen(start: Start, rules: Rules, workspace: Path) -> None:
    """2000 files made inside folders that were made a moment before are all recorded, with no rescan to help."""
    rules(glob="nothing")
    monitor = start()

    for folder in range(200):
        deep = workspace / f"a{folder % 10}" / f"b{folder}" / "c"
        deep.mkdir(parents=True)
        for number in range(10):
            (deep / f"{number}.txt").touch()

    eventually(lambda: len(set(monitor.every_path())) == 2000)
    assert len(monitor.every_path()) == 2000
    assert monitor.metric("monitoring_scans_total") <= 3  # start-up, and a burst with its second look


def test_a_queue_overflow_loses_nothing(start: Start, rules: Rules, workspace: Path) -> None:
    """20,000 files made while the process is stopped overflow the kernel's queue; all of them are recorded."""
    rules(glob="nothing")
    monitor = start()

    monitor.process.send_signal(signal.SIGSTOP)
    for number in range(20_000):
        os.close(os.open(workspace / f"{number}.txt", os.O_CREAT | os.O_WRONLY))
    monitor.process.send_signal(signal.SIGCONT)

    eventually(lambda: monitor.metric("monitoring_events_total") == 20_000, 20)
    assert len(set(monitor.every_path())) == 20_000
    eventually(lambda: monitor.metric("monitoring_missed_by_inotify_total") > 1000)


def test_changes_during_downtime_are_reported_after_the_restart(
    start: Start, rules: Rules, target: Target, workspace: Path
) -> None:
    """kill -9, then 100 new files, one edit and one deletion: every one is delivered after the restart."""
    for name in ("kept.txt", "edited.txt", "deleted.txt"):
        (workspace / name).write_text("before")
    first = start()
    (workspace / "online.txt").write_text("x")
    eventually(lambda: target.told() == [("added", "online.txt")])

    first.kill()
    for number in range(100):
        (workspace / f"offline-{number}.txt").write_text("x")
    (workspace / "edited.txt").write_text("after, and longer")
    (workspace / "deleted.txt").unlink()
    start()

    expected = {("added", f"offline-{number}.txt") for number in range(100)}
    expected |= {("added", "online.txt"), ("modified", "edited.txt"), ("deleted", "deleted.txt")}
    eventually(lambda: set(target.told()) == expected)


@pytest.mark.parametrize(("setting", "told"), [("0", []), ("1", [("added", "old.txt")])])
def test_the_first_scan_is_a_baseline(
    start: Start, rules: Rules, target: Target, workspace: Path, setting: str, told: list[tuple[str, str]]
) -> None:
    """What is there when the store is new fires only with UC_FIRE_ON_BASELINE; what comes later always does."""
    (workspace / "old.txt").write_text("x")
    start(UC_FIRE_ON_BASELINE=setting)

    (workspace / "new.txt").write_text("x")

    eventually(lambda: sorted(target.told()) == [("added", "new.txt"), *told])


def test_ignored_names_and_linked_folders_are_not_part_of_the_tree(
    start: Start, rules: Rules, workspace: Path, tmp_path: Path
) -> None:
    """Nothing under an ignored name and nothing behind a symbolic link is recorded; the link itself is."""
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in (".git", "src/node_modules", "src/plain"):
        (workspace / name).mkdir(parents=True)
    (workspace / "old-link").symlink_to(outside)
    monitor = start(UC_RESCAN_SECONDS="0.5")

    (workspace / "link").symlink_to(outside)
    for name in (".git/index", "src/node_modules/x.js", "link/behind.txt", "old-link/behind.txt", "src/plain/seen.txt"):
        (workspace / name).write_text("x")
    eventually(lambda: "src/plain/seen.txt" in monitor.every_path())
    scans = monitor.metric("monitoring_scans_total")
    eventually(lambda: monitor.metric("monitoring_scans_total") >= scans + 2)

    assert sorted(monitor.every_path()) == ["link", "src/plain/seen.txt"]


def test_changing_the_ignored_names_is_not_news(start: Start, rules: Rules, workspace: Path) -> None:
    """Files that UC_IGNORE newly hides or shows are neither deleted nor added: no event tells of them."""
    for name in ("hidden-later/a.txt", "hidden-before/b.txt"):
        (workspace / name).parent.mkdir()
        (workspace / name).write_text("x")
    start(UC_IGNORE="hidden-before").terminate()

    monitor = start(UC_IGNORE="hidden-later")
    (workspace / "hidden-before" / "b.txt").write_text("a change")

    eventually(lambda: monitor.every_path() == ["hidden-before/b.txt"])
    assert monitor.events()[0]["kind"] == "modified"


def test_moved_and_removed_folders_tell_of_their_files(start: Start, rules: Rules, workspace: Path) -> None:
    """A renamed folder is deletions and additions of its files, a removed one deletions."""
    for folder in ("old", "gone"):
        (workspace / folder / "deep").mkdir(parents=True)
        (workspace / folder / "deep" / "f.txt").write_text("x")
    monitor = start()

    (workspace / "old").rename(workspace / "new")
    shutil.rmtree(workspace / "gone")

    expected = [("added", "new/deep/f.txt"), ("deleted", "gone/deep/f.txt"), ("deleted", "old/deep/f.txt")]
    eventually(lambda: sorted((event["kind"], event["path"]) for event in monitor.events()) == expected)


def test_names_that_are_no_utf8_do_not_blind_it(start: Start, rules: Rules, workspace: Path) -> None:
    """A name that breaks watchfiles costs a new watch and a scan: that file and later ones are recorded."""
    monitor = start()

    (Path(os.fsdecode(os.fsencode(workspace) + b"/bad-\xff.txt"))).write_text("x")
    eventually(lambda: monitor.every_path() == ["bad-\\xff.txt"])
    eventually(lambda: monitor.metric("monitoring_inotify_active") == 1)
    (workspace / "good.txt").write_text("x")

    eventually(lambda: monitor.every_path() == ["bad-\\xff.txt", "good.txt"])
    assert monitor.metric("monitoring_watcher_restarts_total") >= 1


def test_a_folder_that_cannot_be_read_does_not_delete_its_files(start: Start, rules: Rules, workspace: Path) -> None:
    """Files in a folder that becomes unreadable are not told as deleted."""
    closed = workspace / "closed"
    closed.mkdir()
    (closed / "f.txt").write_text("x")
    monitor = start(_unprivileged(), UC_RESCAN_SECONDS="0.3")

    closed.chmod(0)
    try:
        eventually(lambda: monitor.metric("monitoring_unreadable_directories") == 1)
        (workspace / "other.txt").write_text("x")
        eventually(lambda: "other.txt" in monitor.every_path())
        assert monitor.every_path() == ["other.txt"]
    finally:
        closed.chmod(0o755)


def _unprivileged() -> tuple[str, ...]:
    """As root nothing is unreadable: the command that drops the capability which makes it so."""
    return ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all") if os.geteuid() == 0 else ()


def test_a_lost_workspace_is_unhealthy_and_not_a_deletion(start: Start, rules: Rules, workspace: Path) -> None:
    """While the root is away /health says so and nothing is told; when it is back only real changes are."""
    (workspace / "f.txt").write_text("x")
    monitor = start(UC_RESCAN_SECONDS="0.3")

    away = workspace.with_name("away")
    workspace.rename(away)
    eventually(lambda: monitor.health()["status"] == "unhealthy")
    away.rename(workspace)
    eventually(lambda: monitor.health()["status"] == "healthy")
    (workspace / "g.txt").write_text("x")

    eventually(lambda: monitor.every_path() == ["g.txt"])


def test_a_replaced_workspace_is_watched_again(start: Start, rules: Rules, workspace: Path) -> None:
    """When another folder takes the root's place the watch moves to it; its files are compared with the old ones."""
    (workspace / "f.txt").write_text("x")
    monitor = start()

    workspace.rename(workspace.with_name("away"))
    workspace.mkdir()
    eventually(lambda: monitor.every_path() == ["f.txt"])
    (workspace / "g.txt").write_text("x")

    eventually(lambda: monitor.every_path() == ["f.txt", "g.txt"])
    assert monitor.events()[0]["kind"] == "deleted"


def test_new_folders_are_looked_at_twice(workspace: Path) -> None:
    """A file that appears in a new folder before inotify watches it, so without a hint, is found by a second look."""
    hints = Hints(Tree(workspace, Ignore([])))
    (workspace / "new").mkdir()
    assert hints.changes({"new"}, {}, now=10.0) == []
    (workspace / "new" / "unhinted.txt").write_text("x")

    assert not hints.pending(10.1)
    assert hints.pending(11.0)
    assert [change.path for change in hints.changes(set(), {}, now=11.0)] == ["new/unhinted.txt"]
    assert not hints.pending(20.0)


def test_without_watches_left_it_says_so_and_scans(start: Start, rules: Rules, workspace: Path) -> None:
    """When max_user_watches is used up the error log names the remedy, and changes are found by scans."""
    for number in range(20):
        (workspace / f"d{number}").mkdir()
    lower = 'echo 5 > /proc/sys/user/max_inotify_watches; exec "$@"'
    monitor = start((*own_namespaces(), "sh", "-c", lower, "sh"), UC_RESCAN_SECONDS="0.5")

    (workspace / "d19" / "f.txt").write_text("x")

    eventually(lambda: monitor.every_path() == ["d19/f.txt"])
    assert monitor.health()["watcher"]["mode"] == "scans"
    assert monitor.metric("monitoring_inotify_active") == 0
    refusal = next(line for line in monitor.logs() if line["event"] == "inotify_unavailable")
    assert refusal["level"] == "error"
    assert "max_user_watches" in refusal["remedy"]


def test_the_change_reaches_the_target_quickly(start: Start, rules: Rules, target: Target, workspace: Path) -> None:
    """From the write to the target takes about the debounce plus a tenth of a second, not a scan's interval."""
    rules(debounce=0.1)
    start()

    delays = []
    for number in range(10):
        written = time.time()
        (workspace / f"{number}.txt").write_text("x")
        eventually(partial(target.was_asked, number + 1))
        delays.append(target.requests[-1]["at"] - written)

    assert sorted(delays)[5] < 0.5


def _virtualenv(folder: Path) -> None:
    """The files of `python -m venv`, in the order in which it makes them."""
    (folder / "bin").mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text("home = /usr/bin\n")
    for name in ("bin/python", "lib/python3.13/site-packages/x.py", "lib/python3.13/site-packages/pkg/y.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


@pytest.mark.parametrize("inotify", ["1", "0"], ids=["by hints", "by scans"])
def test_s10_a_virtual_environment_is_not_watched_whatever_its_name(
    start: Start, rules: Rules, workspace: Path, inotify: str
) -> None:
    """A folder with pyvenv.cfg is left out: one that is there, one that is made, what is installed, its removal."""
    _virtualenv(workspace / "old-env")
    monitor = start(UC_RESCAN_SECONDS="0.5", UC_INOTIFY=inotify)

    _virtualenv(workspace / "tools" / "py313")
    (workspace / "old-env" / "lib" / "python3.13" / "site-packages" / "new.py").write_text("x")
    (workspace / "tools" / "plain.py").write_text("x")
    eventually(lambda: "tools/plain.py" in monitor.every_path())
    scans = monitor.metric("monitoring_scans_total")
    eventually(lambda: monitor.metric("monitoring_scans_total") >= scans + 2)
    shutil.rmtree(workspace / "tools" / "py313")
    (workspace / "last").write_text("x")
    eventually(lambda: "last" in monitor.every_path())
    scans = monitor.metric("monitoring_scans_total")
    eventually(lambda: monitor.metric("monitoring_scans_total") >= scans + 2)

    assert sorted(monitor.every_path()) == ["last", "tools/plain.py"]
    assert monitor.metric("monitoring_files") == 2


def test_s10_a_folder_that_becomes_a_virtual_environment_is_no_deletion(
    start: Start, rules: Rules, target: Target, workspace: Path
) -> None:
    """Files that were recorded before the mark appeared, or by an earlier release, are dropped without a word."""
    (workspace / "env" / "lib").mkdir(parents=True)
    (workspace / "env" / "lib" / "x.py").write_text("x")
    monitor = start(UC_RESCAN_SECONDS="0.5")

    (workspace / "env" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    eventually(lambda: monitor.metric("monitoring_files") == 0)
    (workspace / "last").write_text("x")

    eventually(lambda: monitor.every_path() == ["last"])
    eventually(lambda: target.told() == [("added", "last")])
