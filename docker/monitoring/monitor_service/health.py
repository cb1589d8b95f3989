"""What /health says: the watcher runs, the store takes writes, the last scan is young enough, the triggers work."""

from __future__ import annotations

import dataclasses
import sqlite3
import time
from typing import Any

from monitor_service import inventory
from monitor_service.service import Service


def report(service: Service) -> dict[str, Any]:
    """The parts, the inventory and, when something is not well, the reasons."""
    watcher, rules, limit = service.watcher, service.rules, 3 * service.settings.rescan_seconds
    age, watch = watcher.scan_age(), watcher.watch
    store_error = _write(service)
    scanned = age is not None
    tree = inventory.watched(
        service.settings.workspace,
        watcher.known_files,
        scanned=scanned,
        trouble=watcher.trouble if not scanned else None,
    )
    entries = [tree, *inventory.triggers(rules)]
    reasons: list[str] = []
    if not watcher.running:
        reasons.append("the watcher is not running")
    if store_error:
        reasons.append(f"the event store can't be written: {store_error}")
    if age is not None and age > limit:
        why = watcher.trouble or "the next one takes too long"
        reasons.append(f"the last scan is {age:.0f} s old (limit {limit:g} s): {why}")
    reasons += [
        f"{item['kind']} {item['name']}: {item['reason']}"
        for item in entries
        if item["critical"] and item["state"] == "failed"
    ]
    starting = [f"{item['kind']} {item['name']}: {item['reason']}" for item in entries if item["state"] == "pending"]
    status = "unhealthy" if reasons else "starting" if starting else "healthy"
    return {
        "status": status,
        "reasons": reasons or starting,
        "reason": "; ".join(reasons or starting),
        "inventory": entries,
        "watcher": {
            "running": watcher.running,
            "mode": "inotify" if watch is not None and watch.armed else "scans",
            "detail": watcher.trouble or (watch.reason if watch is not None else None),
        },
        "scan": {"age_seconds": None if age is None else round(age, 2), "limit_seconds": limit},
        "store": {"writable": store_error is None},
        "deliveries": {"running": service.delivering},
        "triggers": {
            "source": rules.source,
            "in_force": len(rules.rules.triggers),
            "refused": None if rules.refused is None else dataclasses.asdict(rules.refused),
        },
    }


def _write(service: Service) -> str | None:
    """Try a real write, at most once a second: a probe costs next to nothing."""
    with service.probe_lock:
        if time.monotonic() - service.probed_at >= 1:
            try:
                service.store.probe()
                service.probe_error = None
            except sqlite3.Error as error:
                service.probe_error = str(error)
            service.probed_at = time.monotonic()
        return service.probe_error
