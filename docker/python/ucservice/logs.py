"""One JSON object a line on stdout, for the service's own events and for every library that uses logging."""

from __future__ import annotations

import contextvars
import logging
import os
import sys
import threading
from typing import Any

import structlog

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")

_EXTRA_KEYS = ("stack_info", "positional_args")


def _add_context(_logger: Any, _name: str, event: dict[str, Any]) -> dict[str, Any]:
    event["service"] = os.environ.get("UC_SERVICE", "unknown")
    if current := request_id.get():
        event.setdefault("request_id", current)
    for key in _EXTRA_KEYS:
        event.pop(key, None)
    return event


_SHARED: list[Any] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    _add_context,
    structlog.processors.format_exc_info,
]


def setup(level: str | None = None) -> None:
    """Route structlog and the standard logging module through one JSON formatter; level from UC_LOG_LEVEL."""
    chosen = (level or os.environ.get("UC_LOG_LEVEL", "INFO")).upper()
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(chosen)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(chosen)
    logging.captureWarnings(capture=True)
    sys.excepthook = lambda *raised: _uncaught("main", raised)
    threading.excepthook = lambda found: _uncaught(found.thread, (found.exc_type, found.exc_value, found.exc_traceback))
    sys.unraisablehook = lambda found: _uncaught(found.object, (found.exc_type, found.exc_value, found.exc_traceback))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # The middleware in ucservice.web logs each request once, with its id; these would say it again.
    for name in ("uvicorn.access", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _uncaught(where: object, raised: tuple[Any, Any, Any]) -> None:
    """Python itself would write a traceback of many lines to stderr, which is the container's log as well."""
    get("python").error("uncaught", where=repr(where)[:200], exc_info=raised)


def get(name: str) -> Any:
    """A bound logger; call it as log.info("event_name", key=value)."""
    return structlog.stdlib.get_logger(name)
