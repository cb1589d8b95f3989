"""The service's Prometheus metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from ucservice.metrics import HttpMetrics

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
HTTP = HttpMetrics(REGISTRY)
RUNS = Counter("autogen_runs", "Runs that ended, by how they ended.", ["status"], registry=REGISTRY)
MESSAGES = Counter("autogen_messages", "Messages that the agents added.", ["source"], registry=REGISTRY)
TOKENS = Counter("autogen_model_tokens", "Tokens that models used.", ["kind"], registry=REGISTRY)
RUNNING = Gauge("autogen_runs_in_flight", "Chats that are running or wait for a free place.", registry=REGISTRY)
STREAMS = Gauge("autogen_streams", "Open SSE and WebSocket streams.", registry=REGISTRY)
SECONDS = Histogram(
    "autogen_run_duration_seconds",
    "How long a run took.",
    registry=REGISTRY,
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)


def exposition(accept: str) -> tuple[bytes, str]:
    """The metrics in the format that the scraper asks for, with its content type."""
    encoder, content_type = choose_encoder(accept)
    return encoder(REGISTRY), content_type
