"""The OpenAPI document: what FastAPI knows, and how one gets in."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from ucservice.web import PUBLIC_PATHS

from langgraph_service.shapes import Refusal

# What any route can answer instead of what was asked for.
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "The graph refuses it"},
    401: {"description": "No key, or a wrong one"},
    404: {"model": Refusal, "description": "Nothing of that name here"},
    409: {"model": Refusal, "description": "What exists already stands in the way"},
    413: {"model": Refusal, "description": "The body is too large"},
    422: {"model": Refusal, "description": "The request cannot mean anything"},
    503: {"model": Refusal, "description": "Not now: the queue is full, the state is not writable, or it is stopping"},
}
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Server-sent events", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
}
_KEYS = {
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


def document(app: FastAPI) -> dict[str, Any]:
    """The app's document, with the key on every route but the probes."""
    if app.openapi_schema is None:
        made = FastAPI.openapi(app)
        shared: dict[str, Any] = {str(code): {} for code in REFUSALS}
        for path, methods in made["paths"].items():
            for operation in methods.values():
                for code in shared:
                    shared[code] = operation["responses"][code]
                    operation["responses"][code] = {"$ref": f"#/components/responses/{code}"}
                operation["security"] = [] if path in PUBLIC_PATHS else [{name: []} for name in _KEYS]
        made["components"] |= {"securitySchemes": _KEYS, "responses": shared}
        app.openapi_schema = made
    return app.openapi_schema
