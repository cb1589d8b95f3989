"""Smoke checks against real HTTP servers on loopback, and their JUnit report."""

from __future__ import annotations

import json
import socket
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from build.config.manifest import Manifest
from build.gates.smoke import checks
from build.stack import secrets
from tests.support.project import Project

_ODD = {
    "/list": ("application/json", b"[]"),
    "/page": ("text/html", b"<html>\xff</html>"),
    "/result-list": ("application/json", b'{"result": [1]}'),
    "/no-version": ("application/json", b'{"result": {"serverInfo": {}}}'),
    "/odd-version": ("application/json", '{"result": {"serverInfo": {}, "protocolVersion": "\u00fc"}}'.encode()),
    "/no-tools": ("application/json", b'{"result": {"serverInfo": {}, "protocolVersion": "1", "tools": null}}'),
    "/bad-event": ("text/event-stream", b"data: <html>\n\n"),
    "/no-event": ("text/event-stream", b""),
    "/zipped": ("application/json", b"{}"),
}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path in _ODD:
            self._odd()
            return
        token = self.headers.get("Authorization", "")
        self.send_response(200 if self.path != "/missing" else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"status": "healthy", "authorized": token.startswith("Bearer ")}).encode())

    def do_POST(self) -> None:
        if self.path in _ODD:
            self._odd()
        else:
            self.send_error(501)

    def _odd(self) -> None:
        """What no check expects, with status 200."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        kind, body = _ODD[self.path]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if self.path == "/zipped":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    """A real server on a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def _manifest(project: Project, port: int, check: str, *, deadline: int = 0) -> Manifest:
    path = project.root / "versions.toml"
    path.write_text(path.read_text().replace("18980", str(port)))
    project.append(f'\n[[services.web.smoke]]\nname = "check"\ndeadline_seconds = {deadline}\n{check}\n')
    return project.load()


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ('path = "/"', ""),
        ('json = { status = "healthy" }', ""),
        ('json = { status = "fine" }', "expected {'status': 'fine'}, got {'status': 'healthy'}"),
        ('contains = "healthy"', ""),
        ('contains = "sick"', "'sick' is not in the answer"),
        ('path = "/missing"', "expected status 200, got 404"),
        ('path = "/missing"\nstatus = 404', ""),
        ('kind = "mcp"\npath = "/mcp"', "initialize: status 501"),
        ('secret = "alpha"\njson = { authorized = true }', ""),
        ("json = { authorized = true }", "got {'authorized': False}"),
        ('path = "/list"\njson = { status = "healthy" }', "expected a JSON object, got: []"),
        ('path = "/page"\njson = { status = "healthy" }', "expected a JSON object, got: <html>"),
        ('path = "/zipped"', "DecodingError"),
        ('kind = "mcp"\npath = "/list"', "no serverInfo with a protocolVersion in []"),
        ('kind = "mcp"\npath = "/page"', "no serverInfo with a protocolVersion in <html>"),
        ('kind = "mcp"\npath = "/result-list"', "no serverInfo with a protocolVersion in"),
        ('kind = "mcp"\npath = "/no-version"', "no serverInfo with a protocolVersion in"),
        ('kind = "mcp"\npath = "/odd-version"', "UnicodeEncodeError"),
        ('kind = "mcp"\npath = "/no-tools"', "tools/list: status 200"),
        ('kind = "mcp"\npath = "/bad-event"', "no serverInfo with a protocolVersion in data: <html>"),
        ('kind = "mcp"\npath = "/no-event"', "no serverInfo with a protocolVersion in"),
    ],
)
def test_checks_judge_the_answer(project: Project, port: int, check: str, reason: str) -> None:
    """A check passes on the right answer and says what was wrong with another."""
    manifest = _manifest(project, port, check)
    secrets.initialise(manifest)

    (result,) = checks.run(manifest, ["web"], {"web": f"http://127.0.0.1:{port}"}, partial(secrets.value, manifest))

    assert reason in result.reason
    assert result.passed is (not reason)


