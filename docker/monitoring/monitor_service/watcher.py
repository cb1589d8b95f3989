"""The watcher's thread: arm the watch, then scan, then follow the hints and scan again and again."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable

from ucservice import logs

from monitor_service import metrics
from monitor_service.hints import Hints, changes_between
from monitor_service.inotify import Watch, WatchLost
from monitor_service.recorder import Recorder
from monitor_service.rules_file import RulesFile
from monitor_service.settings import Settings
from monitor_service.store import Change
from monitor_service.tree import Interrupted, Tree

_log = logs.get(__name__)
_TICK_SECONDS = 0.5
_BURST = 4096
_REARM_SECONDS = 600.0
_RESTART_SECONDS = 2.0
_SETTLE_SECONDS = 1.0


class Watcher:
    """Keeps the snapshot equal to the tree; what differs is recorded with its deliveries."""

    def __init__(
        self, settings: Settings, tree: Tree, recorder: Recorder, rules: RulesFile, recorded: Callable[[], None]
    ) -> None:
        self._settings, self._recorder, self._rules, self._recorded = settings, recorder, rules, recorded
        self.tree = tree
        self.watch: Watch | None = None
        self.trouble: str | None = None
        self._last_scan: float | None = None
        self._next_scan = 0.0
        self._since_scan = 0
        self._unhinted: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Ask the thread to end and wait for it."""
        self._stop.set()
        self._thread.join(timeout)

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def known_files(self) -> int:
        """How many files the snapshot has."""
        return len(self._recorder.known)

    def scan_age(self) -> float | None:
        """Seconds since the last complete scan; None before the first."""
        return None if self._last_scan is None else time.monotonic() - self._last_scan

    def _run(self) -> None:
        reason = "startup"
        while not self._stop.is_set():
            try:
                self._watch_until_lost(reason)
                reason = "rearm"
                continue
            except Interrupted:
                return
            except WatchLost as error:
                reason, self.trouble = "rearm", str(error)
                metrics.RESTARTS.inc()
                _log.warning("watch_lost", error=str(error))
            except (OSError, sqlite3.Error) as error:
                reason, before = "rearm", self.trouble
                self.trouble = f"{type(error).__name__}: {error}"
                if self.trouble != before:
                    _log.error("watcher_failed", error=self.trouble)
            except Exception:  # noqa: BLE001 - a bug of ours: the process ends, so that the restart policy sees it
                _log.exception("watcher_crashed")
                os.kill(os.getpid(), signal.SIGTERM)
                return
            self._stop.wait(_RESTART_SECONDS)

    def _watch_until_lost(self, reason: str) -> None:
        """Arm, scan, then follow the hints; returns when the watch should be armed afresh."""
        identity = self.tree.identity()
        self.watch = watch = Watch(self.tree.root, wanted=self._settings.inotify)
        try:
            metrics.INOTIFY.set(watch.armed)
            self._scan(watch, reason)
            self.trouble = None
            rearm_at = time.monotonic() + _REARM_SECONDS
            hints = Hints(self.tree)
            while not self._stop.is_set():
                self._tick(watch, hints)
                if self.tree.identity() != identity:
                    raise WatchLost("the watched folder was replaced")
                if self._settings.inotify and not watch.armed and time.monotonic() > rearm_at:
                    return
        finally:
            metrics.INOTIFY.set(0)
            watch.close()

    def _tick(self, watch: Watch, hints: Hints) -> None:
        hinted = watch.hints(_TICK_SECONDS, self._stop)
        paths = hints.relative(hinted)
        now = time.monotonic()
        self._rules.refresh()
        self._count_missed(paths, now)
        self._since_scan += len(hinted)  # ignored paths too: they fill the kernel's queue as well
        if self._since_scan >= _BURST:
            self._scan(watch, "burst", hinted=paths)
            # The kernel may have dropped more while we looked: look once more when it is quiet.
            self._next_scan = min(self._next_scan, time.monotonic() + 2.0)
        elif now >= self._next_scan:
            self._scan(watch, "rescan", hinted=paths)
        elif paths or hints.pending(now):
            self._record(hints.changes(paths, self._recorder.known, now), "hint")

    def _scan(self, watch: Watch, reason: str, hinted: set[str] | None = None) -> None:
        started = time.monotonic()
        walk = self.tree.walk(stopped=self._stop.is_set)
        changes = [
            change
            for change in changes_between(self._recorder.known, walk.files)
            if change.signature is not None or not walk.hides(change.path)
        ]
        if self._recorder.baseline_wanted:
            self._recorder.baseline(changes, self._stop.is_set)
            news = []
        else:
            news = self._record(changes, reason)
        ended = time.monotonic()
        if hinted is not None and watch.armed:
            self._unhinted |= {change.path: ended + _SETTLE_SECONDS for change in news if change.path not in hinted}
        self._last_scan, self._since_scan = ended, 0
        self._next_scan = ended + self._settings.rescan_seconds
        self._recorder.prune(self._settings.keep_events)
        metrics.SCANS.labels(reason).inc()
        metrics.SCAN_SECONDS.observe(ended - started)
        metrics.DIRECTORIES.set(walk.directories)
        metrics.UNREADABLE.set(len(walk.unreadable))
        metrics.WATCHES.set(watch.check_coverage(walk.directories))

    def _record(self, changes: list[Change], reason: str) -> list[Change]:
        news = self._recorder.record(changes, reason, self._rules.rules, self._stop.is_set) if changes else []
        if news:
            self._recorded()
        return news

    def _count_missed(self, hinted: set[str], now: float) -> None:
        """What a scan found and no hint named within a second was missed by inotify."""
        for path in hinted:
            self._unhinted.pop(path, None)
        late = [path for path, deadline in self._unhinted.items() if deadline <= now]
        for path in late:
            del self._unhinted[path]
        metrics.MISSED.inc(len(late))
