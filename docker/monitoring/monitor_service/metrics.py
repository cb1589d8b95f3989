"""The Prometheus series of this service. No label holds a path."""

from __future__ import annotations

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from ucservice.metrics import HttpMetrics

HTTP = HttpMetrics(REGISTRY)
OUTCOMES = ("delivered", "retried", "dead")

EVENTS = Counter("monitoring_events", "Changes recorded", ["kind"])
for _kind in ("added", "modified", "deleted"):
    EVENTS.labels(_kind)
MISSED = Counter("monitoring_missed_by_inotify", "Changes that only a scan found while the watch was armed")
RESTARTS = Counter("monitoring_watcher_restarts", "Times the watch was lost and armed again")
INOTIFY = Gauge("monitoring_inotify_active", "1 while inotify is armed, 0 while changes are found by scans alone")
WATCHES = Gauge("monitoring_inotify_watches", "Folders that inotify watches, ignored ones included")
SCANS = Counter("monitoring_scans", "Full scans of the tree", ["reason"])
SCAN_SECONDS = Histogram(
    "monitoring_scan_duration_seconds",
    "Time of a full scan",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
SCAN_AGE = Gauge("monitoring_last_scan_age_seconds", "Time since the last complete scan (NaN before the first)")
FILES = Gauge("monitoring_files", "Files in the snapshot")
DIRECTORIES = Gauge("monitoring_directories", "Folders in the last scan")
UNREADABLE = Gauge("monitoring_unreadable_directories", "Folders that the last scan could not read")
OUTBOX = Gauge("monitoring_outbox_depth", "Deliveries that are still to be made")
DEAD = Gauge("monitoring_dead_letters", "Deliveries that were given up and wait for a redeliver")
DELIVERIES = Counter("monitoring_deliveries", "Delivery attempts by outcome", ["trigger", "outcome"])
LATENCY = Histogram(
    "monitoring_delivery_duration_seconds",
    "From noticing the change to the target's acceptance, debounce included",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
TRIGGERS_REFUSED = Gauge("monitoring_triggers_refused", "1 while the triggers file is refused and older rules stay")
