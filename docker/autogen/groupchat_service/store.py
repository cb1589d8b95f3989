"""Sessions and their event log in SQLite. The log is the truth: a conversation is rebuilt from its messages alone.

A whole turn and the session's new status go into one transaction, so that after a kill the log has no hole, no half
turn, and no status that its events don't tell. One thread owns the one connection: nothing can be locked.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from groupchat_service.team import Message, TeamSpec, known

Status = Literal["running", "input_required", "finished", "failed", "cancelled"]
# Raised by a change that an earlier release can't read. A column with a default is none: each reads and names its own.
# A label in the Dockerfile states it.
VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
  id TEXT PRIMARY KEY, status TEXT NOT NULL, task TEXT NOT NULL, spec TEXT NOT NULL, model TEXT NOT NULL DEFAULT '',
  result TEXT, stop_reason TEXT, error TEXT, restarts INTEGER NOT NULL DEFAULT 0,
  created_at REAL NOT NULL, updated_at REAL NOT NULL, request_id TEXT NOT NULL DEFAULT '') STRICT;
CREATE INDEX IF NOT EXISTS sessions_by_age ON sessions (created_at);
CREATE TABLE IF NOT EXISTS events (
  session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE, seq INTEGER NOT NULL,
  kind TEXT NOT NULL, data TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (session_id, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS probe (id INTEGER PRIMARY KEY CHECK (id = 1), at REAL NOT NULL) STRICT;
"""
_ADD_REQUEST_ID = "ALTER TABLE sessions ADD COLUMN request_id TEXT NOT NULL DEFAULT ''"
_PAGE = 500
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One row of the sessions table."""

    id: str
    status: Status
    task: str
    spec: TeamSpec
    model: str
    result: str | None
    stop_reason: str | None
    error: str | None
    created_at: float
    updated_at: float
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry of a session's log; `seq` counts from 1 without a gap."""

    seq: int
    kind: str
    data: dict[str, Any]
    at: float


