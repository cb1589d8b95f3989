# ruff: noqa: S608 - the statements are put together from the constants below, never from a request
"""What the checkpointer's own interface has no word for: copying, undoing and thinning the checkpoints of a thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langgraph_service.sqlite import Saver

_OF_RUN = "thread_id = ? AND json_extract(CAST(metadata AS TEXT), '$.run_id') = ?"
_CHECKPOINTS_OF_RUN = f"SELECT checkpoint_id FROM checkpoints WHERE {_OF_RUN}"
_CHECKPOINT = "thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata"
_WRITE = "thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value"


class Checkpoints:
    """The saver's file, under the saver's lock."""

    def __init__(self, saver: Saver) -> None:
        self.saver = saver

    async def _run(self, *statements: tuple[str, Sequence[Any]]) -> None:
        def run() -> None:
            with self.saver.cursor() as cursor:
                for sql, arguments in statements:
                    cursor.execute(sql, arguments)

        await self.saver.run(run)

    async def _fetch(self, sql: str, arguments: Sequence[Any]) -> list[Any]:
        def fetch() -> list[Any]:
            with self.saver.cursor(transaction=False) as cursor:
                return cursor.execute(sql, arguments).fetchall()

        rows: list[Any] = await self.saver.run(fetch)
        return rows

    async def writable(self) -> None:
        """Prove that the file can be written: take the write lock and give it back."""

        def write() -> None:
            with self.saver.lock:
                self.saver.conn.commit()
                self.saver.conn.execute("BEGIN IMMEDIATE")
                self.saver.conn.rollback()

        await self.saver.run(write)

    async def has_run(self, thread_id: str, run_id: str) -> bool:
        """Whether a run got as far as its first checkpoint."""
        rows = await self._fetch(f"SELECT 1 FROM checkpoints WHERE {_OF_RUN} LIMIT 1", (thread_id, run_id))
        return bool(rows)

    async def mark(self) -> int:
        """A place in the writes: what a continued run adds to the checkpoint before it comes after."""
        rows = await self._fetch("SELECT coalesce(max(rowid), 0) FROM writes", ())
        return int(rows[0][0])

    async def undo(self, thread_id: str, run_id: str, mark: int | None) -> None:
        """Remove everything a run has saved in its thread."""
        statements: list[tuple[str, Sequence[Any]]] = [
            (
                f"DELETE FROM writes WHERE thread_id = ? AND checkpoint_id IN ({_CHECKPOINTS_OF_RUN})",
                (thread_id, thread_id, run_id),
            ),
            (f"DELETE FROM checkpoints WHERE {_OF_RUN}", (thread_id, run_id)),
        ]
        if mark is not None:
            statements.append(("DELETE FROM writes WHERE thread_id = ? AND rowid > ?", (thread_id, mark)))
        await self._run(*statements)

    async def copy(self, source: str, target: str) -> None:
        """Give `target` the checkpoints of `source`."""
        checkpoint, write = _CHECKPOINT.replace("thread_id", "?", 1), _WRITE.replace("thread_id", "?", 1)
        await self._run(
            (
                f"INSERT INTO checkpoints ({_CHECKPOINT}) SELECT {checkpoint} FROM checkpoints WHERE thread_id = ?",
                (target, source),
            ),
            (f"INSERT INTO writes ({_WRITE}) SELECT {write} FROM writes WHERE thread_id = ?", (target, source)),
        )

    async def keep_latest(self, thread_id: str) -> None:
        """Remove all but the newest checkpoint of each namespace."""
        newest = (
            "(SELECT max(checkpoint_id) FROM checkpoints AS other"
            " WHERE other.thread_id = {0}.thread_id AND other.checkpoint_ns = {0}.checkpoint_ns)"
        )
        await self._run(
            (f"DELETE FROM writes WHERE thread_id = ? AND checkpoint_id < {newest.format('writes')}", (thread_id,)),
            (
                f"DELETE FROM checkpoints WHERE thread_id = ? AND checkpoint_id < {newest.format('checkpoints')}",
                (thread_id,),
            ),
        )

    async def delete(self, thread_id: str) -> None:
        """Remove everything the thread has saved."""
        await self.saver.adelete_thread(thread_id)
