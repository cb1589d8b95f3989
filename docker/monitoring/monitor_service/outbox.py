"""The deliveries of the store: which are due, how each ended, and what the API shows of them."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from monitor_service.batches import seal_ripe
from monitor_service.store import Store

# In a lane (a trigger's deliveries of one file, or all of them) the order is kept: a later change waits until the
# earlier one is delivered or given up. Of a batch the first row alone is a request.
_DUE = """
SELECT d.*, e.noticed FROM deliveries d INDEXED BY pending_by_priority JOIN events e ON e.seq = d.event
WHERE d.status = 'pending' AND d.due <= ? AND (d.batch IS NULL OR d.batch = d.event) AND NOT EXISTS (
    SELECT 1 FROM deliveries earlier
    WHERE earlier.status = 'pending' AND earlier.trigger = d.trigger AND earlier.lane = d.lane
      AND earlier.event < d.event)
ORDER BY d.priority DESC, d.due LIMIT ?
"""

_WANTED = """
SELECT * FROM events WHERE seq > coalesce(:after, 0)
  AND (:path = '' OR path = :path OR substr(path, 1, :length) = :folder)
  AND (:glob = '' OR path GLOB :glob)
  AND (:status = '' OR seq IN (SELECT event FROM deliveries WHERE status = :status))
"""
_FOLLOWING = _WANTED + "ORDER BY seq LIMIT :limit"
_NEWEST = _WANTED + "ORDER BY seq DESC LIMIT :limit"


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One request to make."""

    event: int
    event_id: str
    trigger: str
    target: str
    url_path: str
    body: str
    attempts: int
    noticed: float
    lane: str = ""
    cooldown: float = 0
    batched: bool = False

    @property
    def key(self) -> tuple[int, str]:
        return self.event, self.trigger


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """How an attempt ended: `delivered`, `pending` (again after `wait` seconds) or `dead`."""

    status: str
    wait: float = 0
    http_status: int | None = None
    response: str | None = None
    error: str | None = None


