"""Where graphs run: each run has an event loop of its own, in a thread, so that a node that blocks stops only itself.

A graph is somebody else's code: `time.sleep` or a synchronous client in an async node holds up the loop that it runs
on. On the server's own loop that would be every answer of the service, /health included. The official server knows the
same trouble: its development server refuses blocking calls (unless --allow-blocking), its production server has
isolated loops. Threads that are idle are used again; the newest first, so that a service with little to do has few.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvloop
from ucservice import logs

# A cancelled run lets go at its next `await`. One that blocks has none: after this, it is left to itself.
LET_GO_SECONDS = 2.0

_log = logs.get("engines")


class Engine:
    """A thread with an event loop."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self.loop = uvloop.new_event_loop()
        self.loop.set_default_executor(executor)
        threading.Thread(target=self._serve, name="engine", daemon=True).start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def stop(self) -> None:
        """End the thread as soon as its loop comes round."""
        self.loop.call_soon_threadsafe(self.loop.stop)


Work = Callable[[], Coroutine[Any, Any, Any]]


class Engines:
    """The engines of the service, and which of them are idle."""

    def __init__(self, *, threads: int) -> None:
        # Plain functions are nodes as well, and run in threads of their own.
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="node")
        self._idle: list[Engine] = []
        self._all: list[Engine] = []

    def _take(self) -> Engine:
        if self._idle:
            return self._idle.pop()
        engine = Engine(self._executor)
        self._all.append(engine)
        return engine

    async def run(self, work: Work) -> Any:
        """The result of `work` on an idle engine. When this is cancelled, so is the work; it has a moment to let go."""
        loop, engine, done = asyncio.get_running_loop(), self._take(), asyncio.Event()
        tasks: list[asyncio.Task[Any]] = []

        def ended(_task: asyncio.Task[Any]) -> None:
            with contextlib.suppress(RuntimeError):  # the service is gone
                loop.call_soon_threadsafe(self._ended, engine, done)

        def begin() -> None:
            task = engine.loop.create_task(work())
            tasks.append(task)
            task.add_done_callback(ended)

        def cancel() -> None:
            tasks[0].cancel()

        engine.loop.call_soon_threadsafe(begin)
        try:
            await done.wait()
        except asyncio.CancelledError:
            engine.loop.call_soon_threadsafe(cancel)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), LET_GO_SECONDS)
            if not done.is_set():
                _log.warning("node_blocks", text="a cancelled run does not let go: a node blocks its thread")
            elif not tasks[0].cancelled() and tasks[0].exception() is None:
                return tasks[0].result()
            raise
        return tasks[0].result()

    def _ended(self, engine: Engine, done: asyncio.Event) -> None:
        self._idle.append(engine)
        done.set()

    def stop(self) -> None:
        """End the idle engines; a thread that blocks ends with the process."""
        for engine in self._all:
            engine.stop()
        self._executor.shutdown(wait=False, cancel_futures=True)
