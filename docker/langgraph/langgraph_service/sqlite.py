"""The graphs' checkpoints and store in SQLite, for the tasks of any event loop: a call runs in its file's own thread.

The async classes of the same packages belong to one loop and hold a lock between their statements: a node that blocks
its loop would keep that lock, and with it everybody else.
"""

from __future__ import annotations

import asyncio
import copy
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.store.base import Op, Result, TTLConfig
from langgraph.store.sqlite import SqliteStore

# What has a time-to-live lives on when it is read.
STORE_TTL: TTLConfig = {"refresh_on_read": True}


async def _in(thread: ThreadPoolExecutor, work: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(thread, work, *arguments)


class _Written(dict[str, Any]):
    """A value as its serialiser has written it already."""

    def __init__(self, typed: tuple[str, bytes], **known: Any) -> None:
        super().__init__(known)
        self.typed = typed


class _Done:
    """The serialiser of values that are written already."""

    def dumps_typed(self, value: _Written) -> tuple[str, bytes]:
        """What was written."""
        return value.typed


class Saver(SqliteSaver):
    """Checkpoints. A value is written where it is handed over: the node that goes on may change it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")

    def _writer(self) -> SqliteSaver:
        writer = copy.copy(self)
        writer.serde = _Done()  # type: ignore[assignment]
        return writer

    async def run(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """The result of `work` in the thread of the file."""
        return await _in(self.thread, work, *arguments)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """A checkpoint."""
        found: CheckpointTuple | None = await self.run(self.get_tuple, config)
        return found

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - the interface names it so
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """The checkpoints that match, newest first."""

        def listed() -> list[CheckpointTuple]:
            return list(self.list(config, filter=filter, before=before, limit=limit))

        for item in await self.run(listed):
            yield item

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint; the config that names it."""
        written = _Written(self.serde.dumps_typed(checkpoint), id=checkpoint["id"])
        made: RunnableConfig = await self.run(self._writer().put, config, written, metadata, new_versions)
        return made

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Save what a task has written."""
        written = [(channel, _Written(self.serde.dumps_typed(value))) for channel, value in writes]
        await self.run(self._writer().put_writes, config, written, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Remove everything a thread has saved."""
        await self.run(self.delete_thread, thread_id)

    async def aget_delta_channel_history(self, *, config: RunnableConfig, channels: Sequence[str]) -> Mapping[str, Any]:
        """What was written to channels that are saved as differences."""
        found: Mapping[str, Any] = await self.run(
            lambda: self.get_delta_channel_history(config=config, channels=channels)
        )
        return found

    def close(self) -> None:
        """Finish what is under way, and close the file."""
        self.thread.shutdown()
        self.conn.close()


class Store(SqliteStore):
    """The long-term store."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection, ttl=STORE_TTL)
        self._file_thread = ThreadPoolExecutor(1, thread_name_prefix="store")

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """The results of the operations, in their order."""
        results: list[Result] = await _in(self._file_thread, self.batch, list(ops))
        return results

    async def sweep(self) -> None:
        """Remove the items that are past their time."""
        await _in(self._file_thread, self.sweep_ttl)

    def close(self) -> None:
        """Finish what is under way, and close the file."""
        self._file_thread.shutdown()
        self.conn.close()
