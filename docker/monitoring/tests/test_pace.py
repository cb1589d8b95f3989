"""When deliveries are made: cooldowns, priorities, and writers that never rest."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from monitor_rig import Monitor, Rules, Start, Target, eventually
from monitor_service.outbox import Outbox, Result
from monitor_service.recorder import plan
from monitor_service.store import Change, Store
from monitor_service.tree import Signature
from monitor_service.triggers import declared, parse

TARGET = '[targets.t]\nurl = "http://t:1"\n\n'
TRIGGER = '[[triggers]]\nname = "a"\n'


class Clocked:
    """A store with rules, without a service: changes are recorded, and deliveries taken and settled, by hand."""

    def __init__(self, home: Path, keys: str) -> None:
        self.rules = parse(TARGET + keys, {})
        self.store = Store(home / "clocked.db")
        self.outbox = Outbox(self.store)

    def change(self, *paths: str) -> None:
        changes = [Change(path=path, kind="modified", signature=Signature(1, 1, 1, 1)) for path in paths]
        self.store.record(changes, lambda event: plan(self.rules, event))

    def due(self) -> list[tuple[str, str]]:
        names = dict(self.store.connection().execute("SELECT seq, path FROM events").fetchall())
        return [(delivery.trigger, names[delivery.event]) for delivery in self.outbox.due(100)]

    def deliver(self) -> list[tuple[str, str]]:
        """Settle all that is due, as delivered."""
        taken = self.due()
        for delivery in self.outbox.due(100):
            self.outbox.settle(delivery, Result(status="delivered"))
        return taken

    def pass_time(self, seconds: float) -> None:
        """Everything in the store is that much older."""
        with self.store.write() as db:
            db.execute("UPDATE deliveries SET due = due - ?, first = first - ?", (seconds, seconds))
            db.execute("UPDATE cooldowns SET until = until - ?", (seconds,))
            db.execute("UPDATE events SET noticed = noticed - ?", (seconds,))


ByHand = Callable[[str], Clocked]


@pytest.fixture
def by_hand(home: Path) -> Iterator[ByHand]:
    """Make a store with rules; its connection is closed at the end."""
    made: list[Clocked] = []

    def make(keys: str) -> Clocked:
        made.append(Clocked(home, keys))
        return made[-1]

    yield make
    for clocked in made:
        clocked.store.connection().close()


def _trigger(name: str, keys: str) -> str:
    return f'[[triggers]]\nname = "{name}"\ntarget = "t"\n{keys}\n'


def test_s10_a_files_cooldown_merges_what_comes_meanwhile(by_hand: ByHand) -> None:
    """After a delivery the same file's next one is `cooldown` seconds later, and is one for all changes in between."""
    clocked = by_hand(_trigger("a", "debounce = 0\ncooldown = 60"))
    clocked.change("f")
    assert clocked.deliver() == [("a", "f")]

    clocked.change("f")
    clocked.change("f")
    clocked.change("other")
    assert clocked.deliver() == [("a", "other")]
    clocked.pass_time(59)
    assert clocked.deliver() == []
    clocked.pass_time(2)

    assert clocked.deliver() == [("a", "f")]
    clocked.pass_time(61)
    assert clocked.deliver() == []


def test_s10_a_triggers_cooldown_holds_for_every_file(by_hand: ByHand) -> None:
    """Per trigger there is one delivery, then none for `cooldown` seconds, whatever the file; none is lost."""
    clocked = by_hand(_trigger("a", "debounce = 0\ncooldown = 60\ncooldown_per = 'trigger'"))
    clocked.change("f", "g", "h")

    told = []
    for _ in range(3):
        told += clocked.deliver()
        assert clocked.deliver() == []
        clocked.pass_time(61)

    assert told == [("a", "f"), ("a", "g"), ("a", "h")]


