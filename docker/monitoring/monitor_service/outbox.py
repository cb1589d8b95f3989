"""The deliveries of the store: which are due, how each ended, and what the API shows of them."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from monitor_service.store import Store

# Per trigger and file the order is kept: a later change waits until the earlier one is delivered or given up.
_DUE = """
SELECT d.*, e.noticed FROM deliveries d JOIN events e ON e.seq = d.event
WHERE d.status = 'pending' AND d.due <= ? AND NOT EXISTS (
    SELECT 1 FROM deliveries earlier
    WHERE earlier.status = 'pending' AND earlier.trigger = d.trigger AND earlier.file = d.file
      AND earlier.event < d.event)
ORDER BY d.due LIMIT ?
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
        """The deliveries whose time has come, the longest waiting first."""
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
        """Write how the attempt ended."""
        with self._store.write() as db:
            db.execute(
                "UPDATE deliveries SET status = ?, attempts = attempts + 1, due = ?, http_status = ?, response = ?,"
                " error = ? WHERE event = ? AND trigger = ?",
                (
                    result.status,
                    time.time() + result.wait,
                    result.http_status,
                    result.response,
                    result.error,
                    *delivery.key,
                ),
            )

    def redeliver(self, seq: int) -> int:
        """Make the event's dead letters pending again; how many there were."""
        with self._store.write() as db:
            return db.execute(
                "UPDATE deliveries SET status = 'pending', attempts = 0, due = ? WHERE event = ? AND status = 'dead'",
                (time.time(), seq),
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
            "SELECT * FROM deliveries WHERE event = ? ORDER BY trigger", (row["seq"],)
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
                for item in deliveries
            ],
        }


def _is_glob(path: str) -> bool:
    return any(char in path for char in "*?[")


def _body(text: str | None) -> object:
    try:
        return json.loads(text or "null")
    except ValueError:
        return text
