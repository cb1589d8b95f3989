# ruff: noqa: S608 - what is put into the statements is column names and question marks, never a value
"""The table of runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from langgraph_service.database import Database, now
from langgraph_service.encode import dumps
from langgraph_service.errors import NotFound

Run = dict[str, Any]

_SHOWN = (
    "run_id",
    "thread_id",
    "assistant_id",
    "metadata",
    "status",
    "kwargs",
    "multitask_strategy",
    "created_at",
    "updated_at",
)


def _loaded(row: Mapping[str, Any]) -> Run:
    return {**row, "metadata": orjson.loads(row["metadata"]), "kwargs": orjson.loads(row["kwargs"])}


def shown(row: Mapping[str, Any], select: Sequence[str] | None = None) -> Run:
    """A run as the API answers it, or only its fields in `select`."""
    return {key: row[key] for key in _SHOWN if not select or key in select}


class Runs:
    """Reads and writes of the table."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, run: Mapping[str, Any]) -> Run:
        """Record a new run; if its thread has one with the same idempotency key already, that one is returned."""
        at = now()
        try:
            rows = await self._db.fetch(
                "INSERT INTO runs (run_id, thread_id, assistant_id, created_at, updated_at, status, metadata,"
                " multitask_strategy, kwargs, request_id, idempotency_key) VALUES (?,?,?,?,?,'pending',?,?,?,?,?)"
                " RETURNING *",
                (
                    run["run_id"],
                    run["thread_id"],
                    run["assistant_id"],
                    at,
                    at,
                    dumps(run["metadata"]).decode(),
                    run["multitask_strategy"],
                    dumps(run["kwargs"]).decode(),
                    run["request_id"],
                    run["idempotency_key"],
                ),
            )
        except sqlite3.IntegrityError:
            found = await self.with_key(run["thread_id"], run["idempotency_key"])
            if found is None:
                raise
            return found
        return _loaded(rows[0])

    async def with_key(self, thread_id: str, key: str | None) -> Run | None:
        """The thread's run that was made with this idempotency key."""
        if key is None:
            return None
        rows = await self._db.fetch("SELECT * FROM runs WHERE thread_id = ? AND idempotency_key = ?", (thread_id, key))
        return _loaded(rows[0]) if rows else None

    async def get(self, run_id: str, thread_id: str | None = None) -> Run:
        """The run (of that thread, if one is named); NotFound without one."""
        rows = await self._db.fetch(
            "SELECT * FROM runs WHERE run_id = ? AND thread_id = coalesce(?, thread_id)", (run_id, thread_id)
        )
        if not rows:
            raise NotFound(f"Run with ID {run_id} not found")
        return _loaded(rows[0])

    async def of_thread(self, thread_id: str, *, limit: int, offset: int, status: str | None) -> list[Run]:
        """A page of a thread's runs, newest first."""
        rows = await self._db.fetch(
            "SELECT * FROM runs WHERE thread_id = ? AND status = coalesce(?, status)"
            " ORDER BY created_at DESC, run_id DESC LIMIT ? OFFSET ?",
            (thread_id, status, limit, offset),
        )
        return [_loaded(row) for row in rows]

    async def unfinished(self) -> list[Run]:
        """What a process that ended left behind, oldest first."""
        rows = await self._db.fetch(
            "SELECT * FROM runs WHERE status IN ('pending', 'running') ORDER BY created_at, run_id"
        )
        return [_loaded(row) for row in rows]

    async def start(self, run_id: str) -> int:
        """Mark a run as running; which attempt it is."""
        rows = await self._db.fetch(
            "UPDATE runs SET status = 'running', attempt = attempt + 1, updated_at = ? WHERE run_id = ?"
            " RETURNING attempt",
            (now(), run_id),
        )
        return int(rows[0]["attempt"]) if rows else 1

    async def finish(self, run_id: str, status: str) -> None:
        """Mark a run as over."""
        await self._db.run("UPDATE runs SET status = ?, updated_at = ? WHERE run_id = ?", (status, now(), run_id))

    async def delete(self, run_ids: Sequence[str]) -> None:
        """Forget runs."""
        marks = ",".join("?" * len(run_ids))
        await self._db.run(f"DELETE FROM runs WHERE run_id IN ({marks})", run_ids)
