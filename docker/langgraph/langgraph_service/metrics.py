"""What Prometheus scrapes."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from starlette.responses import Response
from ucservice.metrics import HttpMetrics

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
HTTP = HttpMetrics(REGISTRY)

RUNS = Counter("langgraph_runs_total", "Runs that ended, by graph and status", ["graph", "status"], registry=REGISTRY)
SECONDS = Histogram(
    "langgraph_run_duration_seconds",
    "How long runs took, waiting excluded",
    ["graph"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
    registry=REGISTRY,
)
RUNNING = Gauge("langgraph_runs_running", "Runs that execute now", registry=REGISTRY)
IN_FLIGHT = Gauge("langgraph_runs_in_flight", "Runs that are accepted and not over", registry=REGISTRY)
RESUMED = Counter("langgraph_runs_resumed_total", "Runs taken over from a process that ended", registry=REGISTRY)
GRAPHS = Gauge("langgraph_graphs", "Declared graphs by state", ["state"], registry=REGISTRY)


def scrape(accept: str | None) -> Response:
    """The metrics in the format the scraper asks for."""
    encode, content_type = choose_encoder(accept or "")
    return Response(encode(REGISTRY), headers={"content-type": content_type})
