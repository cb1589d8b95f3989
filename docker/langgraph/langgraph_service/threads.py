# ruff: noqa: S608 - what is put into the statements is column names and question marks, never a value
"""The table of threads: what the API says about a thread without opening its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from uuid_utils.compat import uuid7

from langgraph_service.database import Database, now
from langgraph_service.encode import dumps, dumps_anyhow
from langgraph_service.errors import Conflict, NotFound
from langgraph_service.schemas import ThreadFilter, ThreadSearch

_JSON = ("metadata", "config", "values", "interrupts", "error")

Thread = dict[str, Any]


def _shown(row: Mapping[str, Any]) -> Thread:
    thread = {key: orjson.loads(value) if key in _JSON else value for key, value in row.items()}
    thread.pop("expires_at", None)
    thread["context"] = None
    return thread


def _path(key: str) -> str:
    return f'."{key}"'


def json_filter(column: str, wanted: Mapping[str, Any], prefix: str = "$") -> tuple[list[str], list[Any]]:
    """Conditions that hold where a JSON column contains `wanted`; a nested object is contained key by key."""
    clauses: list[str] = []
    arguments: list[Any] = []
    for key, value in wanted.items():
        path = prefix + _path(key)
        if any(mark in key for mark in '"\\\0'):
            # SQLite's JSON paths have no way to write such a key: look for it among its siblings.
            same = "key = ? AND value IS json_extract(?, '$')"
            clauses.append(f"EXISTS (SELECT 1 FROM json_each({column}, ?) WHERE {same})")
            arguments += [prefix, key, dumps(value).decode()]
        elif isinstance(value, Mapping) and value:
            inner, inner_arguments = json_filter(column, value, path)
            clauses += inner
            arguments += inner_arguments
        else:
            clauses.append(f"json_extract({column}, ?) IS json_extract(?, '$')")
            arguments += [path, dumps(value).decode()]
    return clauses, arguments


def _where(given: ThreadFilter) -> tuple[str, list[Any]]:
    clauses, arguments = json_filter("metadata", given.metadata or {})
    more, more_arguments = json_filter('"values"', given.values or {})
    clauses, arguments = clauses + more, arguments + more_arguments
    if given.status:
        clauses.append("status = ?")
        arguments.append(given.status)
    if given.ids:
        clauses.append(f"thread_id IN ({','.join('?' * len(given.ids))})")
        arguments += given.ids
    return (" WHERE " + " AND ".join(clauses) if clauses else ""), arguments


def expiry(minutes: float | None) -> str | None:
    """The moment a time-to-live ends."""
    return None if minutes is None else (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


class Threads:
    """Reads and writes of the table."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def create(
        self, thread_id: str | None, metadata: Mapping[str, Any], *, existing: str = "raise", ttl: float | None = None
    ) -> tuple[Thread, bool]:
        """A new thread and True, or the existing one and False if `existing` says do_nothing."""
        identifier, at = thread_id or str(uuid7()), now()
        made = await self._db.fetch(
            "INSERT INTO threads (thread_id, created_at, updated_at, state_updated_at, metadata, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING *",
            (identifier, at, at, at, dumps(metadata).decode(), expiry(ttl)),
        )
        if made:
            return _shown(made[0]), True
        if existing != "do_nothing":
            raise Conflict(f"Thread with ID {identifier} already exists")
        return await self.get(identifier), False

    async def find(self, thread_id: str) -> Thread | None:
        """The thread, if there is one."""
        rows = await self._db.fetch("SELECT * FROM threads WHERE thread_id = ?", (thread_id,))
        return _shown(rows[0]) if rows else None

    async def get(self, thread_id: str) -> Thread:
        """The thread; NotFound without one."""
        if (thread := await self.find(thread_id)) is None:
            raise NotFound(f"Thread with ID {thread_id} not found")
        return thread

    async def merge(self, thread_id: str, metadata: Mapping[str, Any], *, ttl: float | None = None) -> Thread:
        """The thread with `metadata` merged into its own."""
        thread = await self.get(thread_id)
        rows = await self._db.fetch(
            "UPDATE threads SET metadata = ?, updated_at = ?, expires_at = coalesce(?, expires_at)"
            " WHERE thread_id = ? RETURNING *",
            (dumps({**thread["metadata"], **metadata}).decode(), now(), expiry(ttl), thread_id),
        )
        return _shown(rows[0])

    async def begin(self, thread_id: str, graph: str, assistant: str, config: Mapping[str, Any]) -> None:
        """Mark the thread busy with a run of `graph`."""
        patch = dumps({"graph_id": graph, "assistant_id": assistant}).decode()
        await self._db.run(
            "UPDATE threads SET status = 'busy', updated_at = ?, metadata = json_patch(metadata, ?), config = ?"
            " WHERE thread_id = ?",
            (now(), patch, dumps({**config, "configurable": {}}).decode(), thread_id),
        )

    async def settle(
        self,
        thread_id: str,
        *,
        status: str,
        values: Any,
        interrupts: Mapping[str, Any],
        error: Mapping[str, Any] | None = None,
    ) -> None:
        """Record the state a run or an update left behind."""
        at = now()
        await self._db.run(
            'UPDATE threads SET status = ?, "values" = ?, interrupts = ?, error = ?, updated_at = ?,'
            " state_updated_at = ? WHERE thread_id = ?",
            (status, *(dumps_anyhow(item).decode() for item in (values, interrupts, error)), at, at, thread_id),
        )

    async def set_status(self, thread_id: str, status: str) -> None:
        """Change the status alone."""
        sql = "UPDATE threads SET status = ?, updated_at = ? WHERE thread_id = ?"
        await self._db.run(sql, (status, now(), thread_id))

    async def delete(self, thread_id: str) -> None:
        """Forget the thread and its runs; NotFound without one."""
        gone = await self._db.fetch("DELETE FROM threads WHERE thread_id = ? RETURNING thread_id", (thread_id,))
        await self._db.run("DELETE FROM runs WHERE thread_id = ?", (thread_id,))
        if not gone:
            raise NotFound(f"Thread with ID {thread_id} not found")

    async def search(self, given: ThreadSearch) -> list[Thread]:
        """A page of the threads that match."""
        where, arguments = _where(given)
        column = given.sort_by or "created_at"
        order = "ASC" if given.sort_order == "asc" else "DESC"
        rows = await self._db.fetch(
            f"SELECT * FROM threads{where} ORDER BY {column} {order}, thread_id LIMIT ? OFFSET ?",
            [*arguments, given.limit, given.offset],
        )
        return [_shown(row) for row in rows]

    async def count(self, given: ThreadFilter) -> int:
        """How many threads match."""
        where, arguments = _where(given)
        return int((await self._db.fetch(f"SELECT count(*) AS n FROM threads{where}", arguments))[0]["n"])

    async def expired(self, older_than_days: float) -> Sequence[str]:
        """Threads past their own time-to-live, or idle for longer than the service keeps them (0: for ever)."""
        cut = (datetime.now(UTC) - timedelta(days=older_than_days)).isoformat() if older_than_days else ""
        rows = await self._db.fetch(
            "SELECT thread_id FROM threads WHERE status != 'busy'"
            " AND (expires_at < ? OR (status = 'idle' AND updated_at < ?)) LIMIT 500",
            (now(), cut),
        )
        return [row["thread_id"] for row in rows]
