"""A target's secret is read at each delivery, never left out, and never logged."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

from monitor_rig import Rules, Start, Target, eventually


def test_a_rotated_secret_is_used_by_the_next_attempt(
    start: Start, rules: Rules, target: Target, workspace: Path, home: Path
) -> None:
    """The key file is read at each delivery: overwritten or replaced, no restart is needed; a 401 is retried."""
    rules(target_keys='auth = "x-api-key"\nsecret = "langgraph_api_key"')
    key = home / "secrets" / "langgraph_api_key"
    target.always = 401
    start(UC_RETRY_CAP_SECONDS="0.2")
    (workspace / "f.txt").write_text("x")
    eventually(lambda: len(target.requests) >= 2)

    key.write_text("second-key\n")
    eventually(lambda: target.requests[-1]["headers"]["x-api-key"] == "second-key")
    fresh = home / "secrets" / "fresh"
    fresh.write_text("third-key\n")
    fresh.replace(key)
    eventually(lambda: target.requests[-1]["headers"]["x-api-key"] == "third-key")


def test_without_its_secret_nothing_is_sent(
    start: Start, rules: Rules, target: Target, workspace: Path, home: Path
) -> None:
    """A target whose secret file is empty gets no unauthenticated request; the delivery waits and says why."""
    rules(target_keys='auth = "bearer"\nsecret = "langgraph_api_key"')
    key = home / "secrets" / "langgraph_api_key"
    key.write_text("")
    monitor = start(wait=False)
    eventually(monitor.answers)
    (workspace / "f.txt").write_text("x")
    event = eventually(lambda: [e for e in monitor.events() if e["deliveries"][0]["attempts"] >= 1])[0]
    assert event["deliveries"][0]["error"] == "secret langgraph_api_key is missing, empty or not printable ASCII"
    assert target.requests == []

    key.write_text("a-key")

    eventually(lambda: target.requests)
    assert target.requests[0]["headers"]["authorization"] == "Bearer a-key"


def test_a_key_with_a_byte_order_mark_is_sent_without_it(
    start: Start, rules: Rules, target: Target, workspace: Path, home: Path
) -> None:
    """An editor's byte order mark in front of the key is not sent; a key that is not ASCII waits, and is not logged."""
    rules(target_keys='auth = "x-api-key"\nsecret = "langgraph_api_key"')
    key = home / "secrets" / "langgraph_api_key"
    key.write_text("n\u00f6-key\n")
    monitor = start(wait=False, UC_RETRY_BASE_SECONDS="0.3", UC_RETRY_CAP_SECONDS="0.3")
    eventually(monitor.answers)
    (workspace / "f.txt").write_text("x")
    eventually(lambda: [e for e in monitor.events() if e["deliveries"][0]["attempts"] >= 1])
    assert target.requests == []

    key.write_bytes(codecs.BOM_UTF8 + b"marked-key\n")

    eventually(lambda: target.requests)
    assert target.requests[0]["headers"]["x-api-key"] == "marked-key"
    attempts = eventually(lambda: monitor.events(status="delivered"))[0]["deliveries"][0]["attempts"]
    monitor.terminate()
    told = [line["event"] for line in monitor.logs() if line["event"] in {"delivery_failed", "python", "delivered"}]
    assert told == ["delivery_failed"] * (attempts - 1) + ["delivered"]
    assert "-key" not in json.dumps(monitor.logs())


def test_no_secret_and_no_token_is_logged(start: Start, target: Target, workspace: Path) -> None:
    """Neither the key that is sent nor the token that is asked for appears in the output, even at debug level."""
    monitor = start(LANGGRAPH_URL=target.url, UC_LOG_LEVEL="DEBUG")
    (workspace / "f.txt").write_text("x")
    eventually(lambda: target.requests)
    monitor.terminate()

    output = json.dumps(monitor.logs())
    assert "first-key" not in output
    assert "monitoring-token" not in output
