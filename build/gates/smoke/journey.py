"""One story across the services, in four scenes: what happens between a changed file and a human's decision.

A plain change goes through monitoring, a LangGraph run, a PowerShell function and the AutoGen team to its result. A
risky one stops on the way until a human approves, here through the API, and one request id leads through all four
logs. Refused, a change goes no further. The watched tree is left as it was, and no approval stays open.
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
from build.gates.smoke.checks import Result, loopback_client
from build.stack import run, secrets

if TYPE_CHECKING:
    import httpx

NEEDS = ("monitoring", "langgraph-api", "powershell-modules", "autogen-groupchat")
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
    """A part of the story did not happen; the message says which."""


def tell(manifest: Manifest) -> list[Result]:
    """Play SCENES in order on the running stack, a result for each; after one that failed, the rest are not tried."""
    results: list[Result] = []
    with loopback_client(20) as http:
        story = _Story(manifest, http)
        try:
            for check, scene in SCENES:
                started = time.monotonic()
                failed = next((one.check for one in results if not one.passed), "")
                reason = f"not reached: '{failed}' failed" if failed else _played(story, scene)
                seconds = time.monotonic() - started
                results.append(Result(container="stack", service="story", check=check, reason=reason, seconds=seconds))
        finally:
            story.clean()
    return results


def _played(story: _Story, scene: Callable[[_Story], None]) -> str:
    """Why the scene was not what it should be, or nothing."""
    import httpx

    story.deadline = time.monotonic() + _DEADLINE_SECONDS
    try:
        scene(story)
    except _Unmet as error:
        return str(error)
    except (OSError, httpx.HTTPError, BuildError) as error:
        return f"{type(error).__name__}: {error}"
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return f"an answer is not of the form that was expected: {type(error).__name__}: {error}"
    return ""


class _Story:
    """What one telling knows: the name of its two files, and the event it follows, whose id is the request id."""

    def __init__(self, manifest: Manifest, http: httpx.Client) -> None:
        self.manifest, self.http, self.deadline = manifest, http, 0.0
        self.name = f"uc-smoke-{uuid.uuid4().hex[:8]}"
        self.request_id = ""

    def plain(self) -> None:
        """A note is triaged to its end, and nobody is asked."""
        thread = self._thread(self._write(".txt", _NOTE), "added")
        values = self._until("the note is triaged", lambda: self._ended(thread))
        if values["risk"] != "low" or values.get("approval") or not values.get("discussion"):
            raise _Unmet(f"the note was not discussed as a plain change: {str(values['result'])[:300]}")

    def risky(self) -> None:
        """A log with compile errors waits for a human; approved, the team discusses it and a result is there."""
        thread = self._thread(self._write(".log", _LOG), "added")
        waiting = self._until("the run stops for approval", lambda: self._interrupted(thread))
        if waiting["values"].get("discussion"):
            raise _Unmet("the team was asked before a human was")
        if "CS0103" not in str(waiting["values"].get("summary")):
            raise _Unmet(f"the PowerShell function missed the compile error: {str(waiting['values'])[:300]}")
        values = self._answer(thread, approved=True)
        if values["result"]["status"] != "done" or not values.get("discussion"):
            raise _Unmet(f"the run ended without a result of the team: {str(values['result'])[:300]}")

    def traced(self) -> None:
        """The id of the risky change's event is the request id in the log of every service that had a part in it."""
        while missing := [name for name in NEEDS if not self._in_log(name)]:
            if time.monotonic() > self.deadline:
                raise _Unmet(f"request id {self.request_id} is not in the log of {', '.join(missing)}")
            time.sleep(_POLL_SECONDS)

    def refused(self) -> None:
        """The two files disappear, which is risky: refused, neither change is discussed, and nothing waits any more."""
        for suffix in (".txt", ".log"):
            self._path(suffix).unlink()
        for suffix in (".txt", ".log"):
            thread = self._thread(self._path(suffix), "deleted")
            self._until("the run stops for approval", lambda thread=thread: self._interrupted(thread))  # type: ignore[misc]
            values = self._answer(thread, approved=False)
            if values["result"]["status"] != "rejected" or values.get("discussion"):
                raise _Unmet(f"refused, the run went on: {str(values)[:300]}")

    def clean(self) -> None:
        """Leave nothing in the watched tree."""
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
        """The thread that the trigger started for the change of `path`; its event is the one followed from here on."""
        event = self._until(f"monitoring reports {path.name} as {kind}", lambda: self._event(path.name, kind))
        self.request_id = event["id"]
        delivery = self._until(f"the trigger {_TRIGGER} is delivered", lambda: self._delivery(event["id"]))
        thread: str = delivery["response"]["body"]["thread_id"]
        return thread

    def _event(self, name: str, kind: str) -> dict[str, Any] | None:
        found = self._call("monitoring", "GET", f"/events?path=*{name}", "monitoring_token")["events"]
        return next((event for event in found if event["kind"] == kind), None)

    def _delivery(self, event: str) -> dict[str, Any] | None:
        """The delivery to the graph; a triggers file of the user's own may have others of the same event."""
        found = self._call("monitoring", "GET", f"/events/{event}", "monitoring_token")["deliveries"]
        return next((one for one in found if (one["trigger"], one["status"]) == (_TRIGGER, "delivered")), None)

    def _interrupted(self, thread: str) -> dict[str, Any] | None:
        state = self._state(thread)
        if state["values"].get("result"):
            raise _Unmet(f"nobody was asked, and the run ended: {str(state['values']['result'])[:300]}")
        return state if any(task.get("interrupts") for task in state["tasks"]) else None

    def _ended(self, thread: str) -> dict[str, Any] | None:
        state = self._state(thread)
        if any(task.get("interrupts") for task in state["tasks"]):
            raise _Unmet("a plain change waits for a human")
        values: dict[str, Any] = state["values"]
        return values if values.get("result") else None

    def _answer(self, thread: str, *, approved: bool) -> dict[str, Any]:
        """The values of the thread after a human has answered, as one does: through the API, under the event's id."""
        body = {"assistant_id": "triage", "command": {"resume": {"approved": approved, "by": "smoke"}}}
        self._call("langgraph-api", "POST", f"/threads/{thread}/runs/wait", "langgraph_api_key", body)
        values: dict[str, Any] = self._state(thread)["values"]
        return {"result": {"status": "none"}} | values

    def _state(self, thread: str) -> dict[str, Any]:
        return self._call("langgraph-api", "GET", f"/threads/{thread}/state", "langgraph_api_key")

    def _in_log(self, container: str) -> bool:
        return self.request_id in _request_ids(run.log(self.manifest, container, since=_LOG_SINCE))

    def _until(self, what: str, look: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
        while time.monotonic() < self.deadline:
            if found := look():
                return found
            time.sleep(_POLL_SECONDS)
        raise _Unmet(f"timed out before {what}")

    def _call(self, container: str, method: str, path: str, secret: str, body: Any = None) -> dict[str, Any]:
        port = self.manifest.containers()[container][1].port
        headers = {"Authorization": f"Bearer {secrets.value(self.manifest, secret)}"}
        if body is not None:
            headers["X-Request-Id"] = self.request_id
        answer = self.http.request(method, f"http://127.0.0.1:{port}{path}", headers=headers, json=body)
        if answer.is_error:
            raise _Unmet(f"{container} {method} {path}: {answer.status_code}: {answer.text[:200]}")
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise _Unmet(f"{container} {method} {path}: expected a JSON object, got: {answer.text[:200]}")
        return found


def _request_ids(log: str) -> set[str]:
    """The request ids of the lines of a log; a line that is no JSON object has none."""
    found = set()
    for line in log.splitlines():
        with contextlib.suppress(ValueError, AttributeError):
            found.add(str(json.loads(line).get("request_id")))
    return found


SCENES: tuple[tuple[str, Callable[[_Story], None]], ...] = (
    ("a changed file is triaged", _Story.plain),
    ("a risky change waits for a human", _Story.risky),
    ("one request id is in every log", _Story.traced),
    ("a refused change goes no further", _Story.refused),
)
