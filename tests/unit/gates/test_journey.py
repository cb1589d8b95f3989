"""The first step of the journey, on stand-ins of two services: how it judges what they answer."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from build.config.manifest import Manifest
from build.gates.smoke import journey
from build.stack import secrets
from tests.support.project import Project

Answers = dict[str, Any]


class _Handler(BaseHTTPRequestHandler):
    answers: Answers

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        answer = self.answers[address.path.split("/")[-1] if address.path.startswith("/threads") else address.path]
        if callable(answer):
            answer = answer(parse_qs(address.query))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def _event(query: dict[str, list[str]]) -> Any:
    return {"events": [{"id": "e1", "path": query["path"][0], "kind": "added"}]}


def _delivery(trigger: str, body: Any) -> dict[str, Any]:
    return {"trigger": trigger, "status": "delivered", "response": {"status": 200, "body": body}}


@pytest.fixture
def answers() -> Answers:
    """What the services say of a note that is triaged to its end: path → answer."""
    done = {"risk": "low", "discussion": "short", "result": {"status": "done"}}
    return {
        "/events": _event,
        "/events/e1": {"deliveries": [_delivery("triage", {"thread_id": "t1"})]},
        "state": {"values": done, "tasks": []},
    }


@pytest.fixture
def manifest(empty_project: Project, answers: Answers, tmp_path: Path) -> Iterator[Manifest]:
    """A project with monitoring and langgraph-api, both the same server, and a watched folder."""
    handler = type("Handler", (_Handler,), {"answers": answers})
    (tmp_path / "watched").mkdir()
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), handler) as first,
        ThreadingHTTPServer(("127.0.0.1", 0), handler) as second,
    ):
        for server, name in ((first, "monitoring"), (second, "langgraph-api")):
            empty_project.service(name, server.server_address[1])
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        text = (empty_project.root / "versions.toml").read_text()
        text = text.replace('watched = ""', f'watched = "{tmp_path}/watched"')
        text = text.replace('alpha = "random"', 'monitoring_token = "random"\nlanggraph_api_key = "random"')
        (empty_project.root / "versions.toml").write_text(text)
        loaded = empty_project.load()
        secrets.initialise(loaded)
        yield loaded
        first.shutdown()
        second.shutdown()


def _plain(manifest: Manifest) -> str:
    """Why the first step failed, or nothing."""
    with httpx.Client(trust_env=False) as http:
        return journey._take(journey._Journey(manifest, http), journey._Journey.plain)


def test_a_note_is_triaged(manifest: Manifest) -> None:
    """The step passes on what the services really answer."""
    assert _plain(manifest) == ""


def test_only_the_delivery_to_the_graph_counts(manifest: Manifest, answers: Answers) -> None:
    """A second trigger of the user's own, whose target answers nothing and whose name sorts first, is passed over."""
    answers["/events/e1"]["deliveries"].insert(0, _delivery("audit", None))

    assert _plain(manifest) == ""


@pytest.mark.parametrize(
    ("path", "answer", "reason"),
    [
        ("/events", [], "monitoring GET /events"),
        ("/events", b"<html>", "expected a JSON object, got: <html>"),
        ("/events", {}, "KeyError: 'events'"),
        ("/events", {"events": None}, "TypeError"),
        ("/events/e1", {"deliveries": [_delivery("triage", None)]}, "TypeError"),
        ("state", {"values": [], "tasks": []}, "AttributeError"),
        ("state", {"values": {"result": {"status": "done"}}, "tasks": []}, "KeyError: 'risk'"),
    ],
)
def test_an_odd_answer_is_a_failed_step(
    manifest: Manifest, answers: Answers, path: str, answer: Any, reason: str
) -> None:
    """An answer that no service gives fails the step with its reason, and the other checks keep their results."""
    answers[path] = answer

    assert reason in _plain(manifest)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to one process")
def test_an_interrupted_journey_cleans_up(manifest: Manifest, answers: Answers) -> None:
    """Ctrl-C while a service keeps the journey waiting leaves nothing in the watched tree, and is quick."""
    asked, end = threading.Event(), threading.Event()

    def hang(_query: object) -> Any:
        asked.set()
        end.wait(60)
        return {}

    answers["state"] = hang
    program = (
        "import os; from pathlib import Path; from build.config import load; from build.gates.smoke import checks, journey\n"
        f"checks.run(load.load(Path({str(manifest.root)!r}), os.environ), [], {{}}, str, journeys=[journey.run])\n"
    )
    watched = manifest.source("watched")
    assert watched
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as process:
        assert asked.wait(30)
        left = list(watched.iterdir())
        interrupted = time.monotonic()
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=90)[1]
        took = time.monotonic() - interrupted
    end.set()

    assert errors.strip().endswith("KeyboardInterrupt")
    assert (len(left), list(watched.iterdir())) == (1, [])
    assert took < 10


def test_s1_the_journey_is_not_taken_where_the_sources_lack_what_it_needs(manifest: Manifest, answers: Answers) -> None:
    """Another tree has other graphs: nothing is written into it, and the result says why."""
    answers["/health"] = {"status": "healthy", "inventory": [{"kind": "graph", "name": "mine", "state": "ready"}]}

    [result] = journey.run(manifest)

    assert (result.passed, result.applies) == (True, False)
    assert result.note == "not checked: the sources have no graph triage"
    watched = manifest.source("watched")
    assert watched is not None
    assert list(watched.iterdir()) == []


def test_s1_a_graph_that_failed_to_load_does_not_excuse_the_journey(manifest: Manifest, answers: Answers) -> None:
    """What is declared is to work: the journey is taken, and fails where it breaks."""
    failed = {"kind": "graph", "name": "triage", "state": "failed", "reason": "gone", "critical": True}
    answers["/health"] = {"status": "unhealthy", "inventory": [failed]}

    results = journey.run(manifest)

    assert [result.check for result in results] == [name for name, _ in journey.STEPS]
