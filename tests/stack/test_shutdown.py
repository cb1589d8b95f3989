"""SIGTERM while clients hold streams, sockets and calls: each container exits in time, and no accepted work is lost."""

from __future__ import annotations

import base64
import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from build.engine import client as docker
from tests.stack.live import Live, inv, tool_call

pytestmark = pytest.mark.timeout(600)

# Users are promised three seconds; a busy test machine gets more, but still no SIGKILL.
_BOUND_SECONDS = 7.0
# What services give to work under way (ucservice.web, UC_DRAIN_SECONDS): on a busy machine a call may need more, and is cut.
_GRACE_SECONDS = 2.0
# What a service exits with that had to cut something.
_CUT = {"powershell-modules": 1}
_COMPILE_LOG = "".join(f"Assets/Player.cs({n},5): error CS0103: The name 'speed' does not exist\n" for n in range(2000))
# Without the PowerShell service: it always waits five seconds for a body that stalls.
_UPLOADS = {
    "langgraph-api": "/threads",
    "autogen-groupchat": "/groupchat",
    "docs-server": "/",
    "mcp-modules": "/mcp",
    "mcp-docs": "/mcp",
    "mcp-repository": "/mcp",
    "mcp-events": "/mcp",
    "monitoring": "/events/x/redeliver",
}
_EVENT = {"id": "shutdown", "path": "README.md", "kind": "modified", "at": "2026-01-01T00:00:00Z"}


def _ended_after(live: Live, container: str) -> float:
    """Stop the container as `docker stop` does; return the seconds until its process exited, by the engine's record."""
    signalled = time.time()
    docker.cli("stop", "--time", "20", f"{live.manifest.project.name}-{container}-1")
    state = live.inspect(container)["State"]
    finished = datetime.fromisoformat(state["FinishedAt"][:26].rstrip("Z") + "+00:00")
    seconds = finished.timestamp() - signalled
    allowed = {0, 143} | ({_CUT.get(container, 0)} if seconds >= _GRACE_SECONDS else set())  # 137 would be SIGKILL
    assert state["ExitCode"] in allowed, f"{container}: exit code {state['ExitCode']} after {seconds:.1f} s"
    return seconds


@contextmanager
def _hanging(live: Live, container: str) -> Iterator[None]:
    """Suspend the container's process inside this block: requests to it hang.

    `docker pause` would do the same, and leave it unhealthy until its next check.
    """
    name = f"{live.manifest.project.name}-{container}-1"
    docker.cli("kill", "--signal", "STOP", name)
    try:
        yield
    finally:
        docker.cli("kill", "--signal", "CONT", name)


def _wait(look: Any, what: str, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"timed out before {what}"
        time.sleep(0.05)
    return found


def _stream(held: ExitStack, live: Live, container: str, method: str, path: str, body: Any = None) -> httpx.Response:
    """Open an event stream and read its headers."""
    request = live.http.stream(method, live.url(container, path), headers=live.headers(container), json=body)
    answer = held.enter_context(request)
    assert answer.status_code == 200, answer.read()
    assert answer.headers["content-type"].startswith("text/event-stream"), f"{container} {path}"
    return answer


def _websocket(held: ExitStack, live: Live, container: str, path: str) -> socket.socket:
    """Open a WebSocket and complete its handshake."""
    opened = held.enter_context(socket.create_connection(("127.0.0.1", live.port(container)), timeout=30))
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{live.port(container)}", "Upgrade: websocket",
             "Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13",
             f"Authorization: {live.headers(container)['Authorization']}"]  # fmt: skip
    opened.sendall("\r\n".join([*lines, "", ""]).encode())
    assert opened.recv(12) == b"HTTP/1.1 101"
    return opened


def _rest(opened: socket.socket) -> bytes:
    """Return everything that the other side sends until it closes."""
    return b"".join(iter(lambda: opened.recv(65536), b""))


