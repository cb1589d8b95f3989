"""The API is what its OpenAPI document says, whatever is sent to it."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from monitor_rig import SERVICE, TOKEN, Monitor, Rules, Start, eventually, furnish

DOCUMENT = SERVICE / "monitor_service" / "openapi.json"
TOLD = f"x-api-key: {TOKEN}\r\n"


@dataclass(frozen=True)
class Answer:
    """What came back over the bare socket."""

    status: int
    headers: str
    body: bytes


def _raw(monitor: Monitor, head: str) -> Answer:
    """Send the bytes as they are, past every client that would tidy them."""
    with socket.create_connection(("127.0.0.1", monitor.port), timeout=10) as connection:
        connection.sendall(f"{head}host: monitoring\r\nconnection: close\r\n\r\n".encode("latin-1"))
        response = http.client.HTTPResponse(connection)
        response.begin()
        return Answer(response.status, str(response.headers).lower(), response.read())


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitor]:
    """One service with one event, for all requests that should change nothing."""
    home = tmp_path_factory.mktemp("fuzzed")
    furnish(home)
    monitor = Monitor(home, {}, []).wait_healthy()
    (home / "workspace" / "a.txt").write_text("x")
    eventually(monitor.events)
    yield monitor
    monitor.close()


def test_generated_requests_get_documented_answers(start: Start, rules: Rules, workspace: Path) -> None:
    """Schemathesis finds no 5xx, no status and no body that the document doesn't have, and no open door."""
    rules(glob="*.told")
    monitor = start()
    for name in ("a.told", "b.txt"):
        (workspace / name).write_text("x")
    eventually(lambda: len(monitor.events()) == 2)
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", str(DOCUMENT)),
        *("--url", f"http://127.0.0.1:{monitor.port}", "--header", f"Authorization: Bearer {TOKEN}"),
        *("--checks", "all", "--max-examples", "40", "--seed", "1", "--generation-database", "none", "--no-color"),
        # `after` is the id of an event of this very store, which no schema can say.
        *("--exclude-checks", "positive_data_acceptance"),
    ]

    done = subprocess.run(command, cwd=workspace.parent, capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in json.dumps(monitor.logs())


def test_the_document_is_served_and_has_every_route(start: Start) -> None:
    """What the service answers at /openapi.json is the file, and only the probes are open."""
    monitor = start()
    served = monitor.get("/openapi.json").json()

    assert served == json.loads(DOCUMENT.read_text())
    answers = {path: monitor.get(path.replace("{id}", "x"), token="").status_code for path in served["paths"]}
    assert {path for path, status in answers.items() if status == 200} == {"/health", "/ready", "/metrics"}
    assert set(answers.values()) == {200, 401}


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/events?after={epoch}-99999999999999999999999", 400),
        ("/events/{epoch}-99999999999999999999999", 404),
        ("/events/{epoch}-" + "9" * 5000, 404),
        ("/events?limit=" + "9" * 5000, 400),
        ("/events?limit=1&limit=1e3", 400),
        ("/events?limit=%C2%B2", 400),
        ("/events?path=%00%FF../../etc/passwd", 200),
        ("/events?path=" + "[" * 2000, 200),
        ("/events/../../etc/passwd", 404),
        ("/events/%2e%2e%2f%2e%2e%2fetc%2fpasswd", 404),
        ("//events", 404),
        ("/events/x%0d%0aset-cookie:%20a=1", 404),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_strange_address_is_answered_in_json(fuzzed: Monitor, target: str, status: int) -> None:
    """No number, name or encoding in an address brings a 5xx: what is wrong is told as JSON."""
    epoch = fuzzed.events(limit="1")[0]["id"].rpartition("-")[0]

    answer = _raw(fuzzed, f"GET {target.replace('{epoch}', epoch)} HTTP/1.1\r\n{TOLD}")

    assert answer.status == status, answer
    assert isinstance(json.loads(answer.body), dict)
    assert "set-cookie" not in answer.headers


def test_a_detour_to_an_open_path_opens_nothing(fuzzed: Monitor) -> None:
    """An address that begins like a probe's is not a probe: without the token it is 401."""
    for target in ("/health/..%2fevents", "/health/../events", "/metrics/", "/health%2f", "//health"):
        assert _raw(fuzzed, f"GET {target} HTTP/1.1\r\n").status == 401, target


@pytest.mark.parametrize(
    "request_text",
    [
        "GET /events HTTP/1.1\r\nx-request-id: a\x00b\r\n",
        "GET /events HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n",
        "GET /events HTTP/1.1\r\n no-name\r\n",
        "GET /ev\x01ents HTTP/1.1\r\n",
        "\x16\x03\x01 not http\r\n",
    ],
    ids=["control character", "two lengths", "folded header", "control in path", "TLS"],
)
def test_bytes_that_are_no_request_get_4xx(fuzzed: Monitor, request_text: str) -> None:
    """Bytes that are no HTTP request end their connection with a 4xx; the service goes on."""
    assert 400 <= _raw(fuzzed, request_text + TOLD).status < 500
    assert fuzzed.get("/ready", token="").status_code == 200


def test_a_body_of_ten_megabytes_is_not_kept(fuzzed: Monitor) -> None:
    """Where no body is wanted a large one changes nothing: 409 as without it, and the memory stays where it was."""
    event = fuzzed.events(limit="1")[0]["id"]
    before = fuzzed.metric("process_resident_memory_bytes")

    for _ in range(5):
        assert fuzzed.post(f"/events/{event}/redeliver", content=b"{" * 10_000_000).status_code == 409

    assert fuzzed.metric("process_resident_memory_bytes") - before < 20_000_000


def test_a_header_can_not_forge_a_log_line(fuzzed: Monitor) -> None:
    """An X-Request-Id that is no plain word is replaced, in the answer and in the log."""
    answer = _raw(fuzzed, f'GET /triggers HTTP/1.1\r\nx-request-id: a","level":"error\r\n{TOLD}')

    assert answer.status == 200
    assert 'level":"error' not in answer.headers
    # The line is written after the answer is sent.
    assert eventually(lambda: {line["level"] for line in fuzzed.logs() if line.get("path") == "/triggers"}) == {"info"}
