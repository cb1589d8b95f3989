"""Triggers that collect, wait, go first or do several things: what is delivered, and that nothing is lost."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from monitor_rig import Rules, Start, Target, eventually
from monitor_service.rules_table import RulesError
from monitor_service.triggers import parse

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