def test_nobody_listens(project: Project) -> None:
    """A connection that is refused is a failed check with the address in it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    addresses = {"web": f"http://127.0.0.1:{free}"}
    (result,) = checks.run(_manifest(project, free, 'path = "/"'), ["web"], addresses, str)

    assert f"http://127.0.0.1:{free}/" in result.reason


def test_a_check_is_repeated_until_its_deadline() -> None:
    """A service that is still warming up gets its time, and no more."""
    answers = iter(["not yet", "not yet", ""])

    assert checks.until_deadline(lambda: checks.Outcome(next(answers)), 5).reason == ""
    assert checks.until_deadline(lambda: checks.Outcome("never"), 0.1).reason == "never"


def test_junit_counts_failures(tmp_path: Path) -> None:
    """The report has a case for each check, and the reason of each failure."""
    results = [
        checks.CheckResult(container="a", service="a", check="one", reason="", seconds=0.1),
        checks.CheckResult(container="b", service="b", check="two", reason="<bad> & worse", seconds=0.2),
    ]
    checks.junit(results, tmp_path / "r.xml")

    suite = ET.parse(tmp_path / "r.xml").getroot()

    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.get("name") for case in suite] == ["one", "two"]
    assert suite[1][0].text == "<bad> & worse"


_READY = {"kind": "module", "name": "Good", "state": "ready", "reason": "", "critical": True}
_WINDOWS = {"kind": "module", "name": "Old", "state": "failed", "reason": "needs an assembly of Windows"}
_LOST = {"kind": "graph", "name": "triage", "state": "failed", "reason": "no module named x", "critical": True}
_SLOW = {"kind": "module", "name": "Slow", "state": "pending", "reason": "still importing"}


def _with_inventory(
    project: Project, listed: object, *, status: int = 200, **check: object
) -> list[checks.CheckResult]:
    """The results of a check of a service whose health report has this inventory."""
    body = json.dumps({"status": "healthy", "inventory": listed}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        project.service("own", server.server_address[1])
        keys = {"name": "has", "path": "/health", "deadline_seconds": 0} | check
        lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in keys.items())
        project.append(f"[[services.own.smoke]]\n{lines}\n")
        addresses = {"own": f"http://127.0.0.1:{server.server_address[1]}"}
        results = checks.run(project.load(), ["own"], addresses, str)
        server.shutdown()
    return [result for result in results if result.check == "has"]


@pytest.mark.parametrize("status", [200, 503])
def test_s1_what_is_declared_critical_and_not_there_fails_by_name(empty_project: Project, status: int) -> None:
    """Whatever the sources are, the service says what it has; a failure has the name and the reason."""
    [result] = _with_inventory(empty_project, [_READY, _WINDOWS, _LOST], status=status, kind="inventory")

    assert result.reason == "graph triage: no module named x"


def test_s1_what_is_not_critical_is_noted(empty_project: Project) -> None:
    """A module that can't work here, and one that is still importing, fail nothing and are not hidden."""
    [result] = _with_inventory(empty_project, [_READY, _WINDOWS, _SLOW], kind="inventory")

    assert result.passed
    assert result.note == (
        "module: 1 of 3 ready (module Old: needs an assembly of Windows; "
        "module Slow: is not ready yet (still importing))"
    )


@pytest.mark.parametrize("listed", [None, "x", [1], [{"kind": "module"}]])
def test_s1_an_answer_without_an_inventory_fails(empty_project: Project, listed: object) -> None:
    """A health report that declares nothing in the agreed form can't pass for a complete one."""
    [result] = _with_inventory(empty_project, listed, kind="inventory")

    assert "inventory" in result.reason


def test_s1_a_check_applies_where_the_sources_have_what_it_needs(empty_project: Project) -> None:
    """A check of the samples neither fails on another tree nor vanishes: it is listed as not checked."""
    [result] = _with_inventory(empty_project, [_READY], needs=["module:Sample", "graph:sample"], contains="never")

    assert (result.passed, result.applies) == (True, False)
    assert result.note == "not checked: the sources have no module Sample, no graph sample"


def test_s1_a_check_whose_needs_are_there_is_made(empty_project: Project) -> None:
    """It fails as any other."""
    [result] = _with_inventory(empty_project, [_READY], needs=["module:Good"], contains="never")

    assert (result.passed, result.applies) == (False, True)
