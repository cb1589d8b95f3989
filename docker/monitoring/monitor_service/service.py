"""The parts of the service, put together and taken down in order."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

from ucservice import logs

from monitor_service.contents import Contents
from monitor_service.dispatch import Dispatcher
from monitor_service.outbox import Outbox
from monitor_service.pattern import Ignore
from monitor_service.recorder import Recorder
from monitor_service.rules_file import RulesFile
from monitor_service.settings import Settings
from monitor_service.store import Store
from monitor_service.tree import Tree
from monitor_service.watcher import Watcher

_log = logs.get(__name__)


class Service:
    """Store, rules, watcher and dispatcher."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings.store)
        self.outbox = Outbox(self.store)
        self.rules = RulesFile(settings.triggers, settings.environment, self.store)
        ignore = Ignore(settings.ignore)
        tree = Tree(settings.workspace, ignore, settings.compare_inodes, settings.hash_bytes > 0)
        recorder = Recorder(
            self.store,
            str(settings.workspace),
            ignore,
            Contents(tree, settings.hash_bytes),
            fire_on_baseline=settings.fire_on_baseline,
        )
        self.watcher = Watcher(settings, tree, recorder, self.rules, self._nudge)
        self.dispatcher: Dispatcher
        self._delivery: asyncio.Task[None] | None = None
        self.probe_lock = threading.Lock()
        self.probed_at = float("-inf")
        self.probe_error: str | None = None

    def start(self) -> None:
        """Begin to deliver and to watch; called in the event loop."""
        self.dispatcher = Dispatcher(self.outbox, lambda: self.rules.rules, self.settings)
        self._delivery = asyncio.create_task(self.dispatcher.run())
        self._delivery.add_done_callback(_crash_if_failed)
        self.watcher.start()

    async def stop(self) -> None:
        """End both; what is not delivered stays in the outbox."""
        await asyncio.gather(self.dispatcher.stop(), asyncio.to_thread(self.watcher.stop, 1.8))
        if self._delivery is not None:
            await asyncio.wait([self._delivery], timeout=0.5)
        _log.info("stopped")

    @property
    def delivering(self) -> bool:
        """Whether the delivery loop runs."""
        return self._delivery is not None and not self._delivery.done()

    def _nudge(self) -> None:
        self.dispatcher.nudge()


def _crash_if_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("dispatcher_crashed", exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)
