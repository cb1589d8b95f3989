"""Everything the service holds open: tables, checkpoints, store and graphs; and the thread row that sums them up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import StateSnapshot

from langgraph_service.checkpoints import Checkpoints
from langgraph_service.database import Database, connect
from langgraph_service.encode import pending_interrupts
from langgraph_service.engines import Engines
from langgraph_service.errors import ApiError
from langgraph_service.job import Job
from langgraph_service.plugins import Graph, Graphs, assistant_id, load
from langgraph_service.runs import Runs
from langgraph_service.settings import Settings
from langgraph_service.sqlite import Saver, Store
from langgraph_service.threads import Threads


def thread_config(thread_id: str, checkpoint: Mapping[str, Any] | None = None) -> RunnableConfig:
    """The config that names a thread, or one of its checkpoints."""
    named = {key: value for key, value in (checkpoint or {}).items() if value is not None and not key.startswith("__")}
    return {"configurable": {"checkpoint_ns": "", **named, "thread_id": thread_id}}


@dataclass(kw_only=True)
class State:
    """The open files and the loaded graphs."""

    settings: Settings
    database: Database
    threads: Threads
    runs: Runs
    checkpoints: Checkpoints
    store: Store
    graphs: Graphs
    engines: Engines

    @staticmethod
    def assistant(graph: str) -> str:
        """The id of a graph's assistant."""
        return assistant_id(graph)

    def graph_of(self, thread: Mapping[str, Any]) -> Graph | None:
        """The graph that ran last on a thread; None before the first run."""
        name = thread["metadata"].get("graph_id")
        return self.graphs.loaded[self.graphs.resolve(name)] if isinstance(name, str) else None

    async def snapshot(self, thread: Mapping[str, Any]) -> StateSnapshot | None:
        """The newest state of a thread; None before the first run."""
        graph = self.graph_of(thread)
        return await graph.aget_state(thread_config(thread["thread_id"])) if graph else None

    async def refresh(self, thread_id: str, *, error: Mapping[str, Any] | None = None) -> None:
        """Make the thread row agree with the newest checkpoint: interrupted while there is something left to do."""
        thread = await self.threads.find(thread_id)
        if thread is None:
            return
        try:
            snapshot = await self.snapshot(thread)
        except ApiError:  # its graph is not there any more: what the row says of the state stays true
            await self.threads.set_status(thread_id, "interrupted" if thread["interrupts"] else "idle")
            return
        if snapshot is None or not snapshot.created_at:
            await self.threads.settle(thread_id, status="idle", values=None, interrupts={}, error=error)
            return
        status, waiting = "interrupted" if snapshot.next else "idle", pending_interrupts(snapshot)
        await self.threads.settle(thread_id, status=status, values=snapshot.values, interrupts=waiting, error=error)

    async def require_begun(self, job: Job) -> None:
        """Raise for a command that goes on from a state where there is none: the engine would pass over it."""
        command = job.run["kwargs"].get("command") or {}
        goes_on = "resume" in command or command.get("update") is not None
        if not goes_on or command.get("goto"):
            return
        if job.temporary or await self.checkpoints.saver.aget_tuple(thread_config(job.thread_id)) is None:
            raise TypeError("there is nothing to go on from: give the run an input first")

    async def finished(self, job: Job, *, more: bool) -> None:
        """Record the end of a run, and what it left in its thread."""
        if job.temporary:
            await self.runs.delete([job.run_id])
            return
        graph = self.graphs.loaded[job.graph]
        snapshot = await graph.aget_state(thread_config(job.thread_id))
        job.leave(snapshot)
        ended = {"success": "interrupted" if snapshot.next else "idle", "interrupted": "interrupted"}
        await self.threads.settle(
            job.thread_id,
            status="busy" if more else ended.get(job.status, "error"),
            values=snapshot.values,
            interrupts=pending_interrupts(snapshot),
            error=job.error or job.cancelled,
        )
        await self.runs.finish(job.run_id, job.status)

    async def rolled_back(self, job: Job, *, more: bool) -> None:
        """Undo a run: its checkpoints and its row."""
        await self.runs.delete([job.run_id])
        job.values = {}
        if job.temporary:
            return
        await self.checkpoints.undo(job.thread_id, job.run_id, job.mark)
        await self.refresh(job.thread_id, error=job.cancelled)
        if more:
            await self.threads.set_status(job.thread_id, "busy")

    async def lost(self, run: Mapping[str, Any], reason: str) -> None:
        """Mark a run that nobody will finish; its thread can go on from the checkpoint with another."""
        if run["kwargs"]["temporary"]:
            await self.runs.delete([run["run_id"]])
            return
        await self.runs.finish(run["run_id"], "error")
        await self.refresh(run["thread_id"])
        thread = await self.threads.find(run["thread_id"])
        if thread is not None:
            error = {"error": "RunLost", "message": f"the process ended before the run did, and {reason}"}
            await self.threads.settle(
                run["thread_id"],
                status="error",
                values=thread["values"],
                interrupts=thread["interrupts"],
                error=error,
            )

    async def busy_threads(self) -> list[str]:
        """Threads that say they are busy."""
        rows = await self.database.fetch("SELECT thread_id FROM threads WHERE status = 'busy'")
        return [row["thread_id"] for row in rows]

    async def delete_thread(self, thread_id: str) -> None:
        """Forget a thread and all its checkpoints."""
        await self.threads.delete(thread_id)
        await self.checkpoints.delete(thread_id)

    async def check(self) -> None:
        """Prove that the state is writable; raises what the file system says otherwise."""
        await self.database.beat()
        await self.checkpoints.writable()

    async def sweep(self) -> int:
        """Forget threads and items of the store that are past their time."""
        await self.store.sweep()
        expired = await self.threads.expired(self.settings.thread_ttl_days)
        for thread_id in expired:
            await self.delete_thread(thread_id)
        return len(expired)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[State]:
    """The state, open; closed again in reverse, without which the process would not end."""
    database = await Database.open(settings.tables)
    saver = Saver(connect(settings.checkpoints, autocommit=False))
    store = Store(connect(settings.store, autocommit=True))
    engines = Engines(threads=2 * settings.max_running)
    try:
        saver.setup()
        store.setup()
        graphs = load(settings.agents)
        graphs.bind(saver, store)
        yield State(
            settings=settings,
            database=database,
            threads=Threads(database),
            runs=Runs(database),
            checkpoints=Checkpoints(saver),
            store=store,
            graphs=graphs,
            engines=engines,
        )
    finally:
        engines.stop()
        store.close()
        saver.close()
        await database.close()