class Outbox:
    """Reads and settles what Store.record has written."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def due(self, limit: int) -> list[Delivery]:
        """The deliveries whose time has come: the highest priority first, then the longest waiting."""
        seal_ripe(self._store)
        rows = self._store.connection().execute(_DUE, (time.time(), limit))
        return [
            Delivery(
                event=row["event"],
                event_id=self._store.event_id(row["event"]),
                trigger=row["trigger"],
                target=row["target"],
                url_path=row["url_path"],
                body=row["body"],
                attempts=row["attempts"],
                noticed=row["noticed"],
                lane=row["lane"],
                cooldown=row["cooldown"],
                batched=row["batch"] is not None,
            )
            for row in rows
        ]

    def next_due(self) -> float | None:
        """Seconds until a delivery that waits for its time comes due."""
        now = time.time()
        query = "SELECT min(due) FROM deliveries WHERE status = 'pending' AND due > ?"
        found = self._store.connection().execute(query, (now,)).fetchone()[0]
        return None if found is None else float(found) - now

    def settle(self, delivery: Delivery, result: Result) -> None:
        """Write how the attempt ended, for every event of a batch; a delivery that is over begins the cooldown."""
        now = time.time()
        rows = {
            "trigger": delivery.trigger,
            "event": delivery.event,
            "batch": delivery.event if delivery.batched else None,
        }
        outcome = {"status": result.status, "due": now + result.wait, "error": result.error}
        answer = {"http_status": result.http_status, "response": result.response}
        with self._store.write() as db:
            db.execute(
                "UPDATE deliveries SET status = :status, attempts = attempts + 1, due = :due, error = :error"
                " WHERE trigger = :trigger AND (event = :event OR batch = :batch)",
                rows | outcome,
            )
            db.execute(
                "UPDATE deliveries SET http_status = :http_status, response = :response"
                " WHERE trigger = :trigger AND event = :event",
                rows | answer,
            )
            if delivery.cooldown and result.status != "pending":
                _cool_down(db, delivery, now + delivery.cooldown)

    def redeliver(self, seq: int) -> int:
        """Make the event's dead letters pending again, with all of a batch; how many there were."""
        with self._store.write() as db:
            return db.execute(
                "UPDATE deliveries SET status = 'pending', attempts = 0, due = :now WHERE status = 'dead' AND ("
                " (event = :seq AND batch IS NULL) OR (trigger, batch) IN (SELECT trigger, batch FROM deliveries first"
                " WHERE event = batch AND status = 'dead' AND (trigger, batch) IN"
                " (SELECT trigger, batch FROM deliveries WHERE event = :seq)))",
                {"now": time.time(), "seq": seq},
            ).rowcount

    def depths(self) -> dict[str, int]:
        """How many deliveries are pending and how many are dead."""
        db = self._store.connection()
        count = "SELECT count(*) FROM deliveries WHERE status = "
        return {status: int(db.execute(f"{count}'{status}'").fetchone()[0]) for status in ("pending", "dead")}

    def events(self, *, after: int | None, path: str, status: str, limit: int) -> list[dict[str, Any]]:
        """Events in their order: those after a position, or the newest ones."""
        folder = path.rstrip("/") + "/"
        wanted = {
            "after": after,
            "path": "" if _is_glob(path) else path,
            "glob": path if _is_glob(path) else "",
            "folder": folder,
            "length": len(folder),
            "status": status,
            "limit": limit,
        }
        rows = self._store.connection().execute(_NEWEST if after is None else _FOLLOWING, wanted)
        return [self._shown(row) for row in sorted(rows, key=lambda row: int(row["seq"]))]

    def event(self, seq: int) -> dict[str, Any] | None:
        """One event."""
        row = self._store.connection().execute("SELECT * FROM events WHERE seq = ?", (seq,)).fetchone()
        return None if row is None else self._shown(row)

    def _shown(self, row: sqlite3.Row) -> dict[str, Any]:
        deliveries = self._store.connection().execute(
            "SELECT d.trigger, d.status, d.attempts, d.error, d.batch, answer.http_status, answer.response"
            " FROM deliveries d LEFT JOIN deliveries answer ON answer.trigger = d.trigger"
            " AND answer.event = CASE WHEN d.batch > 0 THEN d.batch ELSE d.event END"
            " WHERE d.event = ? ORDER BY d.trigger",
            (row["seq"],),
        )
        return {
            "id": self._store.event_id(row["seq"]),
            "path": row["path"],
            "kind": row["kind"],
            "at": row["at"],
            "deliveries": [
                {
                    "trigger": item["trigger"],
                    "status": item["status"],
                    "attempts": item["attempts"],
                    "response": None
                    if item["http_status"] is None
                    else {"status": item["http_status"], "body": _body(item["response"])},
                    "error": item["error"],
                }
                | ({"batch": self._store.event_id(item["batch"])} if item["batch"] else {})
                for item in deliveries
            ],
        }


def _cool_down(db: sqlite3.Connection, delivery: Delivery, until: float) -> None:
    """Hold the lane's next delivery back until then, the ones that wait already and the ones to come."""
    lane = (delivery.trigger, delivery.lane)
    db.execute("INSERT OR REPLACE INTO cooldowns (trigger, lane, until) VALUES (?, ?, ?)", (*lane, until))
    db.execute(
        "UPDATE deliveries SET due = max(due, ?) WHERE trigger = ? AND lane = ? AND status = 'pending'"
        " AND attempts = 0 AND coalesce(batch, 0) = 0",
        (until, *lane),
    )


def _is_glob(path: str) -> bool:
    return any(char in path for char in "*?[")


def _body(text: str | None) -> object:
    try:
        return json.loads(text or "null")
    except ValueError:
        return text
