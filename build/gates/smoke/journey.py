"""A journey across the services in four steps: from a changed file to a human's decision.

A plain change passes monitoring, a LangGraph run, a PowerShell function and the AutoGen team. A risky change waits for
a human's approval, given here through the API, and its request id is in the logs of all four services. A refused change
goes no further. The watched tree is left unchanged and no approval stays pending.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from build.config.manifest import Manifest
from build.errors import BuildError
from build.gates.smoke import inventory
from build.gates.smoke.checks import HEALTH, CheckResult, declared, loopback_client, not_declared
from build.stack import evidence, secrets

if TYPE_CHECKING:
    import httpx

SERVICE = "journey"  # what its results have for a service
NEEDS = ("monitoring", "langgraph-api", "powershell-modules", "autogen-groupchat")
# What the services must declare: the shipped samples do. Other sources have other journeys, or none.
DECLARED = {
    "langgraph-api": ("graph:triage",),
    "powershell-modules": ("module:Unity-Claude-CompileLog", "module:Unity-Claude-FileTree"),
}
_DEADLINE_SECONDS = 60.0
_POLL_SECONDS = 0.1
_LOG_SINCE = "10m"
_TRIGGER = "triage"
_NOTE = "Nothing here needs a human.\n"
_LOG = (
    "Assets/Scripts/Player.cs(12,5): error CS0103: The name 'speed' does not exist in the current context\n"
    "Assets/Scripts/Enemy.cs(40,18): error CS1002: ; expected\n"
    "Assets/Scripts/Ui.cs(7,1): warning CS0168: The variable 'e' is declared but never used\n"
)


class _Unmet(Exception):
    """An expectation of a step is not met; the message says which."""


def run(manifest: Manifest) -> list[CheckResult]:
    """Take STEPS in order on the running stack and return a result for each; a failure skips the steps after it.

    Where the sources don't declare what it needs, the only result says that the journey does not apply.
    """
    results: list[CheckResult] = []
    with loopback_client(20) as http:
        if lacking := _lacking(manifest, http):
            return [not_taken(not_declared(lacking))]
        journey = _Journey(manifest, http)
        try:
            for check, step in STEPS:
                started = time.monotonic()
                failed = next((result.check for result in results if not result.passed), "")
                reason = f"not reached: '{failed}' failed" if failed else _take(journey, step)
                seconds = time.monotonic() - started
                results.append(
                    CheckResult(container="stack", service=SERVICE, check=check, reason=reason, seconds=seconds)
                )
        finally:
            journey.clean()
    return results


def not_taken(note: str) -> CheckResult:
    """The result of a journey that does not apply."""
    return CheckResult(
        container="stack", service=SERVICE, check="journey", reason="", seconds=0, note=note, applies=False
    )


def _lacking(manifest: Manifest, http: httpx.Client) -> list[str]:
    """What the journey needs and the services don't declare; a service that does not answer is left to the steps."""
    import httpx

    lacking: list[str] = []
    for container, needs in DECLARED.items():
        if container in manifest.containers():
            with contextlib.suppress(httpx.HTTPError, inventory.NoInventory):
                lacking += inventory.lacking(declared(http, _url(manifest, container) + HEALTH), needs)
    return lacking


def _url(manifest: Manifest, container: str) -> str:
    return f"http://127.0.0.1:{manifest.containers()[container][1].published}"


def _take(journey: _Journey, step: Callable[[_Journey], None]) -> str:
    """Take the step; return why it failed, or an empty string."""
    import httpx

    journey.deadline = time.monotonic() + _DEADLINE_SECONDS
    try:
        step(journey)
    except _Unmet as error:
        return str(error)
    except (OSError, httpx.HTTPError, BuildError) as error:
        return f"{type(error).__name__}: {error}"
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return f"an answer has an unexpected form: {type(error).__name__}: {error}"
    return ""


