"""Every change is delivered at least once, or shown as a dead letter."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import uuid
from pathlib import Path

from monitor_rig import Rules, Start, Target, eventually
from monitor_service import triggers
from monitor_service.dispatch import Dispatcher
from monitor_service.outbox import Delivery, Outbox, Result
from monitor_service.settings import Settings

from tests.support.machine import own_namespaces


def test_the_shipped_trigger_starts_a_triage_run(start: Start, target: Target, workspace: Path) -> None:
    """Without a triggers file each change becomes a `triage` run on a thread whose id follows from the event's."""
    monitor = start(LANGGRAPH_URL=target.url)

    (workspace / "Editor.log").write_text("error CS1002")
    eventually(lambda: target.requests)
    event = eventually(lambda: [e for e in monitor.events() if e["deliveries"][0]["status"] == "delivered"])[0]

    told = target.requests[0]
    assert told["path"] == f"/threads/{uuid.uuid5(uuid.NAMESPACE_URL, event['id'])}/runs"
    assert told["body"] == {
        "assistant_id": "triage",
        "if_not_exists": "create",
        "input": {"event": {key: event[key] for key in ("id", "path", "kind", "at")}},
    }
    assert told["headers"]["x-api-key"] == "first-key"
    assert told["headers"]["x-request-id"] == event["id"]
    assert told["headers"]["idempotency-key"] == f"{event['id']}:triage"
    assert event["deliveries"] == [
        {
            "trigger": "triage",
            "status": "delivered",
            "attempts": 1,
            "response": {"status": 200, "body": {"run_id": "run-1"}},
            "error": None,
        }
    ]


def test_a_failing_target_is_asked_until_it_accepts(
    start: Start, rules: Rules, target: Target, workspace: Path
) -> None:
    """503 four times, then 200: delivered at the fifth attempt, always with the same Idempotency-Key."""
    target.statuses = [503] * 4
    monitor = start()

    (workspace / "f.txt").write_text("x")

    eventually(lambda: monitor.events() and monitor.events()[0]["deliveries"][0]["status"] == "delivered")
    delivery = monitor.events()[0]["deliveries"][0]
    assert (delivery["attempts"], delivery["error"]) == (5, None)
    assert len({request["headers"]["idempotency-key"] for request in target.requests}) == 1
    waits = [b["at"] - a["at"] for a, b in zip(target.requests, target.requests[1:], strict=False)]
    assert waits[3] > waits[0]


def test_a_dead_letter_is_shown_and_can_be_sent_again(
    start: Start, rules: Rules, target: Target, workspace: Path
) -> None:
    """After max_attempts the delivery is dead, listed by status=dead, counted, and redelivered on request."""
    rules(target_keys="max_attempts = 3")
    target.always = 500
    monitor = start()

    (workspace / "f.txt").write_text("x")

    event = eventually(lambda: monitor.events(status="dead"))[0]
    assert event["deliveries"][0]["attempts"] == 3
    assert "given up after 3 attempts" in event["deliveries"][0]["error"]
    assert monitor.metric("monitoring_dead_letters") == 1
    target.always = 200
    assert monitor.post(f"/events/{event['id']}/redeliver").status_code == 202
    eventually(lambda: monitor.events(status="delivered"))
    assert monitor.post(f"/events/{event['id']}/redeliver").status_code == 409


def test_a_hopeless_answer_is_dead_at_once(start: Start, rules: Rules, target: Target, workspace: Path) -> None:
    """422 means that the request itself is wrong: it is not repeated."""
    target.always = 422
    monitor = start()

    (workspace / "f.txt").write_text("x")

    event = eventually(lambda: monitor.events(status="dead"))[0]
    assert event["deliveries"][0]["response"] == {"status": 422, "body": {"run_id": "run-1"}}
    assert len(target.requests) == 1


