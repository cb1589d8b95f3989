"""The snapshot in memory and in the store, kept equal; decides which differences are news."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence

from ucservice import logs

from monitor_service import metrics, template
from monitor_service.pattern import Ignore
from monitor_service.store import Change, Plan, Planned, Store
from monitor_service.tree import Signature
from monitor_service.triggers import Ruleset

_log = logs.get(__name__)
_CHUNK = 2048  # changes in one transaction: short enough that the delivery loop gets its turn
_DEBOUNCE_CEILING = 10  # a file that never rests is told after ten times the debounce


class Recorder:
    """Writes changes to the store; `known` is the snapshot as it is on disk."""

    def __init__(self, store: Store, root: str, ignore: Ignore, *, fire_on_baseline: bool) -> None:
        self._store, self._root, self._ignore = store, root, ignore
        self.known: dict[str, Signature] = store.snapshot()
        if fire_on_baseline and store.recall("baseline") is None:
            self._finish_baseline()
        self.baseline_wanted = store.recall("baseline") != root
        self._once_ignored = Ignore(json.loads(store.recall("ignore") or json.dumps(ignore.names)))

    def baseline(self, changes: Sequence[Change], stopped: Callable[[], bool]) -> None:
        """Take the tree as it is for known: nothing fires."""
        self._write(changes, None, stopped)
        if not stopped():
            self._finish_baseline()
            self.baseline_wanted = False
            _log.info("baseline_recorded", files=len(self.known), root=self._root)

    def record(self, changes: Sequence[Change], reason: str, rules: Ruleset, stopped: Callable[[], bool]) -> None:
        """Write the changes and their deliveries; where UC_IGNORE itself changed, nothing fires."""
        news, silent = list(changes), []
        if self._once_ignored.names != self._ignore.names:
            silent = [change for change in changes if self._was_or_is_ignored(change.path)]
            news = [change for change in changes if not self._was_or_is_ignored(change.path)]
            self._write(silent, None, stopped)
        self._write(news, lambda event: plan(rules, event), stopped)
        counts = Counter(change.kind for change in news)
        for kind, count in counts.items():
            metrics.EVENTS.labels(kind).inc(count)
        _log.info("changes_recorded", found_by=reason, silent=len(silent), **counts)

    def prune(self, keep: int) -> None:
        """After each scan: the ignored names are settled, old events go, the scan's time shows that we can write."""
        if self._once_ignored.names != self._ignore.names or self._store.recall("ignore") is None:
            self._store.remember("ignore", json.dumps(self._ignore.names))
            self._once_ignored = self._ignore
        self._store.prune(keep)
        metrics.FILES.set(len(self.known))

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
                if change.signature is None:
                    self.known.pop(change.path, None)
                else:
                    self.known[change.path] = change.signature
            time.sleep(0)


def plan(rules: Ruleset, event: dict[str, str]) -> list[Planned]:
    """The deliveries that the rules ask for."""
    known = None
    planned: list[Planned] = []
    for trigger in rules.triggers:
        if not trigger.wants(event["path"], event["kind"]):
            continue
        known = known or template.values(event)
        planned.append(
            Planned(
                trigger=trigger.name,
                target=trigger.target,
                url_path=template.render_path(trigger.path, known),
                body=json.dumps(template.render(dict(trigger.template), known)),
                after=trigger.debounce,
                at_most=trigger.debounce * _DEBOUNCE_CEILING,
            )
        )
    return planned
