"""The HTTP series that every service has under the same names; a service's own begin with its name."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class HttpMetrics:
    """What RequestLog counts. Only known methods become labels, so a client can't grow the metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["method", "status"]
        self._requests = Counter("http_requests", "Requests answered.", labels, registry=registry)
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Time from accepting a request to the end of its answer.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self._in_flight = Gauge("http_requests_in_flight", "Requests accepted and not yet answered.", registry=registry)

    def begin(self) -> None:
        """Count a request that was accepted."""
        self._in_flight.inc()

    def end(self, method: str, status: int, seconds: float) -> None:
        """Count the answer to a request, or that it has no more of one to come."""
        self._in_flight.dec()
        self._requests.labels(method if method in _METHODS else "other", str(status)).inc()
        self._seconds.observe(seconds)
