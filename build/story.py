"""One story across the services: a file changes, and its triage is read back through the LangGraph API.

monitoring sees the change and fires its trigger → a LangGraph run calls a PowerShell function on the file → it is
risky, so the run waits for a human → we approve through the API → the AutoGen team is asked → the result is there.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from build import secrets
from build.manifest import Manifest
from build.smoke import Result

if TYPE_CHECKING:
    import httpx

NEEDS = ("monitoring", "langgraph-api", "powershell-modules", "autogen-groupchat")
_DEADLINE_SECONDS = 60.0
_POLL_SECONDS = 0.1
_LOG = (
    "Assets/Scripts/Player.cs(12,5): error CS0103: The name 'speed' does not exist in the current context\n"
    "Assets/Scripts/Enemy.cs(40,18): error CS1002: ; expected\n"
    "Assets/Scripts/Ui.cs(7,1): warning CS0168: The variable 'e' is declared but never used\n"
)


class _Unmet(Exception):
    """A part of the story did not happen; the message says which."""


def tell(manifest: Manifest) -> Result:
    """Write a Unity compile log into the watched tree, follow it to its result, remove it again."""
    import httpx

    started = time.monotonic()
    watched = manifest.source("watched")
    reason = "sources.watched is not set"
    if watched:
        path = watched / f"uc-smoke-{uuid.uuid4().hex[:8]}.log"
        try:
            path.write_text(_LOG, encoding="utf-8")
            path.chmod(0o644)
            with httpx.Client(timeout=20, trust_env=False) as http:
                _Story(manifest, http, started + _DEADLINE_SECONDS).follow(path)
            reason = ""
        except (_Unmet, OSError, httpx.HTTPError) as error:
            reason = f"{type(error).__name__.lstrip('_')}: {error}"
        finally:
            with contextlib.suppress(OSError):
                path.unlink()
    return Result(
        container="stack", service="story", check="a changed file is triaged", reason=reason,
        seconds=time.monotonic() - started,
    )  # fmt: skip


class _Story:
    def __init__(self, manifest: Manifest, http: httpx.Client, deadline: float) -> None:
        self.manifest, self.http, self.deadline = manifest, http, deadline

    def follow(self, path: Path) -> None:
        event = self._until("monitoring reports the file", lambda: self._event(path.name))
        delivery = self._until("the trigger is delivered", lambda: self._delivery(event["id"]))
        thread = delivery["response"]["body"]["thread_id"]
        waiting = self._until("the run stops for approval", lambda: self._interrupted(thread))
        errors = str(waiting["values"].get("summary", ""))
        if "CS0103" not in errors:
            raise _Unmet(f"the PowerShell function did not find the compile error: {errors[:300]}")
        self._call("langgraph-api", "POST", f"/threads/{thread}/runs/wait", "langgraph_api_key", _approval())
        values = self._state(thread)["values"]
        if values.get("result", {}).get("status") != "done" or not values.get("discussion"):
            raise _Unmet(f"the run ended without a result of the team: {str(values.get('result'))[:300]}")

    def _event(self, name: str) -> dict[str, Any] | None:
        found = self._call("monitoring", "GET", f"/events?path={name}", "monitoring_token")["events"]
        return next((event for event in found if event["path"].endswith(name)), None)

    def _delivery(self, event: str) -> dict[str, Any] | None:
        found = self._call("monitoring", "GET", f"/events/{event}", "monitoring_token")
        return next((one for one in found["deliveries"] if one["status"] == "delivered"), None)

    def _interrupted(self, thread: str) -> dict[str, Any] | None:
        state = self._state(thread)
        return state if any(task.get("interrupts") for task in state["tasks"]) else None

    def _state(self, thread: str) -> dict[str, Any]:
        return self._call("langgraph-api", "GET", f"/threads/{thread}/state", "langgraph_api_key")

    def _until(self, what: str, look: Any) -> dict[str, Any]:
        while time.monotonic() < self.deadline:
            if found := look():
                result: dict[str, Any] = found
                return result
            time.sleep(_POLL_SECONDS)
        raise _Unmet(f"timed out before {what}")

    def _call(self, container: str, method: str, path: str, secret: str, body: Any = None) -> dict[str, Any]:
        port = self.manifest.containers()[container][1].port
        headers = {"Authorization": f"Bearer {secrets.value(self.manifest, secret)}"}
        answer = self.http.request(method, f"http://127.0.0.1:{port}{path}", headers=headers, json=body)
        if answer.is_error:
            raise _Unmet(f"{container} {method} {path}: {answer.status_code}: {answer.text[:200]}")
        found: dict[str, Any] = answer.json()
        return found


def _approval() -> dict[str, Any]:
    return {"assistant_id": "triage", "command": {"resume": {"approved": True, "by": "smoke"}}}
