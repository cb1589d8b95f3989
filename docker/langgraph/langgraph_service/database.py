"""The SQLite files: one connection each, write-ahead log, reads that leave no cursor open."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiosqlite

_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000", "journal_size_limit=67108864")

# Raised by a change that an earlier release can't read, here or in the files of the checkpoints and the store beside
# it. A label in the Dockerfile states it.
VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS threads (
    thread_id TEXT PRIMARY KEY,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    state_updated_at TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'idle',
    metadata TEXT NOT NULL DEFAULT '{}',
    config TEXT NOT NULL DEFAULT '{}',
    "values" TEXT NOT NULL DEFAULT 'null',
    interrupts TEXT NOT NULL DEFAULT '{}',
    error TEXT NOT NULL DEFAULT 'null',
    expires_at TEXT
);
CREATE INDEX IF NOT EXISTS threads_created ON threads(created_at);
CREATE INDEX IF NOT EXISTS threads_status ON threads(status);
CREATE INDEX IF NOT EXISTS threads_expiry ON threads(expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY,
    thread_id TEXT NOT NULL,
    assistant_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    status TEXT NOT NULL,
    metadata TEXT NOT NULL,
    multitask_strategy TEXT NOT NULL,
    kwargs TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    request_id TEXT NOT NULL DEFAULT '',
    idempotency_key TEXT
);
CREATE INDEX IF NOT EXISTS runs_thread ON runs(thread_id, created_at);
CREATE INDEX IF NOT EXISTS runs_unfinished ON runs(status) WHERE status IN ('pending', 'running');
CREATE UNIQUE INDEX IF NOT EXISTS runs_idempotency ON runs(thread_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipient TEXT,
    message TEXT NOT NULL,
    metadata TEXT NOT NULL,
    timestamp TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_session ON messages(session_id, id);
CREATE TABLE IF NOT EXISTS agent_states (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,
    agent_name TEXT NOT NULL,
    state_data TEXT NOT NULL,
    timestamp TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS agent_states_session ON agent_states(session_id, agent_name, id);
CREATE TABLE IF NOT EXISTS state_snapshots (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    state_id TEXT NOT NULL UNIQUE,
    graph_id TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    state_type TEXT NOT NULL,
    state_data TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS state_snapshots_thread ON state_snapshots(graph_id, thread_id, id);
CREATE TABLE IF NOT EXISTS approvals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    approval_id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS approvals_status ON approvals(status, id);
CREATE TABLE IF NOT EXISTS heartbeat (one INTEGER PRIMARY KEY CHECK (one = 1), at TEXT NOT NULL);
"""


class Unusable(Exception):
    """The database can't be worked on; the message says why."""


def now() -> str:
    """The time, as every answer shows it."""
    return datetime.now(UTC).isoformat()


def require_usable(path: Path) -> None:
    """Raise Unusable for a file that can't be opened, or that a later release has changed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
    except (OSError, sqlite3.Error) as error:
        raise Unusable(f"{path}: {error}; LANGGRAPH_DB_PATH must be in a folder that uid 10001 can write") from error
    if version > VERSION:
        raise Unusable(f"{path} has schema {version}, this release knows {VERSION}: start a newer one on it")


def connect(path: Path, *, autocommit: bool) -> sqlite3.Connection:
    """An open connection with this service's pragmas, for several threads; the folder is made when it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None if autocommit else "DEFERRED")
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


class Database:
    """The API's own tables. Every statement is its own transaction."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, path: Path) -> Database:
        """Open the file and make the tables that are missing."""
        connection = await aiosqlite.connect(path, isolation_level=None)
        for pragma in _PRAGMAS:
            await connection.execute_fetchall(f"PRAGMA {pragma}")
        await connection.executescript(f"{SCHEMA}\nPRAGMA user_version = {VERSION};")
        connection.row_factory = aiosqlite.Row
        return cls(connection)

    async def close(self) -> None:
        """Close the connection; without this the process does not end."""
        await self._connection.close()

    async def fetch(self, sql: str, arguments: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Every row of a query (or of a statement with RETURNING), read to the end."""
        rows: Iterable[aiosqlite.Row] = await self._connection.execute_fetchall(sql, arguments)
        return [dict(row) for row in rows]

    async def run(self, sql: str, arguments: Sequence[Any] = ()) -> None:
        """A statement whose result nobody reads."""
        await self._connection.execute_fetchall(sql, arguments)

    async def beat(self) -> None:
        """Prove that the file is writable."""
        beat = "INSERT INTO heartbeat (one, at) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET at = excluded.at"
        await self.run(beat, (now(),))
