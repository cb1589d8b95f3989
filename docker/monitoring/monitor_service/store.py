"""The SQLite store: the snapshot of the tree, the events, and the outbox of deliveries.

A snapshot row and the deliveries of its change are written in one transaction: after a crash the next scan either sees
the change again or finds its deliveries. Each thread has its own connection; readers never wait for a writer (WAL).
"""

from __future__ import annotations

import re
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from monitor_service.tree import Signature

# Another number says that an older release must not touch the file. A column that is added with a DEFAULT needs none:
# every statement here names its columns, so a release that does not know it can go on with the file. A label in the
# Dockerfile states it.
VERSION = 1
# Of each connection, and every thread has one: by default 2,000, which a growing store fills.
_CACHE_KIB = 256
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ino INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL DEFAULT 0, digest BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL, kind TEXT NOT NULL, at TEXT NOT NULL,
    noticed REAL NOT NULL);
CREATE INDEX IF NOT EXISTS events_by_path ON events (path);
CREATE TABLE IF NOT EXISTS deliveries (
    event INTEGER NOT NULL, trigger TEXT NOT NULL, file TEXT NOT NULL, target TEXT NOT NULL, url_path TEXT NOT NULL,
    body TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'pending', attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL,
    http_status INTEGER, response TEXT, error TEXT, lane TEXT NOT NULL DEFAULT '', first REAL NOT NULL DEFAULT 0,
    priority INTEGER NOT NULL DEFAULT 0, cooldown REAL NOT NULL DEFAULT 0, batch INTEGER,
    batch_paths INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (event, trigger)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cooldowns (
    trigger TEXT NOT NULL, lane TEXT NOT NULL, until REAL NOT NULL, PRIMARY KEY (trigger, lane)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pending_by_due ON deliveries (due) WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS pending_by_file ON deliveries (trigger, file, event) WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS pending_by_lane ON deliveries (trigger, lane, event) WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS pending_by_priority ON deliveries (priority DESC, due) WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS open_batches ON deliveries (trigger, event) WHERE status = 'pending' AND batch = 0;
CREATE INDEX IF NOT EXISTS by_batch ON deliveries (trigger, batch) WHERE batch > 0;
CREATE INDEX IF NOT EXISTS dead ON deliveries (event) WHERE status = 'dead';
"""
# Columns that a store of an earlier release lacks, and what they hold in its rows.
_LATER_COLUMNS = (
    ("files", "ctime_ns", "INTEGER NOT NULL DEFAULT 0", ""),
    ("files", "digest", "BLOB", ""),
    ("deliveries", "lane", "TEXT NOT NULL DEFAULT ''", "UPDATE deliveries SET lane = file"),
    ("deliveries", "first", "REAL NOT NULL DEFAULT 0", "UPDATE deliveries SET first = due"),
    ("deliveries", "priority", "INTEGER NOT NULL DEFAULT 0", ""),
    ("deliveries", "cooldown", "REAL NOT NULL DEFAULT 0", ""),
    ("deliveries", "batch", "INTEGER", ""),
    ("deliveries", "batch_paths", "INTEGER NOT NULL DEFAULT 0", ""),
)

_NUMBER = re.compile(r"[0-9]{1,18}")  # what SQLite's integers hold
_INSERT = "INSERT INTO deliveries ({}) VALUES ({})"

# What two changes of one file are together while nothing was sent of the first; a file that came and went is nothing.
_MERGED: dict[tuple[str, str], str | None] = {
    ("added", "modified"): "added",
    ("added", "deleted"): None,
    ("modified", "modified"): "modified",
    ("modified", "deleted"): "deleted",
    ("deleted", "added"): "modified",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One file that differs from the snapshot; no signature: it is gone. Without a digest its content is not known."""

    path: str
    kind: str
    signature: Signature | None
    digest: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """One delivery that a trigger asks for, `after` seconds of quiet and `at_most` after the first change.

    Deliveries of one lane go one by one, in their order, `cooldown` seconds apart. With `batch_paths` the delivery is
    a part of a batch, and `url_path` and `body` are templates.
    """

    trigger: str
    target: str
    url_path: str
    body: str
    after: float
    at_most: float
    lane: str
    priority: int
    cooldown: float
    batch_paths: int


Plan = Callable[[dict[str, str]], list[Planned]]


def timestamp(seconds: float) -> str:
    """RFC 3339, UTC, milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class StoreTooNew(Exception):
    """The file was written by a release that this one can't stand in for."""


class Store:
    """What survives a restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        db = self.connection()
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version > VERSION:
            raise StoreTooNew(f"{path} has schema {version}, this release knows {VERSION}: start a newer one on it")
        _add_columns(db)
        db.executescript(f"{_SCHEMA}\nPRAGMA user_version = {VERSION};")
        if self.recall("epoch") is None:
            self.remember("epoch", uuid.uuid4().hex[:12])
        self.epoch = self.recall("epoch") or ""

    def connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(self._path, timeout=10, isolation_level=None)
            found.row_factory = sqlite3.Row
            found.execute("PRAGMA journal_mode = WAL")
            found.execute("PRAGMA synchronous = NORMAL")
            found.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self._local.connection = found
        return found

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction; rolled back when the block raises."""
        db = self.connection()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def recall(self, key: str) -> str | None:
        """A remembered value."""
        row = self.connection().execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row["value"])

    def remember(self, key: str, value: str) -> None:
        """Keep a value over restarts."""
        with self.write() as db:
            db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))

    def probe(self) -> None:
        """Write for the sake of writing; sqlite3.Error within a second when that can't be done."""
        with closing(sqlite3.connect(self._path, timeout=1, isolation_level=None)) as db:
            db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('probe', ?)", (timestamp(time.time()),))

    def event_id(self, seq: int) -> str:
        """The public id: unique over stores too, because receivers derive keys from it."""
        return f"{self.epoch}-{seq:010d}"

    def sequence(self, event_id: str) -> int | None:
        """The position of an id of this store; None for any other text."""
        epoch, _, number = event_id.rpartition("-")
        return int(number) if epoch == self.epoch and _NUMBER.fullmatch(number) else None

    def snapshot(self) -> dict[str, Signature]:
        """Every file as it was last recorded."""
        rows = self.connection().execute("SELECT path, size, mtime_ns, ino, ctime_ns FROM files")
        return {row[0]: Signature(*row[1:]) for row in map(tuple, rows)}

    def digests(self) -> dict[str, bytes]:
        """The digest of every recorded file whose content was read."""
        return {row[0]: row[1] for row in self.connection().execute("SELECT path, digest FROM files") if row[1]}

    def record(self, changes: Iterable[Change], plan: Plan | None) -> None:
        """Write the changes to the snapshot and, with a plan, their events and deliveries: all or nothing."""
        now = time.time()
        with self.write() as db:
            for change in changes:
                if change.signature is None:
                    db.execute("DELETE FROM files WHERE path = ?", (change.path,))
                else:
                    db.execute(
                        "INSERT OR REPLACE INTO files (path, size, mtime_ns, ino, ctime_ns, digest)"
                        " VALUES (?, ?, ?, ?, ?, ?)",
                        (change.path, *change.signature, change.digest),
                    )
                if plan is not None:
                    self._record_event(db, change, plan, now)

    def _record_event(self, db: sqlite3.Connection, change: Change, plan: Plan, now: float) -> None:
        unsent = self._unsent_event(db, change.path, now)
        merged = (unsent["kind"], change.kind) if unsent is not None else None
        if unsent is None or merged not in _MERGED:
            cursor = db.execute(
                "INSERT INTO events (path, kind, at, noticed) VALUES (?, ?, ?, ?)",
                (change.path, change.kind, timestamp(now), now),
            )
            self._plan(db, int(cursor.lastrowid or 0), change.path, change.kind, plan, first=now, now=now)
            return
        seq, kind = int(unsent["seq"]), _MERGED[merged]
        db.execute("DELETE FROM deliveries WHERE event = ?", (seq,))
        if kind is None:
            db.execute("DELETE FROM events WHERE seq = ?", (seq,))
            return
        db.execute("UPDATE events SET kind = ?, at = ? WHERE seq = ?", (kind, timestamp(now), seq))
        self._plan(db, seq, change.path, kind, plan, first=float(unsent["noticed"]), now=now)

    def _unsent_event(self, db: sqlite3.Connection, path: str, now: float) -> sqlite3.Row | None:
        """The file's newest event, when all of its deliveries still wait for quiet."""
        found: sqlite3.Row | None = db.execute(
            "SELECT seq, kind, noticed FROM events WHERE path = ? ORDER BY seq DESC LIMIT 1", (path,)
        ).fetchone()
        if found is None:
            return None
        waiting, total = db.execute(
            "SELECT count(*) FILTER (WHERE status = 'pending' AND attempts = 0 AND due > ? AND coalesce(batch, 0) = 0),"
            " count(*)"
            " FROM deliveries WHERE event = ?",
            (now, found["seq"]),
        ).fetchone()
        return found if total and waiting == total else None

    def _plan(
        self, db: sqlite3.Connection, seq: int, path: str, kind: str, plan: Plan, *, first: float, now: float
    ) -> None:
        event = {"id": self.event_id(seq), "path": path, "kind": kind, "at": timestamp(now)}
        for item in plan(event):
            since = first
            if item.after or item.cooldown:  # the change before this one is delivered with it
                replaced = db.execute(
                    "DELETE FROM deliveries WHERE trigger = ? AND file = ? AND status = 'pending'"
                    " AND attempts = 0 AND due > ? AND coalesce(batch, 0) = 0 RETURNING first",
                    (item.trigger, path, now),
                )
                since = min([first, *(row["first"] for row in replaced)])
            due = max(min(now + item.after, since + item.at_most), _cooldown_end(db, item))
            row = {
                "event": seq,
                "trigger": item.trigger,
                "file": path,
                "target": item.target,
                "url_path": item.url_path,
                "body": item.body,
                "due": due,
                "lane": item.lane,
                "first": since,
                "priority": item.priority,
                "cooldown": item.cooldown,
                "batch": 0 if item.batch_paths else None,
                "batch_paths": item.batch_paths,
            }
            db.execute(_INSERT.format(", ".join(row), ", ".join(f":{name}" for name in row)), row)

    def prune(self, keep: int) -> None:
        """Forget all but the newest `keep` events; one with a delivery still to be made stays."""
        with self.write() as db:
            newest = db.execute("SELECT max(seq) FROM events").fetchone()[0] or 0
            db.execute(
                "DELETE FROM events WHERE seq <= ?"
                " AND seq NOT IN (SELECT event FROM deliveries WHERE status = 'pending')",
                (newest - keep,),
            )
            db.execute(
                "DELETE FROM deliveries WHERE event <= ? AND event NOT IN (SELECT seq FROM events)", (newest - keep,)
            )
            db.execute("DELETE FROM cooldowns WHERE until < ?", (time.time(),))


def _add_columns(db: sqlite3.Connection) -> None:
    for table, column, kind, content in _LATER_COLUMNS:
        columns = {row["name"] for row in db.execute(f"PRAGMA table_info({table})")}
        if columns and column not in columns:
            db.executescript(f"BEGIN; ALTER TABLE {table} ADD COLUMN {column} {kind}; {content}; COMMIT;")


def _cooldown_end(db: sqlite3.Connection, item: Planned) -> float:
    row = db.execute("SELECT until FROM cooldowns WHERE trigger = ? AND lane = ?", (item.trigger, item.lane)).fetchone()
    return float(row["until"]) if row is not None and item.cooldown else 0.0
