"""Changes in a row are told as what they amount to, in their file's order, and never held back for good."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from monitor_rig import Rules, Start, Target, eventually


def test_writes_in_a_row_are_one_delivery(start: Start, rules: Rules, target: Target, workspace: Path) -> None:
    """A file that is written again within the debounce is told once, as what the changes amount to."""
    rules(debounce=5)
    monitor = start()

    (workspace / "passing.tmp").write_text("x")
    eventually(lambda: monitor.events(path="passing.tmp"))
    (workspace / "passing.tmp").unlink()
    eventually(lambda: not monitor.events(path="passing.tmp"))
    seen = {""}
    for length in range(1, 4):  # each write has been taken in before the next one
        (workspace / "log.txt").write_text("x" * length)
        seen.add(eventually(lambda: next((e["at"] for e in monitor.events() if e["at"] not in seen), None)))

    eventually(lambda: monitor.events(status="delivered"))
    assert monitor.metric("monitoring_outbox_depth") == 0
    assert target.told() == [("added", "log.txt")]
    assert [(event["kind"], event["path"]) for event in monitor.events()] == [("added", "log.txt")]


def test_each_trigger_has_its_own_debounce(start: Start, rules: Rules, target: Target, workspace: Path) -> None:
    """A patient trigger tells a row of changes once, while a quick one tells each of them."""
    slow = '[[triggers]]\nname = "slow"\ndebounce = 5\ntarget = "hook"\npath = "/slow"'
    rules(trigger_keys=slow)
    monitor = start()

    for length in range(1, 4):
        (workspace / "f.txt").write_text("x" * length)
        eventually(partial(target.was_asked, length))

    eventually(lambda: len(target.requests) >= 4 and monitor.metric("monitoring_outbox_depth") == 0)
    assert [request["path"] for request in target.requests] == ["/", "/", "/", "/slow"]


def test_a_file_that_changes_all_the_time_is_still_reported(
    start: Start, rules: Rules, target: Target, workspace: Path
) -> None:
    """A steady writer can't hold a delivery back for more than ten times the debounce."""
    rules(debounce=0.25)
    start()

    deadline = time.monotonic() + 8
    length = 0
    while not target.requests:
        assert time.monotonic() < deadline
        length += 1
        (workspace / "log.txt").write_text("x" * length)
        time.sleep(0.05)


def test_one_files_changes_arrive_in_their_order(start: Start, rules: Rules, target: Target, workspace: Path) -> None:
    """While the first change of a file fails its later ones wait; other files go on."""
    rules(debounce=0)
    target.statuses = [503]
    monitor = start(UC_RETRY_BASE_SECONDS="6", UC_RETRY_CAP_SECONDS="6")  # long enough for the other file to overtake

    (workspace / "a.txt").write_text("1")
    eventually(lambda: target.requests)
    (workspace / "a.txt").unlink()
    eventually(lambda: len(monitor.events()) == 2)
    (workspace / "b.txt").write_text("1")

    eventually(lambda: len(monitor.events(status="delivered")) == 3)
    of_a = [kind for kind, path in target.told() if path == "a.txt"]
    assert of_a == sorted(of_a)  # added ... added, deleted
    assert of_a[-1] == "deleted"
    assert target.told()[-1] == ("deleted", "a.txt")