def _idle(held: ExitStack, live: Live, container: str) -> None:
    """A connection kept alive after a response, one with half a request line, and one with half a body."""
    headers = "".join(f"{name}: {value}\r\n" for name, value in live.headers(container).items())
    probe = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    begun = [probe, probe[:9]]
    if path := _UPLOADS.get(container):
        begun.append(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Content-Length: 99\r\n\r\n{{")
    for sent in begun:
        opened = held.enter_context(socket.create_connection(("127.0.0.1", live.port(container)), timeout=30))
        opened.sendall(sent.encode())
        if sent is probe:
            assert opened.recv(4096).startswith(b"HTTP/1.1 200")


def _result(live: Live, thread: str) -> Any:
    values = live.call("langgraph-api", "GET", f"/threads/{thread}/state").json()["values"]
    return isinstance(values, dict) and values.get("result")


def test_an_interrupted_delivery_is_made_after_the_restart(live: Live) -> None:
    """monitoring stopped while its target hangs exits in time, and delivers the change after the next start."""
    watched = live.manifest.source("watched")
    assert watched
    path = watched / f"uc-stack-{uuid.uuid4().hex[:8]}.txt"
    try:
        with ExitStack() as held:
            _idle(held, live, "monitoring")
            with _hanging(live, "langgraph-api"):
                path.write_text("Nothing here needs a human.\n", encoding="utf-8")
                event = _wait(lambda: _event(live, path), "the change is recorded")
                seconds = _ended_after(live, "monitoring")
        live.report("shutdown-monitoring", {"seconds": round(seconds, 2)})
        assert seconds < _BOUND_SECONDS
        assert inv("up").code == 0

        delivery = _wait(lambda: _delivered(live, event["id"]), "the delivery is made")
        _wait(lambda: _result(live, delivery["response"]["body"]["thread_id"]), "the change is triaged")
    finally:
        path.unlink()
        _refuse(live, path)


def _event(live: Live, path: Path, kind: str = "added") -> dict[str, Any] | None:
    events = live.call("monitoring", "GET", f"/events?path={path.name}").json()["events"]
    return next((event for event in events if event["kind"] == kind), None)


def _delivered(live: Live, event_id: str) -> dict[str, Any] | None:
    deliveries = live.call("monitoring", "GET", f"/events/{event_id}").json()["deliveries"]
    return next((one for one in deliveries if one["status"] == "delivered"), None)


def _refuse(live: Live, path: Path) -> None:
    """Reject the approval request for the deletion of the test's own file, so that none stays pending."""
    event = _wait(lambda: _event(live, path, "deleted"), "the deletion is recorded")
    delivery = _wait(lambda: _delivered(live, event["id"]), "the deletion is delivered")
    thread = delivery["response"]["body"]["thread_id"]
    _wait(lambda: live.call("langgraph-api", "GET", f"/threads/{thread}/state").json()["next"], "it waits")
    body = {"assistant_id": "triage", "command": {"resume": {"approved": False, "by": "test"}}}
    assert live.call("langgraph-api", "POST", f"/threads/{thread}/runs/wait", body).status_code == 200


def test_every_container_ends_in_time_with_streams_open(live: Live) -> None:
    """With runs, chats, calls and streams open at SIGTERM, each container exits in time, and work is finished or resumed."""
    seconds: dict[str, float] = {}
    with ExitStack() as held:
        pool = held.enter_context(ThreadPoolExecutor(4))
        for name in live.names():
            _idle(held, live, name)
        for name in ("mcp-modules", "mcp-docs", "mcp-repository", "mcp-events"):
            _stream(held, live, name, "GET", "/mcp")

        with _hanging(live, "powershell-modules"):
            thread, run = _hanging_run(held, live)
            seconds["langgraph-api"] = _ended_after(live, "langgraph-api")

        call = tool_call("invoke", _slow_call())
        tool = _in_flight(live, pool, lambda: live.call("mcp-modules", "POST", "/mcp", call))
        seconds["mcp-modules"] = _ended_after(live, "mcp-modules")
        answer = tool.result().json()
        finished = answer.get("result", {}).get("isError") is False
        assert finished or seconds["mcp-modules"] >= _GRACE_SECONDS, answer

        session, events, web_socket = _chat(held, live)
        seconds["autogen-groupchat"] = _ended_after(live, "autogen-groupchat")
        assert "event: message" in events.read().decode()
        assert _rest(web_socket).endswith(_close_frame(1012))

        invoked = _in_flight(live, pool, lambda: live.call("powershell-modules", "POST", "/invoke", _slow_call()))
        seconds["powershell-modules"] = _ended_after(live, "powershell-modules")
        whole = invoked.result()
        cut = (whole.status_code, whole.json().get("error")) == (503, "stopping")
        finished = whole.json().get("ok") is True
        assert finished or (cut and seconds["powershell-modules"] >= _GRACE_SECONDS), whole.text

        for name in live.names():
            if name not in seconds:
                seconds[name] = _ended_after(live, name)

    live.report("shutdown", {"seconds": {name: round(value, 2) for name, value in seconds.items()}})
    assert {name: value for name, value in seconds.items() if value >= _BOUND_SECONDS} == {}
    assert inv("up").code == 0
    _wait(lambda: (_result(live, thread) or {}).get("status") == "done", "the run is resumed to its end")
    assert live.call("langgraph-api", "GET", f"/threads/{thread}/runs/{run}").json()["status"] == "success"
    _wait(
        lambda: live.call("autogen-groupchat", "GET", f"/groupchat/{session}").json()["status"] == "finished",
        "the chat",
    )
    assert live.bad_log_lines() == []


def _hanging_run(held: ExitStack, live: Live) -> tuple[str, str]:
    """Start a triage run that waits for the PowerShell service, with its stream open; return thread and run."""
    thread = live.call("langgraph-api", "POST", "/threads", {}).json()["thread_id"]
    body = {"assistant_id": "triage", "input": {"event": _EVENT}, "stream_mode": "values", "on_disconnect": "continue"}
    stream = _stream(held, live, "langgraph-api", "POST", f"/threads/{thread}/runs/stream", body)
    line = next(line for line in stream.iter_lines() if line.startswith("data:"))
    return thread, json.loads(line.removeprefix("data:"))["run_id"]


def _slow_call() -> dict[str, Any]:
    """A call that takes long enough to be running at the stop."""
    parameters = {"Text": _COMPILE_LOG}
    return {"module": "Unity-Claude-CompileLog", "command": "ConvertFrom-UnityCompileLog", "parameters": parameters}


def _in_flight(live: Live, pool: ThreadPoolExecutor, call: Any) -> Future[httpx.Response]:
    """Return the future response of a call that a worker of the PowerShell service has started."""
    for _ in range(20):
        _wait(lambda: not _busy(live), "the PowerShell service is idle")
        future = pool.submit(call)
        while not (future.done() or _busy(live)):
            time.sleep(0.01)
        if not future.done():
            return future
    raise AssertionError("every call was over before it was seen")


def _busy(live: Live) -> bool:
    """Whether the PowerShell service is handling a request other than this one."""
    metrics = live.http.get(live.url("powershell-modules", "/metrics")).text
    values = [line.split()[-1] for line in metrics.splitlines() if line.startswith("http_requests_in_flight ")]
    return float(values[0]) > 1


def _chat(held: ExitStack, live: Live) -> tuple[str, httpx.Response, socket.socket]:
    """Start a chat, followed by an event stream and a WebSocket; return its session."""
    opened = live.call("autogen-groupchat", "POST", "/groupchat", {"task": "Two compile errors in Player.cs?"})
    session = opened.json()["session_id"]
    events = _stream(held, live, "autogen-groupchat", "GET", f"/groupchat/{session}/events?follow=true")
    web_socket = _websocket(held, live, "autogen-groupchat", f"/groupchat/{session}/ws?follow=true")
    return session, events, web_socket


def _close_frame(code: int) -> bytes:
    return b"\x88\x02" + code.to_bytes(2, "big")
