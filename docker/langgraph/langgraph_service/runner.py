"""Runs in motion: one lane for each thread, so that a thread never has two at once."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any

from langchain_core.runnables import RunnableConfig
from ucservice import logs

from langgraph_service import metrics, protocol
from langgraph_service.encode import dumps
from langgraph_service.engines import Work
from langgraph_service.errors import Conflict, Overloaded
from langgraph_service.events import EventLog
from langgraph_service.execution import execute, run_config
from langgraph_service.feeds import Feeds
from langgraph_service.job import Job, Stop, delay_of
from langgraph_service.state import State

BUSY = "Thread is already running a task. Wait for it to finish or choose a different multitask strategy."
# How long a run that is over can still be joined from memory: a resumable stream, or a thread that is gone already.
KEPT_SECONDS = 120.0

_log = logs.get("runner")


class Runner:
    """Takes runs, executes them in order, cancels them, and hands the rest to the next process."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.stopping = asyncio.Event()
        self.feeds, self.sessions = Feeds(), protocol.Sessions()
        self._lanes: dict[str, deque[Job]] = {}
        self._jobs: dict[str, Job] = {}
        self._open: dict[str, list[Job]] = {}  # by thread: in its lane, executing, or held back until its time
        self._slots = asyncio.Semaphore(state.settings.max_running)
        self._workers: set[asyncio.Task[None]] = set()
        self._unfinished = 0
        self._unrecorded: list[Job] = []

    def job(self, run_id: str) -> Job | None:
        """The run, if it is in motion or was a moment ago."""
        return self._jobs.get(run_id)

    def active(self, thread_id: str | None = None) -> list[Job]:
        """The runs that are accepted and not over (of one thread)."""
        threads = self._open.values() if thread_id is None else [self._open.get(thread_id, [])]
        return [job for jobs in threads for job in jobs]

    async def submit(self, run: Mapping[str, Any], graph: str, strategy: str) -> Job:
        """Accept a new run. With an idempotency key that is known, the run it named first."""
        if self.stopping.is_set():
            raise Overloaded("the service is stopping")
        if self._unfinished >= self.state.settings.max_queued:
            raise Overloaded(f"{self._unfinished} runs are waiting: try again later")
        others = self.active(run["thread_id"])
        if others and strategy == "reject":
            raise Conflict(BUSY)
        job = self.admit(run, graph)
        try:
            if strategy in {"interrupt", "rollback"}:
                await self.cancel(others, "rollback" if strategy == "rollback" else "interrupt")
            job.run = await self.state.runs.add(run)
            if job.run["run_id"] != run["run_id"]:
                self._withdraw(job, run["run_id"])
                return self.job(job.run["run_id"]) or self.ended(job.run)
            if not job.temporary:
                await self.state.threads.begin(job.thread_id, graph, run["assistant_id"], run["kwargs"]["config"])
        except BaseException:
            self._withdraw(job, run["run_id"])
            raise
        job.recorded.set()
        _log.info("run_accepted", **job.named)
        return job

    def ended(self, run: Mapping[str, Any]) -> Job:
        """A run that is over, in the shape of one that lives."""
        job = Job(run=dict(run), graph="", log=EventLog(resumable=False), status=str(run["status"]))
        job.finish()
        return job

    def admit(self, run: Mapping[str, Any], graph: str) -> Job:
        """Take a run in; it waits until it is recorded."""
        job = Job(run=dict(run), graph=graph, log=EventLog(resumable=run["kwargs"]["resumable"]))
        self._jobs[job.run_id] = job
        self._open.setdefault(job.thread_id, []).append(job)
        self._unfinished += 1
        metrics.IN_FLIGHT.inc()
        if (delay := delay_of(run)) > 0:
            job.held = True
            self._spawn(self._later(job, delay))
        else:
            self._enqueue(job)
        return job

    def _enqueue(self, job: Job) -> None:
        job.held = False
        lane = self._lanes.setdefault(job.thread_id, deque())
        lane.append(job)
        if len(lane) == 1:
            self._spawn(self._work(job.thread_id, lane))

    async def _later(self, job: Job, delay: float) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (job.done, self.stopping)]
        await asyncio.wait(waits, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if not job.done.is_set() and not self.stopping.is_set():
            self._enqueue(job)

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._workers.add(task)
        task.add_done_callback(self._workers.discard)

    def _withdraw(self, job: Job, run_id: str) -> None:
        self._jobs.pop(run_id, None)
        job.stop = job.stop or "interrupt"
        self._close(job)
        job.recorded.set()

    def _close(self, job: Job) -> None:
        if not job.done.is_set():
            self._unfinished -= 1
            metrics.IN_FLIGHT.dec()
            of_thread = self._open[job.thread_id]
            of_thread.remove(job)
            if not of_thread:
                del self._open[job.thread_id]
        job.finish()

    async def _work(self, thread_id: str, lane: deque[Job]) -> None:
        while lane:
            job = lane[0]
            await job.recorded.wait()
            if not job.done.is_set():
                async with self._slots:
                    await self._run(job)
            lane.popleft()
        self._lanes.pop(thread_id, None)

    async def _run(self, job: Job) -> None:
        if job.done.is_set() or job.stop == "suspend":
            return
        logs.request_id.set(job.run["request_id"])
        started = time.perf_counter()
        job.status = "running"
        job.task = asyncio.create_task(self._attempt(job))
        if job.stop is not None or self.stopping.is_set():
            job.task.cancel()
        with metrics.RUNNING.track_inprogress():
            await asyncio.wait({job.task})
        seconds = time.perf_counter() - started
        metrics.SECONDS.labels(job.graph).observe(seconds)
        try:
            await self._end(job, more=any(other is not job for other in self.active(job.thread_id)))
        except Exception as error:  # noqa: BLE001 - the tables failed: the client is answered, the lane goes on
            _log.exception("run_not_recorded", **job.named)
            job.error = job.error or {"error": type(error).__name__, "message": str(error)}
            self._unrecorded.append(job)
        if not job.suspended:
            waits = isinstance(job.values, dict) and "__interrupt__" in job.values
            _log.info("run_ended", status=job.status, waits=waits, ms=round(seconds * 1000, 1), **job.named)
        self._close(job)
        self.feeds.done(job)
        self.sessions.ended(job)
        self._forget(job)

    def _executing(self, job: Job, config: RunnableConfig) -> Work:
        graph, kwargs = self.state.graphs.loaded[job.graph], job.run["kwargs"]
        graph = graph.copy({"checkpointer": None}) if job.temporary else graph
        if kwargs.get("protocol"):
            return partial(protocol.execute, graph, job, config, self.sessions.of(job.thread_id))
        return partial(execute, graph, kwargs, config, self.feeds.relay(job, asyncio.get_running_loop()))

    async def _attempt(self, job: Job) -> None:
        kwargs = job.run["kwargs"]
        if not job.temporary and (kwargs.get("command") or kwargs.get("input") is None):
            job.mark = await self.state.checkpoints.mark()
        await self.state.require_begun(job)
        attempt = await self.state.runs.start(job.run_id)
        _log.info("run_started", attempt=attempt, **job.named)
        publish = self.feeds.publisher(job)
        publish("metadata", {"run_id": job.run_id, "attempt": attempt})
        config = run_config(job.run, job.graph, attempt)
        try:
            async with asyncio.timeout(self.state.settings.run_timeout) as limit:
                job.values = await self.state.engines.run(self._executing(job, config))
        except TimeoutError as error:
            if limit.expired():
                job.status = "timeout"
                raise TimeoutError(f"the run took longer than {self.state.settings.run_timeout:g} s") from error
            raise
        except SystemExit as error:
            raise RuntimeError(f"the graph called sys.exit({error.code!r})") from error

    async def _end(self, job: Job, *, more: bool) -> None:
        assert job.task is not None
        failure = None if job.task.cancelled() else job.task.exception()
        if job.suspended and (job.task.cancelled() or failure is not None):
            return
        job.stop = None if job.suspended else job.stop
        if job.task.cancelled() and job.stop is None:
            failure = RuntimeError("the graph cancelled itself")
        if job.stop is not None and (failure is not None or job.task.cancelled()):
            job.status = "interrupted"
        elif failure is not None:
            self._fail(job, failure)
        else:
            self._succeed(job)
        metrics.RUNS.labels(job.graph, job.status).inc()
        if job.stop == "rollback":
            await self.state.rolled_back(job, more=more)
        else:
            await self.state.finished(job, more=more)

    def _succeed(self, job: Job) -> None:
        try:
            job.body = dumps(job.values)
        except TypeError as error:  # a value that JSON has no room for: better said than cut off
            self._fail(job, error)
        else:
            job.status = "success"

    def _fail(self, job: Job, failure: BaseException) -> None:
        job.error = {"error": type(failure).__name__, "message": str(failure)}
        job.status = "timeout" if job.status == "timeout" else "error"
        self.feeds.publisher(job)("error", job.error)
        _log.warning("run_failed", exc_info=failure, **job.named)

    def _forget(self, job: Job) -> None:
        if job.log.resumable or job.temporary:
            asyncio.get_running_loop().call_later(KEPT_SECONDS, self._jobs.pop, job.run_id, None)
        else:
            self._jobs.pop(job.run_id, None)

    async def cancel(self, jobs: list[Job], stop: Stop, asked: str = "") -> None:
        """Cancel runs: a waiting one is over at once, an executing one when its graph has let go."""
        for job in jobs:
            if job.done.is_set() or job.stop is not None:
                continue
            job.stop, job.asked = stop, asked
            if job.task is not None:
                job.task.cancel()
                continue
            job.status = "interrupted"
            self._close(job)
            self._forget(job)
            metrics.RUNS.labels(job.graph, job.status).inc()
            _log.info("run_ended", status=job.status, waits=False, ms=0, **job.named)
            if stop == "rollback" or job.temporary:
                await self.state.runs.delete([job.run_id])
            else:
                await self.state.runs.finish(job.run_id, job.status)
            if not job.temporary and not self.active(job.thread_id):
                await self.state.refresh(job.thread_id, error=job.cancelled)

    async def record_again(self) -> None:
        """Record the ends of runs that could not be recorded when they happened, as after a full disk."""
        for job in list(self._unrecorded):
            try:
                await self.state.runs.finish(job.run_id, job.status)
                if not job.temporary and not self.active(job.thread_id):
                    await self.state.refresh(job.thread_id)
            except Exception as error:  # noqa: BLE001 - one that can't be recorded holds up neither others nor the sweep
                _log.warning("run_not_recorded", error=f"{type(error).__name__}: {error}", **job.named)
            else:
                self._unrecorded.remove(job)  # this very one: runs may have been added meanwhile

    async def stop(self, grace: float = 1.5) -> None:
        """Finish what ends within `grace` seconds; leave the rest recorded for the next process."""
        self.stopping.set()
        for job in self.active():
            if job.task is None:
                job.stop = "suspend"
        if running := [job.task for job in self.active() if job.task is not None]:
            await asyncio.wait(running, timeout=grace)
        for job in list(self._jobs.values()):
            if not job.done.is_set():
                job.stop = "suspend"
                if job.task is not None:
                    job.task.cancel()
                else:
                    self._close(job)
                _log.info("run_suspended", **job.named)
        if self._workers:
            await asyncio.wait(self._workers, timeout=1)
