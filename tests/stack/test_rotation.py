"""Every runtime secret is rotated while the stack runs: no correct client is refused, and nothing restarts."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from build.gates.smoke import journey
from build.stack import secrets
from tests.stack.live import Live, inv, tool_call

pytestmark = pytest.mark.timeout(300)

_TREE = {"module": "Unity-Claude-FileTree", "command": "Get-FileTreeSummary", "parameters": {"Path": "."}}
_EVENT = {"id": "rotation", "path": "README.md", "kind": "modified", "at": "2026-01-01T00:00:00Z"}
# Requests that clients keep sending: to each server directly, and through it to the servers that it calls.
CALLS: dict[str, tuple[str, str, str, Any]] = {
    "modules": ("powershell-modules", "GET", "/modules", None),
    "threads": ("langgraph-api", "POST", "/threads/search", {"limit": 1}),
    "agents": ("autogen-groupchat", "GET", "/agents", None),
    "events": ("monitoring", "GET", "/events?limit=1", None),
    "docs tool": ("mcp-docs", "POST", "/mcp", tool_call("list_pages", {})),
    "repository tool": ("mcp-repository", "POST", "/mcp", tool_call("list_files", {})),
    "modules tool": ("mcp-modules", "POST", "/mcp", tool_call("invoke", _TREE)),
    "events tool": ("mcp-events", "POST", "/mcp", tool_call("list_events", {})),
    "triage": ("langgraph-api", "POST", "/runs/wait", {"assistant_id": "triage", "input": {"event": _EVENT}}),
}


class _Clients:
    """One thread for each of CALLS, which keeps sending requests with the current token; failures are kept as text."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(name,)) for name in CALLS]

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Run the clients inside this block; each has received a response before the block begins."""
        for thread in self._threads:
            thread.start()
        try:
            self.round()
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def round(self) -> None:
        """Wait until each client has had a new request answered, and so uses the current value."""
        before = dict(self.done)
        _wait(lambda: all(self.done[name] >= before.get(name, 0) + 2 for name in CALLS), "every client is answered")

    def _ask(self, name: str) -> None:
        container, method, path, body = CALLS[name]
        while not self._stop.is_set():
            try:
                answer = self.live.call(container, method, path, body)
            except httpx.HTTPError as error:
                self.failures.append(f"{name}: {type(error).__name__}: {error}")
            else:
                if reason := _wrong(name, answer):
                    self.failures.append(f"{name}: {answer.status_code}: {reason}")
            self.done[name] += 1
            self._stop.wait(0.05)


def _wrong(name: str, answer: httpx.Response) -> str:
    text = answer.text
    if answer.status_code != 200:
        return text[:300]
    if name.endswith("tool") and answer.json().get("result", {}).get("isError") is not False:
        return text[:300]
    if name == "triage" and answer.json().get("result", {}).get("status") != "done":
        return text[:300]
    return ""


def _wait(done: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"timed out before {what}"
        time.sleep(0.02)


def test_rotation_refuses_no_client_and_restarts_nothing(live: Live) -> None:
    """Both values are accepted during the overlap, only the new one after it; clients and peers see no failure."""
    names = [name for name, kind in live.manifest.secrets.items() if kind == "random"]
    sent = live.token_names()
    assert set(names) == set(sent.values()), "no secret is left out"
    servers = {name: call for name in live.names() for call in CALLS.values() if call[0] == name and name in sent}

    def statuses(tokens: dict[str, str]) -> dict[str, int]:
        return {name: live.call(*call, token=tokens[sent[name]]).status_code for name, call in servers.items()}

    before = live.lives()
    clients = _Clients(live)
    old = {name: secrets.value(live.manifest, name) for name in names}
    with clients.asking():
        for name in names:
            assert inv("secrets.rotate", "--name", name).code == 0
        new = {name: secrets.value(live.manifest, name) for name in names}
        overlap = statuses(old), statuses(new)
        clients.round()
        for name in names:
            assert inv("secrets.rotate", "--name", name, "--finish").code == 0
        after = statuses(old), statuses(new)
        reasons = {result.check: result.reason for result in journey.run(live.manifest)}
        clients.round()

    live.report("rotation", {"secrets": len(names), "requests": dict(clients.done), "failures": clients.failures})
    accepted, refused = dict.fromkeys(servers, 200), dict.fromkeys(servers, 401)
    assert all(old[name] != new[name] for name in names)
    assert overlap == (accepted, accepted)
    assert after == (refused, accepted)
    assert clients.failures == []
    assert [reason for reason in reasons.values() if reason] == []
    assert live.lives() == before
