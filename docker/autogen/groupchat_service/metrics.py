"""The service's Prometheus metrics."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
RUNS = Counter("groupchat_runs", "Runs that ended, by how they ended.", ["status"], registry=REGISTRY)
MESSAGES = Counter("groupchat_messages", "Messages that the agents added.", ["source"], registry=REGISTRY)
TOKENS = Counter("groupchat_model_tokens", "Tokens that models used.", ["kind"], registry=REGISTRY)
RUNNING = Gauge("groupchat_running", "Chats that are running or wait for a free place.", registry=REGISTRY)
STREAMS = Gauge("groupchat_streams", "Open SSE and WebSocket streams.", registry=REGISTRY)
SECONDS = Histogram(
    "groupchat_run_seconds",
    "How long a run took.",
    registry=REGISTRY,
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)


def exposition(accept: str) -> tuple[bytes, str]:
    """The metrics in the format that the scraper asks for, with its content type."""
    encoder, content_type = choose_encoder(accept)
    return encoder(REGISTRY), content_type