class _Journey:
    """The state of a journey: the name of its two files, and its request id, which is the id of the latest event."""

    def __init__(self, manifest: Manifest, http: httpx.Client) -> None:
        self.manifest, self.http, self.deadline = manifest, http, 0.0
        self.name = f"uc-smoke-{uuid.uuid4().hex[:8]}"
        self.request_id = ""

    def plain(self) -> None:
        """A plain note is triaged to completion without asking a human."""
        thread = self._thread(self._write(".txt", _NOTE), "added")
        values = self._until("the note is triaged", lambda: self._ended(thread))
        if values["risk"] != "low" or values.get("approval") or not values.get("discussion"):
            raise _Unmet(f"the note was not discussed as a plain change: {str(values['result'])[:300]}")

    def risky(self) -> None:
        """A log with compile errors waits for a human; once approved, the team discusses it and the run completes."""
        thread = self._thread(self._write(".log", _LOG), "added")
        waiting = self._until("the run stops for approval", lambda: self._interrupted(thread))
        if waiting["values"].get("discussion"):
            raise _Unmet("the team discussed it before a human approved")
        if "CS0103" not in str(waiting["values"].get("summary")):
            raise _Unmet(f"the PowerShell function missed the compile error: {str(waiting['values'])[:300]}")
        values = self._answer(thread, approved=True)
        if values["result"]["status"] != "done" or not values.get("discussion"):
            raise _Unmet(f"the run ended without a result from the team: {str(values['result'])[:300]}")

    def traced(self) -> None:
        """The log of every service involved has the event id of the risky change as its request id."""
        while missing := [name for name in NEEDS if not self._in_log(name)]:
            if time.monotonic() > self.deadline:
                raise _Unmet(f"request id {self.request_id} is not in the log of {', '.join(missing)}")
            time.sleep(_POLL_SECONDS)

    def refused(self) -> None:
        """Deleting the two files is risky; refused, neither change is discussed, and no approval stays pending."""
        for suffix in (".txt", ".log"):
            self._path(suffix).unlink()
        for suffix in (".txt", ".log"):
            thread = self._thread(self._path(suffix), "deleted")
            self._until("the run stops for approval", lambda thread=thread: self._interrupted(thread))  # type: ignore[misc]
            values = self._answer(thread, approved=False)
            if values["result"]["status"] != "rejected" or values.get("discussion"):
                raise _Unmet(f"the run continued after it was refused: {str(values)[:300]}")

    def clean(self) -> None:
        """Remove the files of the journey from the watched tree."""
        for suffix in (".txt", ".log"):
            with contextlib.suppress(OSError, _Unmet):
                self._path(suffix).unlink()

    def _path(self, suffix: str) -> Path:
        if watched := self.manifest.source("watched"):
            return watched / (self.name + suffix)
        raise _Unmet("sources.watched is not set")

    def _write(self, suffix: str, text: str) -> Path:
        path = self._path(suffix)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
        return path

    def _thread(self, path: Path, kind: str) -> str:
        """The id of the thread that the trigger started for the change to `path`; from here on, follow its event."""
        event = self._until(f"monitoring reports {path.name} as {kind}", lambda: self._event(path.name, kind))
        self.request_id = event["id"]
        delivery = self._until(f"the trigger {_TRIGGER} is delivered", lambda: self._delivery(event["id"]))
        thread: str = delivery["response"]["body"]["thread_id"]
        return thread

    def _event(self, name: str, kind: str) -> dict[str, Any] | None:
        events = self._call("monitoring", "GET", f"/events?path=*{name}", "monitoring_token")["events"]
        return next((event for event in events if event["kind"] == kind), None)

    def _delivery(self, event: str) -> dict[str, Any] | None:
        """The delivery to the graph; the user's triggers may deliver the same event elsewhere."""
        deliveries = self._call("monitoring", "GET", f"/events/{event}", "monitoring_token")["deliveries"]
        wanted = {"trigger": _TRIGGER, "status": "delivered"}
        return next((delivery for delivery in deliveries if wanted.items() <= delivery.items()), None)

    def _interrupted(self, thread: str) -> dict[str, Any] | None:
        state = self._state(thread)
        if state["values"].get("result"):
            raise _Unmet(f"the run ended without asking a human: {str(state['values']['result'])[:300]}")
        return state if any(task.get("interrupts") for task in state["tasks"]) else None

    def _ended(self, thread: str) -> dict[str, Any] | None:
        state = self._state(thread)
        if any(task.get("interrupts") for task in state["tasks"]):
            raise _Unmet("a plain change waits for a human")
        values: dict[str, Any] = state["values"]
        return values if values.get("result") else None

    def _answer(self, thread: str, *, approved: bool) -> dict[str, Any]:
        """Answer as a human would, through the API and under the event's request id; return the thread's values."""
        body = {"assistant_id": "triage", "command": {"resume": {"approved": approved, "by": "smoke"}}}
        self._call("langgraph-api", "POST", f"/threads/{thread}/runs/wait", "langgraph_api_key", body)
        values: dict[str, Any] = self._state(thread)["values"]
        return {"result": {"status": "none"}} | values

    def _state(self, thread: str) -> dict[str, Any]:
        return self._call("langgraph-api", "GET", f"/threads/{thread}/state", "langgraph_api_key")

    def _in_log(self, container: str) -> bool:
        return self.request_id in _request_ids(evidence.log(self.manifest, container, since=_LOG_SINCE))

    def _until(self, expectation: str, look: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
        while time.monotonic() < self.deadline:
            if outcome := look():
                return outcome
            time.sleep(_POLL_SECONDS)
        raise _Unmet(f"timed out before {expectation}")

    def _call(self, container: str, method: str, path: str, secret: str, body: Any = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {secrets.value(self.manifest, secret)}"}
        if body is not None:
            headers["X-Request-Id"] = self.request_id
        response = self.http.request(method, _url(self.manifest, container) + path, headers=headers, json=body)
        if response.is_error:
            raise _Unmet(f"{container} {method} {path}: {response.status_code}: {response.text[:200]}")
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise _Unmet(f"{container} {method} {path}: expected a JSON object, got: {response.text[:200]}")
        return document


def _request_ids(log: str) -> set[str]:
    """The request ids in a log; lines that are not JSON objects have none."""
    identifiers = set()
    for line in log.splitlines():
        with contextlib.suppress(ValueError, AttributeError):
            identifiers.add(str(json.loads(line).get("request_id")))
    return identifiers


STEPS: tuple[tuple[str, Callable[[_Journey], None]], ...] = (
    ("a changed file is triaged", _Journey.plain),
    ("a risky change waits for a human", _Journey.risky),
    ("one request id is in every log", _Journey.traced),
    ("a refused change goes no further", _Journey.refused),
)
