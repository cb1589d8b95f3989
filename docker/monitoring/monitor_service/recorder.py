"""The snapshot in memory and in the store, kept equal; decides which differences are news."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from logging import DEBUG, INFO

from ucservice import logs

from monitor_service import metrics, template
from monitor_service.contents import Contents
from monitor_service.pattern import Ignore
from monitor_service.store import Change, Plan, Planned, Store
from monitor_service.tree import Signature
from monitor_service.triggers import Ruleset

_log = logs.get(__name__)
_CHUNK = 2048  # changes in one transaction: short enough that the delivery loop gets its turn
_DEBOUNCE_CEILING = 10  # a file that never rests is told after ten times the debounce


class Recorder:
    """Writes changes to the store; `known` is the snapshot as it is on disk."""

    def __init__(self, store: Store, root: str, ignore: Ignore, contents: Contents, *, fire_on_baseline: bool) -> None:
        self._store, self._root, self._ignore, self._contents = store, root, ignore, contents
        self.known: dict[str, Signature] = store.snapshot()
        self._digests = store.digests()
        if fire_on_baseline and store.recall("baseline") is None:
            self._finish_baseline()
        self.baseline_wanted = store.recall("baseline") != root
        self._once_ignored = Ignore(json.loads(store.recall("ignore") or json.dumps(ignore.names)))

    def baseline(self, changes: Sequence[Change], stopped: Callable[[], bool]) -> None:
        """Take the tree as it is for known: nothing fires."""
        self._write(list(self._with_digests(changes)), None, stopped)
        if not stopped():
            self._finish_baseline()
            self.baseline_wanted = False
            _log.info("baseline_recorded", files=len(self.known), root=self._root)

    def record(
        self, changes: Sequence[Change], reason: str, rules: Ruleset, stopped: Callable[[], bool]
    ) -> list[Change]:
        """Write the changes and the deliveries of those that are news; the news.

        Not news: what UC_IGNORE newly hides or shows, a file whose change time moved over the same content, and the
        files of a folder that turned out to be a virtual environment.
        """
        news: list[Change] = []
        silent: list[Change] = []
        for change in self._with_digests(changes):
            (silent if self._is_silent(change) else news).append(change)
        self._write(silent, None, stopped)
        self._write(news, lambda event: plan(rules, event), stopped)
        counts = Counter(change.kind for change in news)
        for kind, count in counts.items():
            metrics.EVENTS.labels(kind).inc(count)
        if news or silent:
            _log.log(INFO if news else DEBUG, "changes_recorded", found_by=reason, silent=len(silent), **counts)
        return news

    def prune(self, keep: int) -> None:
        """After each scan: the ignored names are settled, old events go, the scan's time shows that we can write."""
        if self._once_ignored.names != self._ignore.names or self._store.recall("ignore") is None:
            self._store.remember("ignore", json.dumps(self._ignore.names))
            self._once_ignored = self._ignore
        self._store.prune(keep)
        metrics.FILES.set(len(self.known))

    def _with_digests(self, changes: Iterable[Change]) -> Iterable[Change]:
        for change in changes:
            if change.signature is None:
                yield change
            else:
                yield replace(change, digest=self._contents.digest(change.path, change.signature))

    def _is_silent(self, change: Change) -> bool:
        if self._once_ignored.names != self._ignore.names and self._was_or_is_ignored(change.path):
            return True
        if change.signature is None and self._contents.tree.in_virtualenv(change.path):
            return True
        known = self.known.get(change.path)
        if known is None or change.signature is None or not change.signature.differs_in_ctime_alone(known):
            return False
        if 0 in {known.ctime_ns, change.signature.ctime_ns}:  # recorded while change times didn't count
            return True
        return change.digest is not None and change.digest == self._digests.get(change.path)

    def _was_or_is_ignored(self, path: str) -> bool:
        return self._once_ignored.path(path) or self._ignore.path(path)

    def _finish_baseline(self) -> None:
        self._store.remember("baseline", self._root)

    def _write(self, changes: Sequence[Change], planned: Plan | None, stopped: Callable[[], bool]) -> None:
        for start in range(0, len(changes), _CHUNK):
            if stopped():
                return
            chunk = changes[start : start + _CHUNK]
            self._store.record(chunk, planned)
            for change in chunk:
                self._digests.pop(change.path, None)
                if change.signature is None:
                    self.known.pop(change.path, None)
                else:
                    self.known[change.path] = change.signature
                    if change.digest is not None:
                        self._digests[change.path] = change.digest
            time.sleep(0)


def plan(rules: Ruleset, event: dict[str, str]) -> list[Planned]:
    """The deliveries that the rules ask for."""
    known = None
    planned: list[Planned] = []
    for trigger in rules.triggers:
        if not trigger.wants(event["path"], event["kind"]):
            continue
        known = known or template.values(event)
        timing, batched = trigger.timing, trigger.timing.batch > 0
        planned.append(
            Planned(
                trigger=trigger.name,
                target=trigger.target,
                url_path=trigger.path if batched else template.render_path(trigger.path, known),
                body=json.dumps(trigger.template if batched else template.render(dict(trigger.template), known)),
                after=timing.batch or timing.debounce,
                at_most=timing.batch or timing.debounce * _DEBOUNCE_CEILING,
                lane="" if timing.cooldown_per == "trigger" else event["path"],
                priority=timing.priority,
                cooldown=timing.cooldown,
                batch_paths=timing.batch_paths if batched else 0,
            )
        )
    return planned
