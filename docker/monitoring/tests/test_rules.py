"""Triggers that collect, wait, go first or do several things: what is delivered, and that nothing is lost."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from monitor_rig import Monitor, Rules, Start, Target, eventually
from monitor_service.outbox import Outbox, Result
from monitor_service.recorder import plan
from monitor_service.rules_table import RulesError
from monitor_service.store import Change, Store
from monitor_service.tree import Signature
from monitor_service.triggers import declared, parse

TARGET = '[targets.t]\nurl = "http://t:1"\n\n'
TRIGGER = '[[triggers]]\nname = "a"\n'


@pytest.mark.parametrize(
    ("keys", "line", "reason"),
    [
        ('target = "t"\ncooldwon = 1', 7, "perhaps you meant 'cooldown'"),
        ('target = "t"\ncooldown = -1', 7, "'cooldown' must be a number from 0 to 86400"),
        ('target = "t"\ncooldown_per = "path"', 7, "needs `cooldown`"),
        ('target = "t"\ncooldown = 1\ncooldown_per = "pahts"', 8, "perhaps you meant 'path'"),
        ('target = "t"\nbatch = "5"', 7, "'batch' must be a number"),
        ('target = "t"\nbatch_paths = 5', 7, "needs `batch`"),
        ('target = "t"\nbatch = 5\nbatch_paths = 2.5', 8, "'batch_paths' must be a whole number"),
        ('target = "t"\nbatch = 5\ndebounce = 1', 8, "a batch has no debounce"),
        ('target = "t"\nbatch = 5\ncooldown = 9\ncooldown_per = "path"', 9, "its cooldown is per 'trigger'"),
        ('target = "t"\nbatch = 5\n[triggers.template]\nx = "{event.path}"', 9, "a batch has many"),
        ('target = "t"\nbatch = 5\n[triggers.template]\nx = "all {events}"', 9, "stands alone"),
        ('target = "t"\n[triggers.template]\nx = "{events}"', 8, "needs `batch`"),
        ('target = "t"\npriority = 1.5', 7, "'priority' must be a whole number"),
        ('target = "t"\npriority = "high"', 7, "'priority' must be a number from -100 to 100"),
        ('target = "t"\n[[triggers.actions]]\ntarget = "t"', 6, "stands in each of the actions"),
        ('[[triggers.actions]]\ntarget = "u"', 7, "expected one of t"),
        ('[[triggers.actions]]\ntarget = "t"\n[[triggers.actions]]\ntarget = "t"', 8, "give each a `name`"),
        ('[[triggers.actions]]\ntarget = "t"\n[[triggers.actions]]\nname = "x"\ntraget = "t"', 10, "'target'"),
        ("actions = 3", 6, "[[triggers.actions]]"),
    ],
)
def test_s10_each_mistake_is_named_with_its_line(keys: str, line: int, reason: str) -> None:
    """A bad key or value is refused with its line, and with the right word where there is one near."""
    with pytest.raises(RulesError) as refused:
        parse(TARGET + TRIGGER + keys, {})

    assert reason in refused.value.reason
    assert refused.value.line == line


def test_s10_a_target_without_its_secret_is_refused_at_load(
    start: Start, rules: Rules, target: Target, workspace: Path, home: Path
) -> None:
    """The refusal names the file's line and the secret; once the secret is mounted the rules hold without an edit."""
    rules(glob="*.before")
    secret = home / "secrets" / "later"
    monitor = start(LATER_KEY_FILE=str(secret))
    text = (home / "config" / "triggers.toml").read_text().replace("*.before", "*.after")
    (home / "config" / "triggers.toml").write_text(
        text.replace("[[triggers]]", 'auth = "bearer"\nsecret = "later_key"\n[[triggers]]')
    )

    refused = eventually(lambda: monitor.health()["triggers"]["refused"])
    assert refused["line"] == 5
    assert "'later_key' is not mounted" in refused["reason"]
    assert str(secret) in refused["reason"]
    secret.write_text("a-key\n")

    eventually(lambda: monitor.health()["triggers"]["refused"] is None)
    (workspace / "x.after").write_text("x")
    eventually(lambda: target.requests)
    assert target.requests[0]["headers"]["authorization"] == "Bearer a-key"