class Store:
    """The database file; every method is one transaction on the store's own thread."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "groupchat.db"
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._db: sqlite3.Connection

    def try_out(self) -> None:
        """Open the file and close it again. Raises OSError, with the reason, when this release can't work on it."""
        self._open()
        self._shut()

    async def open(self) -> None:
        """Open or create the file."""
        await self._do(self._open)

    async def close(self) -> None:
        """Finish what is queued and close the file."""
        await self._do(self._shut)
        self._thread.shutdown()

    async def ping(self) -> None:
        """Raise unless the file can be written."""
        await self._do(lambda: self._write("INSERT OR REPLACE INTO probe (id, at) VALUES (1, ?)", (time.time(),)))

    async def create(self, identifier: str, task: str, spec: TeamSpec, request_id: str = "") -> Session | None:
        """Make a running session whose first event is the task; None when the id is taken."""

        def create() -> Session | None:
            now = time.time()
            values = (identifier, task, _dump_spec(spec), now, now, request_id)
            with self._transaction():
                made = self._db.execute(
                    "INSERT OR IGNORE INTO sessions (id, status, task, spec, created_at, updated_at, request_id)"
                    " VALUES (?, 'running', ?, ?, ?, ?, ?)",
                    values,
                )
                if not made.rowcount:
                    return None
                self._append(identifier, [("message", Message(source="user", content=task).as_dict())])
            return self._session(identifier)

        return await self._do(create)

    async def session(self, identifier: str) -> Session | None:
        """The session, or None."""
        return await self._do(lambda: self._session(identifier))

    async def sessions(self, *, status: str | None, limit: int) -> tuple[list[Session], int]:
        """The newest sessions, and how many there are in all."""

        def sessions() -> tuple[list[Session], int]:
            matching = "FROM sessions WHERE :status IS NULL OR status = :status"
            values = {"status": status, "limit": limit}
            rows = self._db.execute(f"SELECT * {matching} ORDER BY created_at DESC LIMIT :limit", values).fetchall()
            total = self._db.execute(f"SELECT count(*) {matching}", values).fetchone()[0]
            return [_session(row) for row in rows], total

        return await self._do(sessions)

    async def go_on(self, identifier: str, message: Message, request_id: str = "") -> bool:
        """Add a person's message and set the session running; False when it runs already or is gone."""

        def go_on() -> bool:
            with self._transaction():
                fresh = {"status": "running", "result": None, "error": None, "request_id": request_id}
                if not self._update(identifier, "status != 'running'", **fresh):
                    return False
                self._append(identifier, [("message", message.as_dict())])
            return True

        return await self._do(go_on)

    async def append(self, identifier: str, messages: Sequence[Message]) -> int:
        """Add one turn; the log's last seq, or 0 when the session is not running any more."""

        def append() -> int:
            with self._transaction():
                if not self._update(identifier, "status = 'running'", restarts=0):
                    return 0
                self._append(identifier, [("message", message.as_dict()) for message in messages])
            return self._last(identifier)

        return await self._do(append)

    async def stop(self, identifier: str, status: Status, data: dict[str, Any], *, model: str | None = None) -> bool:
        """End the run: status, its event and the outcome together; False when there was nothing to end."""
        fields = {key: data.get(key) for key in ("result", "stop_reason", "error")}
        if model is not None:
            fields["model"] = model

        def stop() -> bool:
            with self._transaction():
                allowed = "status IN ('running', 'input_required')" if status == "cancelled" else "status = 'running'"
                if not self._update(identifier, allowed, status=status, **fields):
                    return False
                self._append(identifier, [(status, {"session_id": identifier, "status": status, **data})])
            return True

        return await self._do(stop)

    async def restart(self, identifier: str) -> int:
        """Note in the log that a run goes on after a restart; how often that happened since the last turn."""

        def restart() -> int:
            with self._transaction():
                row = self._db.execute(
                    "UPDATE sessions SET restarts = restarts + 1 WHERE id = ? RETURNING restarts", (identifier,)
                ).fetchall()
                self._append(identifier, [("resumed", {"session_id": identifier, "restarts": row[0][0]})])
            return int(row[0][0])

        return await self._do(restart)

    async def running(self) -> list[Session]:
        """The sessions that a stopped process left running, oldest first."""
        query = "SELECT * FROM sessions WHERE status = 'running' ORDER BY created_at"
        return await self._do(lambda: [_session(row) for row in self._db.execute(query).fetchall()])

    async def delete(self, identifier: str) -> bool:
        """Delete the session with its log; False when there was none."""
        return bool(await self._do(lambda: self._write("DELETE FROM sessions WHERE id = ?", (identifier,))))

    async def forget(self, before: float) -> int:
        """Delete sessions that stopped before this time; how many."""
        query = "DELETE FROM sessions WHERE status NOT IN ('running', 'input_required') AND updated_at < ?"
        return await self._do(lambda: self._write(query, (before,)))

    async def history(self, identifier: str) -> tuple[list[Message], int]:
        """Every message of the session, and its log's last seq."""
        query = "SELECT data FROM events WHERE session_id = ? AND kind = 'message' ORDER BY seq"

        def history() -> tuple[list[Message], int]:
            rows = self._db.execute(query, (identifier,)).fetchall()
            return [Message.from_dict(json.loads(row["data"])) for row in rows], self._last(identifier)

        return await self._do(history)

    async def events(self, identifier: str, *, after: int) -> tuple[Status | None, list[Event], bool]:
        """The session's status (None: gone), its events after `after`, and whether there are more of them."""

        def events() -> tuple[Status | None, list[Event], bool]:
            session = self._session(identifier)
            rows = self._db.execute(
                "SELECT * FROM events WHERE session_id = ? AND seq > ? ORDER BY seq LIMIT ?", (identifier, after, _PAGE)
            ).fetchall()
            found = [
                Event(seq=row["seq"], kind=row["kind"], data=json.loads(row["data"]), at=row["at"]) for row in rows
            ]
            return (session.status if session else None), found, len(found) == _PAGE

        return await self._do(events)

    async def _do(self, work: Callable[[], Result]) -> Result:
        # Shielded: a cancelled caller must not leave a transaction half way, it only stops waiting for it.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work))

    def _open(self) -> None:
        try:
            self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                self._db.close()
                raise OSError(
                    f"{self._path} has schema {version}, this release knows {VERSION}: start a newer one on it"
                )
            self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;")
            self._db.executescript(_SCHEMA)
            if "request_id" not in {row["name"] for row in self._db.execute("PRAGMA table_info(sessions)")}:
                self._db.execute(_ADD_REQUEST_ID)  # a file of an earlier version
            self._db.execute(f"PRAGMA user_version = {VERSION}")
        except sqlite3.Error as error:
            raise OSError(f"{self._path}: {error}; UC_DATA must be a folder that uid 10001 can write") from error

    def _shut(self) -> None:
        self._db.close()

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)

    def _write(self, query: str, values: tuple[Any, ...]) -> int:
        with self._transaction():
            return self._db.execute(query, values).rowcount

    def _session(self, identifier: str) -> Session | None:
        row = self._db.execute("SELECT * FROM sessions WHERE id = ?", (identifier,)).fetchone()
        return _session(row) if row else None

    def _last(self, identifier: str) -> int:
        query = "SELECT coalesce(max(seq), 0) FROM events WHERE session_id = ?"
        return int(self._db.execute(query, (identifier,)).fetchone()[0])

    def _update(self, identifier: str, condition: str, **fields: object) -> bool:
        assignments = ", ".join(f"{name} = ?" for name in fields)
        # Names and condition come from this file, values go in as parameters.
        query = f"UPDATE sessions SET {assignments}, updated_at = ? WHERE id = ? AND {condition}"  # noqa: S608
        return bool(self._db.execute(query, (*fields.values(), time.time(), identifier)).rowcount)

    def _append(self, identifier: str, entries: Sequence[tuple[str, dict[str, Any]]]) -> None:
        now = time.time()
        self._db.executemany(
            "INSERT INTO events (session_id, seq, kind, data, at)"
            " SELECT :id, coalesce(max(seq), 0) + 1, :kind, :data, :at FROM events WHERE session_id = :id",
            [{"id": identifier, "kind": kind, "data": json.dumps(data), "at": now} for kind, data in entries],
        )


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK on an exception; sqlite3's own context manager doesn't begin one."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._db.execute("ROLLBACK" if kind else "COMMIT")


def _dump_spec(spec: TeamSpec) -> str:
    return json.dumps({"agents": spec.agents, "max_rounds": spec.max_rounds, "stream": spec.stream})


def _session(row: sqlite3.Row) -> Session:
    spec = json.loads(row["spec"])
    team = TeamSpec(**{**known(TeamSpec, spec), "agents": tuple(spec["agents"])})
    return Session(**{**known(Session, dict(row)), "spec": team})
