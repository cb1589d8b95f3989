"""The HTTP side: who may ask, what is answered, what the probes say."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from monitor_rig import TOKEN, Rules, Start, Target, eventually
from monitor_service.store import VERSION
from prometheus_client.parser import text_string_to_metric_families


def test_only_probes_and_metrics_are_open(start: Start, home: Path) -> None:
    """Without the token everything but /health, /ready and /metrics is 401; a rotated token holds at once."""
    monitor = start()

    for path in ("/health", "/ready", "/metrics"):
        assert monitor.get(path, token="").status_code == 200
    for path in ("/events", "/events/x", "/triggers", "/nowhere"):
        assert monitor.get(path, token="").status_code == 401
        assert monitor.get(path, token="wrong").status_code == 401
    assert monitor.get("/events").status_code == 200
    (home / "secrets" / "monitoring_token").write_text("rotated\n")
    assert monitor.get("/events", token=TOKEN).status_code == 401
    assert monitor.get("/events", token="rotated").status_code == 200


def test_events_are_paged_and_filtered(start: Start, rules: Rules, workspace: Path) -> None:
    """`after` pages forward, no `after` is the newest, `path` is a file, a folder or a glob; mistakes are refused."""
    rules(glob="nothing")
    monitor = start()
    for name in ("a.txt", "docs/b.txt", "docs/c.md"):
        (workspace / name).parent.mkdir(exist_ok=True)
        (workspace / name).write_text("x")
        eventually(partial(monitor.knows, name))

    def paths(**params: str) -> list[str]:
        return [event["path"] for event in monitor.events(**params)]

    first = monitor.events(after="0", limit="1")[0]
    assert first["path"] == "a.txt"
    assert paths(after=first["id"]) == ["docs/b.txt", "docs/c.md"]
    assert paths(limit="2") == ["docs/b.txt", "docs/c.md"]
    assert paths(path="docs") == ["docs/b.txt", "docs/c.md"]
    assert paths(path="docs/b.txt") == ["docs/b.txt"]
    assert paths(path="*.md") == ["docs/c.md"]
    assert monitor.get(f"/events/{first['id']}").json() == first
    assert monitor.get("/events/unknown-1").status_code == 404
    assert monitor.get("/events", after="unknown-1").status_code == 400
    assert monitor.get("/events", limit="0").status_code == 400
    assert monitor.get("/events", status="lost").status_code == 400


def test_old_events_are_forgotten(start: Start, rules: Rules, workspace: Path) -> None:
    """No more than UC_KEEP_EVENTS events are kept; the snapshot stays whole."""
    rules(glob="nothing")
    monitor = start(UC_KEEP_EVENTS="5", UC_RESCAN_SECONDS="0.5")
    for number in range(20):
        (workspace / f"{number:02}.txt").write_text("x")

    eventually(lambda: monitor.metric("monitoring_files") == 20)
    eventually(lambda: len(monitor.every_path()) == 5)


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_metrics_parse_and_name_no_path(start: Start, rules: Rules, workspace: Path, accept: str) -> None:
    """The exposition is valid, has the watcher's own series, and no label holds a path."""
    monitor = start()
    (workspace / "a-name-to-look-for.txt").write_text("x")
    eventually(lambda: monitor.metric("monitoring_events_total") == 1)

    text = monitor._client.get("/metrics", headers={"accept": accept}).text

    assert "a-name-to-look-for" not in text
    if not accept:
        names = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
        assert {
            "http_requests_total",
            "http_request_duration_seconds_bucket",
            "http_requests_in_flight",
            "monitoring_missed_by_inotify_total",
            "monitoring_last_scan_age_seconds",
            "monitoring_outbox_depth",
            "monitoring_inotify_watches",
            "monitoring_deliveries_total",
        } <= names
    else:
        assert text.rstrip().endswith("# EOF")


def test_an_unwritable_store_is_unhealthy(start: Start, rules: Rules, home: Path) -> None:
    """When the store can't be written /health and /ready are 503 and name it; when it can again, 200."""
    monitor = start()
    store = home / "data" / "monitoring.db"
    holder = _lock(store)

    eventually(lambda: monitor.get("/health", token="").status_code == 503, 20)
    assert "event store" in monitor.health()["reasons"][0]
    unready = monitor.get("/ready", token="")
    assert (unready.status_code, unready.json()["status"]) == (503, "not ready")
    holder()
    eventually(lambda: monitor.get("/health", token="").status_code == 200, 15)


def _lock(store: Path) -> Callable[[], None]:
    """Hold the store's write lock, as a full or failing disk would keep writers out."""
    import sqlite3

    connection = sqlite3.connect(store, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return connection.close


def test_a_bad_setting_ends_the_start_with_one_line(start: Start) -> None:
    """A setting that can't be used ends the start with one JSON line that names it, exit code 2, no traceback."""
    monitor = start(wait=False, UC_RESCAN_SECONDS="soon")

    assert monitor.process.wait(10) == 2
    assert monitor.logs()[-1]["reason"] == "UC_RESCAN_SECONDS='soon': expected a number of at least 0.2"


def test_a_store_that_can_not_be_opened_ends_the_start_with_one_line(start: Start, home: Path) -> None:
    """A folder that can't be written ends the start with one line that names the file, exit code 2, no traceback."""
    monitor = start(wait=False, UC_STORE=str(home / "nowhere" / "monitoring.db"))

    assert monitor.process.wait(10) == 2
    last = monitor.logs()[-1]
    assert last["event"] == "store_unusable"
    assert "nowhere/monitoring.db" in last["file"]
    assert "Traceback" not in monitor.output.read_text()


def test_a_store_of_a_newer_release_is_used_or_refused_plainly(
    start: Start, rules: Rules, target: Target, workspace: Path, home: Path
) -> None:
    """Columns that a newer release added with a default are no hindrance; a newer schema is refused in a sentence."""
    file = home / "data" / "monitoring.db"
    start().terminate()
    with closing(sqlite3.connect(file)) as store:
        for table in ("meta", "files", "events", "deliveries"):
            store.execute(f"ALTER TABLE {table} ADD COLUMN later TEXT NOT NULL DEFAULT 'x'")
    monitor = start()
    (workspace / "f.txt").write_text("x")
    eventually(lambda: monitor.events(status="delivered"))
    monitor.terminate()

    with closing(sqlite3.connect(file)) as store:
        store.execute("PRAGMA user_version = 99")
    refused = start(wait=False)

    assert refused.process.wait(20) == 2
    assert [(line["event"], line["reason"]) for line in refused.logs()] == [
        ("store_too_new", f"{file} has schema 99, this release knows 1: start a newer one on it")
    ]


def test_the_request_id_is_answered_and_logged(start: Start) -> None:
    """X-Request-Id comes back with the answer and stands in the request's log line."""
    monitor = start()

    answer = monitor._client.get("/events", headers={"x-request-id": "abc-1", "x-api-key": TOKEN})

    assert answer.headers["x-request-id"] == "abc-1"
    # The line is written after the answer is sent.
    paths = eventually(lambda: [line["path"] for line in monitor.logs() if line.get("request_id") == "abc-1"])
    assert paths == ["/events"]


def test_the_image_states_the_format_of_the_store() -> None:
    """A deploy goes by the label in the Dockerfile, so it has the number that the store writes."""
    dockerfile = (Path(__file__).parents[1] / "Dockerfile").read_text(encoding="utf-8")

    assert re.findall(r'^LABEL org\.unity-claude\.data-format\.monitoring-data="(\d+)', dockerfile, re.MULTILINE) == [
        str(VERSION)
    ]
