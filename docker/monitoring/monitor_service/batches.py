"""Batches: the deliveries that a trigger collects become one request, which stays the same over every attempt.

A delivery row of such a trigger is open (batch = 0) until its batch is sealed; then `batch` is the sequence number of
the batch's first event. That row holds the body, and its id is the batch's. Open rows hold the template.
"""

from __future__ import annotations

import json
import sqlite3
import time

from monitor_service import template
from monitor_service.store import Store

# A trigger's next batch stays open while the one before it is under way, and during the trigger's cooldown.
_RIPE = """
SELECT d.trigger, max(d.batch_paths) AS most FROM deliveries d
WHERE d.status = 'pending' AND d.batch = 0 AND NOT EXISTS (
    SELECT 1 FROM deliveries sealed WHERE sealed.status = 'pending' AND sealed.trigger = d.trigger AND sealed.batch > 0)
  AND NOT EXISTS (SELECT 1 FROM cooldowns c WHERE c.trigger = d.trigger AND c.lane = d.lane AND c.until > :now)
GROUP BY d.trigger HAVING min(d.due) <= :now OR count(*) >= max(d.batch_paths)
"""
_MEMBERS = """
SELECT d.event, d.url_path, d.body, e.path, e.kind, e.at FROM deliveries d JOIN events e ON e.seq = d.event
WHERE d.status = 'pending' AND d.batch = 0 AND d.trigger = ? ORDER BY d.event LIMIT ?
"""


def seal_ripe(store: Store) -> None:
    """Close every batch whose time has come or that is full: what it holds is written once and never changes."""
    now = time.time()
    if not store.connection().execute(_RIPE, {"now": now}).fetchone():
        return
    with store.write() as db:
        for ripe in db.execute(_RIPE, {"now": now}).fetchall():
            _seal(store, db, ripe["trigger"], ripe["most"], now)


def _seal(store: Store, db: sqlite3.Connection, trigger: str, most: int, now: float) -> None:
    rows = db.execute(_MEMBERS, (trigger, most)).fetchall()
    first = rows[0]
    events = [
        {"id": store.event_id(row["event"]), "path": row["path"], "kind": row["kind"], "at": row["at"]} for row in rows
    ]
    known = template.batch_values(store.event_id(first["event"]), events)
    db.execute(
        "UPDATE deliveries SET batch = ?, due = ?"
        " WHERE status = 'pending' AND batch = 0 AND trigger = ? AND event <= ?",
        (first["event"], now, trigger, rows[-1]["event"]),
    )
    db.execute(
        "UPDATE deliveries SET url_path = ?, body = ? WHERE trigger = ? AND event = ?",
        (
            template.render_path(first["url_path"], known),
            json.dumps(template.render(json.loads(first["body"]), known)),
            trigger,
            first["event"],
        ),
    )
