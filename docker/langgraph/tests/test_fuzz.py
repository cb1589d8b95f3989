"""Every operation of the OpenAPI document with inputs that nobody would think of; UC_FUZZ_EXAMPLES for a longer search."""

from __future__ import annotations

import json
import os
import zlib
from contextlib import closing
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from langgraph_harness import Endpoint
from langgraph_service.app import create_app
from langgraph_service.settings import Settings
from schemathesis import GenerationMode
from schemathesis.core.errors import InvalidSchema
from schemathesis.core.result import Err, Result
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

EXAMPLES = int(os.environ.get("UC_FUZZ_EXAMPLES", "6"))
# Only these three can say yes for months: a real run is started at once, and a stream is read no further than its head.
_SOON = 0.01


Operation = APIOperation[Any, Any, Any, Any]


def _operation(found: Result[Operation, InvalidSchema]) -> Operation:
    """The operation; raises what is wrong with the document where one can't be read."""
    if isinstance(found, Err):
        raise found.err()
    return found.ok()


API = schemathesis.openapi.from_dict(create_app(Settings.from_environ({})).openapi())
OPERATIONS = [_operation(found) for found in API.get_all_operations()]


@pytest.fixture
def thread(server: Endpoint) -> str:
    """A thread that exists and has a state."""
    with httpx.Client(base_url=server.url, headers={"x-api-key": server.key}) as http:
        made = str(http.post("/threads", json={}).json()["thread_id"])
        http.post(f"/threads/{made}/runs/wait", json={"assistant_id": "gate", "input": {"subject": "fuzz"}})
    return made


def _reach_further(case: Any, thread: str) -> None:
    """Let half of the cases name a thread and a graph that exist: random ones end at the first look-up."""
    chance = zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode())
    if chance % 2 and "thread_id" in (case.path_parameters or {}) and case.method != "DELETE":
        case.path_parameters["thread_id"] = thread
    for body in case.body if isinstance(case.body, list) else [case.body]:
        if isinstance(body, dict) and "assistant_id" in body:
            if chance % 2:
                body["assistant_id"] = "gate" if chance % 4 == 1 else "probe"
            if isinstance(body.get("after_seconds"), int | float):
                body["after_seconds"] = min(body["after_seconds"], _SOON)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_no_input_is_answered_with_a_server_error(operation: Operation, server: Endpoint, thread: str) -> None:
    """Whatever is sent, the answer is one that the document names, never a 5xx, and a refusal says why."""
    streams = "text/event-stream" in str(operation.definition.raw["responses"].get("200"))

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=[*HealthCheck]
    )
    @given(
        case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    )
    def search(case: Any) -> None:
        _reach_further(case, thread)
        sent = case.as_transport_kwargs(base_url=server.url)
        sent["headers"].pop("Authorization", None)
        sent["headers"]["x-api-key"] = server.key
        with closing(requests.request(**sent, stream=streams, timeout=20)) as answer:
            assert answer.status_code < 500, answer.text
            if not streams or answer.status_code >= 400:
                assert "Traceback" not in answer.text
                checks = [content_type_conformance, response_schema_conformance, status_code_conformance]
                case.validate_response(answer, checks=checks)
            if answer.status_code >= 400:
                assert json.loads(answer.text)["detail"]

    search()


def _nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


_MANY = {f"k{number}": number for number in range(1500)}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/threads", {"metadata": _nested(260)}),
        ("POST", "/threads/THREAD/runs/wait", {"assistant_id": "gate", "input": _nested(260)}),
        ("PUT", "/store/items", {"namespace": ["a"], "key": "k", "value": _nested(260)}),
        ("POST", "/threads/THREAD/history", {"checkpoint": {"checkpoint_ns": 5}}),
        ("POST", "/threads/THREAD/history", {"checkpoint": {"checkpoint_id": [1]}}),
        ("POST", "/threads/THREAD/history", {"before": {"checkpoint_id": {"a": 1}}}),
        ("POST", "/threads/THREAD/state/checkpoint", {"checkpoint": {"checkpoint_id": {"a": 1}}}),
        ("POST", "/threads/THREAD/state", {"values": {}, "as_node": "ask", "checkpoint": {"checkpoint_id": [1]}}),
        ("POST", "/threads/THREAD/runs/wait", {"assistant_id": "gate", "checkpoint": {"checkpoint_id": [1]}}),
        ("POST", "/threads/search", {"metadata": _MANY}),
        ("POST", "/threads/count", {"values": {"nested": _MANY}}),
        ("POST", "/threads/search", {"ids": ["x"] * 70_000}),
        ("POST", "/threads/THREAD/history", {"metadata": _MANY}),
        ("POST", "/store/items/search", {"filter": _MANY}),
        ("DELETE", "/store/items", {"namespace": [""], "key": "k"}),
        ("POST", "/store/items/search", {"namespace_prefix": [""]}),
        ("POST", "/store/items/search", {"filter": {"a b": 1}}),
        ("POST", "/store/namespaces", {"prefix": [""]}),
        ("POST", "/threads/THREAD/history", {"metadata": {"": None}}),
        ("POST", "/threads/search", {"offset": 2**63}),
        ("POST", "/threads", {"ttl": 1e300}),
    ],
)
def test_what_the_search_has_found_is_refused(
    server: Endpoint, thread: str, method: str, path: str, body: dict[str, Any]
) -> None:
    """Input that once ended in a server error is refused with a reason."""
    with httpx.Client(base_url=server.url, headers={"x-api-key": server.key}, timeout=15) as http:
        answer = http.request(method, path.replace("THREAD", thread), json=body)

    assert (answer.status_code, answer.json()["detail"] != "") == (422, True)


def test_accepted_input_is_readable_on_every_endpoint(server: Endpoint, thread: str) -> None:
    """The deepest input that is not refused comes back in states, histories, lists and events."""
    with httpx.Client(base_url=server.url, headers={"x-api-key": server.key}, timeout=15) as http:

        def run(depth: int, route: str = "wait") -> httpx.Response:
            body = {"assistant_id": "gate", "input": {"subject": _nested(depth)}, "stream_mode": ["debug", "events"]}
            return http.post(f"/threads/{thread}/runs/{route}", json=body)

        deepest = next(depth for depth in range(300, 0, -1) if run(depth).status_code != 422)
        answers = [run(deepest), run(deepest, "stream"), http.post("/threads/search", json={})]
        answers += [http.get(f"/threads/{thread}{route}") for route in ("", "/state", "/history", "/runs")]

    assert deepest > 200
    assert [answer.status_code for answer in answers] == [200] * 7
    assert not any("internal error" in answer.text or "event: error" in answer.text for answer in answers)


def test_a_filter_may_have_any_key(server: Endpoint) -> None:
    """A key that SQLite has no path for is looked for all the same."""
    with httpx.Client(base_url=server.url, headers={"x-api-key": server.key}, timeout=15) as http:
        answers = [
            http.post("/threads/count", json={"metadata": {key: {key: 1}}}) for key in ("", "\0", '"', "\\", "[0]")
        ]

    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, 0)] * 5