def test_s10_a_batch_waits_for_the_cooldown_even_when_it_is_full(by_hand: ByHand) -> None:
    """Between two batches lie `cooldown` seconds."""
    clocked = by_hand(_trigger("a", "batch = 1\nbatch_paths = 2\ncooldown = 60"))
    clocked.change("f", "g")
    assert clocked.deliver() == [("a", "f")]
    clocked.change("h", "i", "j")
    assert clocked.deliver() == []

    clocked.pass_time(61)

    assert clocked.deliver() == [("a", "h")]


def test_s10_the_higher_priority_goes_first(by_hand: ByHand) -> None:
    """When several deliveries are due the highest priority is first, then the longest waiting."""
    keys = [("low", "priority = -1"), ("plain", ""), ("high", "priority = 7")]
    clocked = by_hand("".join(_trigger(name, f"debounce = 0\n{more}") for name, more in keys))

    clocked.change("f")
    clocked.change("g")

    assert clocked.due() == [(name, path) for name in ("high", "plain", "low") for path in ("f", "g")]


def test_s10_a_change_of_high_priority_overtakes_a_full_outbox(
    start: Start, home: Path, rules: Rules, target: Target, workspace: Path
) -> None:
    """With 200 deliveries waiting for a slow target, the urgent one is among the next ones, not the last."""
    file = home / "config" / "triggers.toml"
    rules(glob="bulk-*")
    urgent = '[[triggers]]\nname = "urgent"\nglob = "urgent"\npriority = 10\ndebounce = 0.05\ntarget = "hook"\n'
    file.write_text(file.read_text() + urgent)
    target.go.clear()
    monitor = start()
    for number in range(200):
        (workspace / f"bulk-{number}").write_text("x")
    eventually(lambda: len(target.requests) == 8 and monitor.metric("monitoring_outbox_depth") == 200)
    (workspace / "urgent").write_text("x")
    eventually(partial(monitor.knows, "urgent"))
    time.sleep(0.5)  # its debounce
    target.go.set()

    eventually(lambda: ("added", "urgent") in target.told())
    assert target.told().index(("added", "urgent")) < 40


def test_s10_a_steady_writer_is_reported_by_a_patient_trigger_beside_a_quick_one(by_hand: ByHand) -> None:
    """What a quick trigger has sent does not begin the patient one's time anew: ten times its debounce is the limit."""
    clocked = by_hand(_trigger("quick", "debounce = 0") + _trigger("patient", "debounce = 5"))
    told = []

    for _ in range(14):
        clocked.change("f")
        told += clocked.deliver()
        clocked.pass_time(4)

    assert ("patient", "f") in told


def test_s10_names_are_read_from_a_refused_file_too() -> None:
    """What a file declares is known although the file can't be used; of what is no TOML nothing is."""
    assert declared(TARGET + TRIGGER + "cooldwon = 1") == ["a"]
    assert declared("[[triggers") == []


def test_s10_deliveries_of_an_earlier_release_are_made(
    start: Start, rules: Rules, target: Target, workspace: Path, home: Path
) -> None:
    """Rows that were written before there were lanes and batches are delivered, in their file's order."""
    target.always = 503
    monitor = start(UC_RETRY_BASE_SECONDS="0.3", UC_RETRY_CAP_SECONDS="0.3")
    (workspace / "f.txt").write_text("x")
    eventually(lambda: target.requests)
    monitor.kill()
    with closing(sqlite3.connect(home / "data" / "monitoring.db")) as store:
        for index in ("pending_by_lane", "pending_by_priority", "open_batches", "by_batch"):
            store.execute(f"DROP INDEX {index}")
        for column in ("lane", "first", "priority", "cooldown", "batch", "batch_paths"):
            store.execute(f"ALTER TABLE deliveries DROP COLUMN {column}")
        store.execute("DROP TABLE cooldowns")
        store.commit()
    target.always = 200
    again: Monitor = start()

    eventually(lambda: again.events(status="delivered"))
