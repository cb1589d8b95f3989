"""The desk opens chats, runs them in the background, stops them, and picks them up again after a restart."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

from ucservice import logs

from groupchat_service import metrics
from groupchat_service.feed import Feed
from groupchat_service.providers import ProviderUnavailable
from groupchat_service.store import Session, Status, Store
from groupchat_service.team import (
    HUMAN,
    USER,
    Chunk,
    Message,
    TeamBuilder,
    TeamError,
    TeamSpec,
    Turn,
    conclusion,
    stopped_by,
)

MAX_RESTARTS = 3
_DRAIN_GRACE = 1.0  # and a moment to answer, within the grace that the server gives
_log = logs.get("desk")


class Busy(Exception):
    """The session is running, or its id is taken."""


class Unknown(Exception):
    """There is no such session."""


class Closing(Exception):
    """The service is going down and takes no new work."""


@dataclass(eq=False)
class _Run:
    identifier: str
    request_id: str
    task: asyncio.Task[None] = field(init=False)
    cancelled_by: Literal["user", "shutdown"] = "user"


class Desk:
    """Every chat of the service; one desk in one process owns the store."""

    def __init__(self, store: Store, teams: TeamBuilder, *, max_running: int, chat_timeout: float) -> None:
        self.store, self.feed = store, Feed()
        self.closing = asyncio.Event()
        self._teams, self._timeout = teams, chat_timeout
        self._places = asyncio.Semaphore(max_running)
        self._runs: dict[str, _Run] = {}

    async def resume(self) -> int:
        """Go on with the chats that the last process left running; how many."""
        resumed = 0
        for session in await self.store.running():
            restarts = await self.store.restart(session.id)
            if restarts > MAX_RESTARTS:
                await self.store.stop(session.id, "failed", {"error": f"given up after {MAX_RESTARTS} restarts"})
                continue
            self._start(session.id, session.request_id)
            resumed += 1
        return resumed

    async def open(self, task: str, spec: TeamSpec, identifier: str | None) -> Session:
        """Start a chat. The same request with the same id again finds the chat that it made (a retry is harmless)."""
        self._refuse_when_closing()
        identifier = identifier or uuid.uuid4().hex
        session = await self.store.create(identifier, task, spec, logs.request_id.get())
        if session is not None:
            self._start(identifier, session.request_id)
            return session
        existing = await self.session(identifier)
        if (existing.task, existing.spec) != (task, spec):
            raise Busy(f"session {identifier} exists with another task; POST /groupchat/{identifier}/messages goes on")
        return existing

    async def session(self, identifier: str) -> Session:
        """The session, or Unknown."""
        session = await self.store.session(identifier)
        if session is None:
            raise Unknown(f"session {identifier} not found")
        return session

    async def say(self, identifier: str, content: str) -> Session:
        """A follow-up to a stopped chat, or a person's answer to the supervisor's question."""
        self._refuse_when_closing()
        asked = (await self.session(identifier)).status == "input_required"
        message = Message(source=HUMAN if asked else USER, content=content)
        if not await self.store.go_on(identifier, message, logs.request_id.get()):
            raise Busy(f"session {identifier} is running")
        self._start(identifier, logs.request_id.get())
        return await self.session(identifier)

    async def wait(self, identifier: str) -> Session:
        """The session once its run has ended, or as it is when the service closes."""
        run = self._runs.get(identifier)
        if run is not None:
            closing = asyncio.create_task(self.closing.wait())
            await asyncio.wait({run.task, closing}, return_when=asyncio.FIRST_COMPLETED)
            if self.closing.is_set():
                await asyncio.wait({run.task}, timeout=_DRAIN_GRACE)
            closing.cancel()
        return await self.session(identifier)

    async def cancel(self, identifier: str) -> Session:
        """Stop a running chat, or one that waits for a person."""
        run = self._runs.get(identifier)
        if run is not None:
            await _interrupt(run)
        elif await self.store.stop(identifier, "cancelled", {"stop_reason": "cancelled"}):
            self.feed.publish(identifier)
        session = await self.session(identifier)
        if session.status != "cancelled":
            raise Busy(f"session {identifier} is {session.status}: there is nothing to cancel")
        return session

    async def delete(self, identifier: str) -> None:
        """Stop the chat if it runs, and forget it."""
        await self.session(identifier)
        if identifier in self._runs:
            await _interrupt(self._runs[identifier])
        await self.store.delete(identifier)
        self.feed.publish(identifier)

    async def ask(self, agent: str, content: str) -> Turn:
        """One agent's answer; nothing is kept."""
        self._refuse_when_closing()
        team = await self._teams(TeamSpec(agents=(agent,), max_rounds=1))
        try:
            async with asyncio.timeout(self._timeout):
                return await team.ask(agent, content)
        finally:
            await team.close()

    async def drain(self) -> None:
        """Take no new work, give running chats a moment to end, and leave the others to the next process."""
        self.closing.set()
        self.feed.publish_all()
        tasks = {run.task for run in self._runs.values()}
        if tasks:
            await asyncio.wait(tasks, timeout=_DRAIN_GRACE)
        left = list(self._runs.values())
        for run in left:
            run.cancelled_by = "shutdown"
        await asyncio.gather(*(_interrupt(run) for run in left))
        _log.info("drained", ended=len(tasks) - len(left), left_for_next_start=len(left))

    def _refuse_when_closing(self) -> None:
        if self.closing.is_set():
            raise Closing("the service is closing")

    def _start(self, identifier: str, request_id: str) -> None:
        run = _Run(identifier, request_id)
        run.task = asyncio.create_task(self._run(run), name=f"chat-{identifier}")
        self._runs[identifier] = run
        metrics.RUNNING.set(len(self._runs))
        run.task.add_done_callback(lambda _: self._ended(run))

    def _ended(self, run: _Run) -> None:
        if self._runs.get(run.identifier) is run:
            del self._runs[run.identifier]
        metrics.RUNNING.set(len(self._runs))

    async def _run(self, run: _Run) -> None:
        # The task's own context: after a restart there is no request, but its id goes on with the chat.
        logs.request_id.set(run.request_id)
        started = time.perf_counter()
        status: Status
        data: dict[str, Any]
        model: str | None
        try:
            async with self._places, asyncio.timeout(self._timeout):
                status, data, model = await self._converse(run.identifier)
        except asyncio.CancelledError:
            if run.cancelled_by == "shutdown":
                return
            status, data, model = "cancelled", {"stop_reason": "cancelled"}, None
        except TimeoutError:
            status, data, model = "failed", _failure(f"the chat took longer than {self._timeout:g} s"), None
        except (TeamError, ProviderUnavailable) as refused:
            status, data, model = "failed", _failure(str(refused)), None
        except Exception as bug:  # noqa: BLE001  a chat must not stay "running" for ever; the log keeps the traceback
            _log.exception("chat_crashed", session_id=run.identifier)
            status, data, model = "failed", _failure(f"internal error: {type(bug).__name__}"), None
        try:
            if await self.store.stop(run.identifier, status, {**data, "request_id": run.request_id}, model=model):
                seconds = time.perf_counter() - started
                metrics.RUNS.labels(status).inc()
                metrics.SECONDS.observe(seconds)
                _log.info("chat_stopped", session_id=run.identifier, status=status, ms=round(seconds * 1000, 1))
        finally:
            # A second cancel ends the wait here, not the write: the store does it before it is asked for the events.
            self.feed.publish(run.identifier)

    async def _converse(self, identifier: str) -> tuple[Status, dict[str, Any], str]:
        session = await self.session(identifier)
        messages, last = await self.store.history(identifier)
        team = await self._teams(session.spec)
        _log.info("chat_started", session_id=identifier, seq=last, model=team.model, agents=list(session.spec.agents))

        async def emit(item: Turn | Chunk) -> None:
            nonlocal last
            if isinstance(item, Chunk):
                self.feed.publish(identifier, (last, item))
                return
            last = await self.store.append(identifier, item.messages)
            if not last:
                raise TeamError("the session has ended")
            messages.extend(item.messages)
            _count(item)
            said = item.messages[-1]
            _log.info("chat_turn", session_id=identifier, seq=last, source=said.source, messages=len(item.messages))
            self.feed.publish(identifier)

        try:
            await team.run(tuple(messages), emit)
        finally:
            await team.close()
        decision = stopped_by(messages)
        reason = decision.verb.lower() if decision else "max_rounds"
        data = {"result": conclusion(messages), "stop_reason": "input_required" if reason == "ask" else reason}
        return ("input_required" if reason == "ask" else "finished"), data, team.model


async def _interrupt(run: _Run) -> None:
    run.task.cancel()
    await asyncio.wait({run.task})


def _failure(error: str) -> dict[str, Any]:
    return {"error": error, "stop_reason": "error"}


def _count(turn: Turn) -> None:
    for message in turn.messages:
        metrics.MESSAGES.labels(message.source).inc()
    metrics.TOKENS.labels("prompt").inc(turn.prompt_tokens)
    metrics.TOKENS.labels("completion").inc(turn.completion_tokens)