def test_a_target_that_is_away_gets_everything_when_it_is_back(
    start: Start, rules: Rules, target: Target, workspace: Path, home: Path
) -> None:
    """A refused connection and a restart of the service in between lose nothing."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        unused = f"http://127.0.0.1:{probe.getsockname()[1]}"
    file = home / "config" / "triggers.toml"
    good = file.read_text()
    file.write_text(good.replace(target.url, unused))
    monitor = start(UC_RETRY_CAP_SECONDS="0.3")
    (workspace / "f.txt").write_text("x")
    failed = eventually(lambda: [e for e in monitor.events() if e["deliveries"][0]["attempts"] > 1])[0]
    assert "ConnectError" in failed["deliveries"][0]["error"]

    monitor.kill()
    file.write_text(good)
    start()

    eventually(lambda: target.told() == [("added", "f.txt")])


class OneDelivery(Outbox):
    """An outbox in memory: one delivery, due again at once after each failed attempt."""

    def __init__(self) -> None:
        self.settled: list[Result] = []
        self.dead = threading.Event()

    def due(self, _limit: int) -> list[Delivery]:
        delivery = Delivery(
            event=1,
            event_id="e-1",
            trigger="t",
            target="t",
            url_path="",
            body="{}",
            attempts=len(self.settled),
            noticed=0.0,
        )
        return [] if self.dead.is_set() else [delivery]

    def next_due(self) -> float | None:
        return 0.0

    def settle(self, _delivery: Delivery, result: Result) -> None:
        self.settled.append(result)
        if result.status == "dead":
            self.dead.set()


def test_an_attempt_that_breaks_is_a_failed_one() -> None:
    """Whatever an attempt dies of is settled by its kind alone: it waits longer each time, and is dead in the end."""
    broken = triggers.Target(  # half a character, that no URL can carry: httpx lets the encoder's own error out
        name="t", url="http://127.0.0.1:1/\udcff", auth="none", secret="", timeout=1, max_attempts=3
    )
    rules = triggers.Ruleset(targets={"t": broken}, triggers=())

    async def settled() -> list[Result]:
        outbox = OneDelivery()
        dispatcher = Dispatcher(outbox, lambda: rules, Settings.from_env({}))
        running = asyncio.create_task(dispatcher.run())
        await asyncio.to_thread(outbox.dead.wait, 20)
        await dispatcher.stop()
        await running
        return outbox.settled

    first, second, last = asyncio.run(settled())

    assert first == Result(status="pending", wait=first.wait, error="UnicodeEncodeError")
    assert 0 < first.wait < second.wait
    assert last == Result(status="dead", error="UnicodeEncodeError (given up after 3 attempts)")


def test_sigterm_lets_a_delivery_finish(start: Start, rules: Rules, target: Target, workspace: Path) -> None:
    """SIGTERM ends the process within Docker's grace; a delivery under way is completed and never made again."""
    target.go.clear()
    monitor = start()
    (workspace / "f.txt").write_text("x")
    eventually(lambda: target.requests)

    monitor.terminate(while_it_stops=target.go.set)

    again = start()
    assert again.events()[0]["deliveries"][0]["status"] == "delivered"
    assert len(target.requests) == 1


def test_sigterm_does_not_wait_for_a_target_that_hangs(
    start: Start, rules: Rules, target: Target, workspace: Path
) -> None:
    """The process ends within Docker's grace while a target still owes its answer; a restart delivers again."""
    target.go.clear()
    monitor = start()
    (workspace / "f.txt").write_text("x")
    eventually(lambda: target.requests)

    monitor.terminate()

    target.go.set()
    again = start()
    eventually(lambda: again.events(status="delivered"))
    assert len({request["headers"]["idempotency-key"] for request in target.requests}) == 1


def test_a_full_disk_loses_nothing(start: Start, rules: Rules, target: Target, workspace: Path, home: Path) -> None:
    """300 changes made while the store's disk is full: unhealthy, no crash; with room again each one is delivered."""
    # The log of SQLite alone takes 4 MB before it is folded into the database.
    mount = 'mount -t tmpfs -o size=16m none data && exec "$@"'
    monitor = start((*own_namespaces(), "sh", "-c", mount, "sh"), UC_RETRY_CAP_SECONDS="0.3")
    ballast = Path(f"/proc/{monitor.process.pid}/root{home}/data/ballast")
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass

    for number in range(300):
        (workspace / f"{number}.txt").write_text("x")
    eventually(lambda: monitor.get("/health", token="").status_code == 503)
    assert "full" in monitor.health()["reasons"][0]
    assert monitor.get("/events").status_code in {200, 503}
    assert monitor.get("/metrics", token="").status_code in {200, 503}
    ballast.unlink()

    eventually(lambda: monitor.get("/health", token="").status_code == 200)
    eventually(lambda: {path for _, path in target.told()} == {f"{number}.txt" for number in range(300)}, 60)
    eventually(lambda: monitor.metric("monitoring_outbox_depth") == 0)
    assert "Traceback" not in json.dumps(monitor.logs())