def test_s10_one_pattern_has_several_actions(
    start: Start, home: Path, rules: Rules, target: Target, workspace: Path
) -> None:
    """Each action is a delivery of its own, with its own key: one that fails does not hold the other back."""
    file = home / "config" / "triggers.toml"
    text = file.read_text().replace('target = "hook"\n', "")
    actions = (
        '[[triggers.actions]]\ntarget = "hook"\npath = "/one"\n'
        '[[triggers.actions]]\nname = "second"\ntarget = "hook"\npath = "/two"\n'
        "[triggers.actions.template]\ntext = 'see {event.path}'\n"
    )
    file.write_text(text + actions)
    target.statuses = [503]
    monitor = start()

    (workspace / "f.txt").write_text("x")

    eventually(lambda: len(target.requests) == 3 and monitor.metric("monitoring_outbox_depth") == 0)
    deliveries = monitor.events()[0]["deliveries"]
    assert [(d["trigger"], d["status"]) for d in deliveries] == [
        ("hook.hook", "delivered"),
        ("hook.second", "delivered"),
    ]
    assert len({request["headers"]["idempotency-key"] for request in target.requests}) == 2
    assert {request["body"].get("text") for request in target.requests if request["path"] == "/two"} == {"see f.txt"}


def _paths(request: dict[str, Any]) -> list[str]:
    return [event["path"] for event in request["body"]["events"]]


def _batch_rules(rules: Rules, home: Path, keys: str) -> None:
    rules()
    file = home / "config" / "triggers.toml"
    file.write_text(file.read_text().replace("debounce = 0.05", keys))


def test_s10_a_batch_is_one_delivery_of_all_changes(
    start: Start, rules: Rules, target: Target, workspace: Path, home: Path
) -> None:
    """What changes within `batch` seconds comes together, in its order, each file once, as what it amounts to."""
    _batch_rules(rules, home, "batch = 4")
    monitor = start()

    for name in ("a", "b", "c"):
        (workspace / name).write_text("x")
        eventually(partial(monitor.knows, name))
    (workspace / "a").write_text("longer")
    (workspace / "b").unlink()

    eventually(lambda: target.requests and monitor.metric("monitoring_outbox_depth") == 0)
    (request,) = target.requests
    assert sorted(_paths(request)) == ["a", "c"]
    assert {event["kind"] for event in request["body"]["events"]} == {"added"}
    assert all(set(event) == {"id", "path", "kind", "at"} for event in request["body"]["events"])
    first = request["body"]["events"][0]["id"]
    assert request["headers"]["idempotency-key"] == f"{first}:hook"
    shown = [event["deliveries"][0] for event in monitor.events()]
    assert {(d["status"], d["attempts"], d["batch"], str(d["response"])) for d in shown} == {
        ("delivered", 1, first, str({"status": 200, "body": {"run_id": "run-1"}}))
    }


def test_s10_a_full_batch_goes_at_once(start: Start, rules: Rules, target: Target, workspace: Path, home: Path) -> None:
    """`batch_paths` changes are not held for the rest of the time, and none has more."""
    _batch_rules(rules, home, "batch = 3600\nbatch_paths = 10")
    start()

    for number in range(25):
        (workspace / f"{number:02}").write_text("x")

    eventually(lambda: len(target.requests) == 2)
    assert [len(_paths(request)) for request in target.requests] == [10, 10]
    assert len({path for request in target.requests for path in _paths(request)}) == 20


def test_s10_a_batch_survives_a_kill_as_it_was(
    start: Start, rules: Rules, target: Target, workspace: Path, home: Path
) -> None:
    """kill -9 while a batch is under way: it comes again, same key, same body; what came later is the next batch."""
    _batch_rules(rules, home, "batch = 1")
    target.go.clear()
    monitor = start()
    for number in range(20):
        (workspace / f"first-{number}").write_text("x")
    eventually(lambda: target.requests)
    (workspace / "second").write_text("x")
    eventually(partial(monitor.knows, "second"))

    monitor.kill()
    target.go.set()
    (workspace / "offline").write_text("x")
    again = start()

    eventually(lambda: again.knows("offline") and again.metric("monitoring_outbox_depth") == 0)
    first, repeated, *rest = target.requests
    assert repeated["body"] == first["body"]
    assert repeated["headers"]["idempotency-key"] == first["headers"]["idempotency-key"]
    told = [path for request in (first, *rest) for path in _paths(request)]
    assert sorted(told) == sorted([*(f"first-{number}" for number in range(20)), "offline", "second"])


def test_s10_a_dead_batch_is_sent_again_whole(
    start: Start, rules: Rules, target: Target, workspace: Path, home: Path
) -> None:
    """A batch that was given up is listed for each of its events, and one redeliver sends all of it again."""
    _batch_rules(rules, home, "batch = 0.5")
    target.always = 422
    monitor = start()
    for name in ("a", "b"):
        (workspace / name).write_text("x")
    eventually(lambda: len(monitor.events(status="dead")) == 2)
    dead = monitor.events(status="dead")
    target.always = 200

    assert monitor.post(f"/events/{dead[1]['id']}/redeliver").json() == {"pending": 2}

    eventually(lambda: len(monitor.events(status="delivered")) == 2)
    assert target.requests[0]["body"] == target.requests[-1]["body"]


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
