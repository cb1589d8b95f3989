"""The OpenAPI document: valid, served, and true of what the service answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from psserver import HERE, Service

DOCUMENT = json.loads((HERE.parent / "server" / "openapi.json").read_text())


def test_the_document_is_valid_and_served(service: Service) -> None:
    """OpenAPI 3.1 by its validator, without a token, byte for byte the file."""
    OpenAPIV31SpecValidator(DOCUMENT).validate()
    answer = service.request("GET", "/openapi.json", token=None)
    assert (answer.status_code, answer.json()) == (200, DOCUMENT)


def described(method: str, path: str, status: int) -> dict[str, Any] | None:
    """The schema of this answer, None for one that is not JSON; fails when the document does not know it."""
    answer = DOCUMENT["paths"][path][method]["responses"][str(status)]
    if "$ref" in answer:
        answer = DOCUMENT["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    content = answer["content"].get("application/json")
    return content and {"$ref": "#/schema", "schema": content["schema"], "components": DOCUMENT["components"]}


CALL = {"module": "Probe", "command": "Get-Echo", "parameters": {"Text": "x"}}


@pytest.mark.parametrize(
    ("method", "path", "status", "options"),
    [
        ("get", "/health", 200, {}),
        ("get", "/ready", 200, {}),
        ("get", "/metrics", 200, {}),
        ("get", "/openapi.json", 200, {}),
        ("get", "/modules", 200, {}),
        ("get", "/modules", 401, {"token": None}),
        ("get", "/modules/{module}/commands", 200, {"module": "Probe"}),
        ("get", "/modules/{module}/commands", 404, {"module": "Absent"}),
        ("post", "/invoke", 200, {"json": CALL}),
        ("post", "/invoke", 200, {"json": CALL | {"command": "Get-Mixed", "parameters": None}}),
        ("post", "/invoke", 400, {"json": {}}),
        ("post", "/invoke", 401, {"json": CALL, "token": "wrong"}),
        ("post", "/invoke", 403, {"json": CALL | {"module": "Absent"}}),
        ("post", "/invoke", 413, {"content": b" " * 1_100_000}),
    ],
)
def test_answers_are_as_described(
    service: Service, method: str, path: str, status: int, options: dict[str, Any]
) -> None:
    """Status, media type and every property are in the document; nothing more is answered."""
    sent = dict(options)
    answer = service.request(method.upper(), path.replace("{module}", sent.pop("module", "")), **sent)
    assert answer.status_code == status
    assert answer.headers["x-request-id"]
    schema = described(method, path, status)
    assert (answer.headers["content-type"] == "application/json") == bool(schema)
    if schema:
        Draft202012Validator(schema).validate(answer.json())
