"""Real requests to the running stack, all at once, each with a deadline; results as a table and as JUnit XML."""

from __future__ import annotations

import functools
import json
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from build.config.manifest import Manifest, SmokeCheck
from build.parallel import together
from build.stack import secrets

if TYPE_CHECKING:
    import httpx

MCP_PROTOCOL = "2025-11-25"
_RETRY_SECONDS = 0.05
_ATTEMPT_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The outcome of one check: `reason` is empty when it passed; `seconds` until the answer that counted."""

    container: str
    service: str
    check: str
    reason: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the answer was what the manifest wants."""
        return not self.reason


def loopback_client(seconds: float) -> httpx.Client:
    """A client of services on this machine: no proxy, and no certificates: to load them costs more than a request."""
    import ssl

    import httpx

    return httpx.Client(timeout=seconds, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def run(
    manifest: Manifest,
    services: Sequence[str],
    running: Collection[str],
    *,
    stories: Sequence[Callable[[Manifest], list[Result]]] = (),
) -> list[Result]:
    """Run every smoke check of the containers of `services` concurrently, and the stories beside them.

    A container that is not in `running` fails its checks at once. An interrupt ends all of it at once.
    """
    jobs: list[Callable[[], list[Result]]] = []
    with loopback_client(_ATTEMPT_SECONDS) as http:
        for container, (service, settings) in manifest.containers().items():
            for check in manifest.services[service].smoke if service in services else ():
                base = f"http://127.0.0.1:{settings.port}" if container in running else ""
                jobs.append(_job(http, manifest, container, service, base, check))
        # Last, and so in this thread: an interrupt reaches a story, which has to tidy up.
        jobs += [functools.partial(story, manifest) for story in stories]
        return [result for results in together(jobs) for result in results]


def _job(
    http: httpx.Client, manifest: Manifest, container: str, service: str, base: str, check: SmokeCheck
) -> Callable[[], list[Result]]:
    def job() -> list[Result]:
        started = time.monotonic()
        reason = "the container is not running"
        if base:
            reason = until_deadline(lambda: _attempt(http, manifest, base, check), check.deadline_seconds)
        seconds = time.monotonic() - started
        return [Result(container=container, service=service, check=check.name, reason=reason, seconds=seconds)]

    return job


def until_deadline(attempt: Callable[[], str], seconds: float) -> str:
    """Repeat `attempt` until it returns "" (passed) or the deadline; the last reason."""
    deadline = time.monotonic() + seconds
    while reason := attempt():
        if time.monotonic() > deadline:
            return reason
        time.sleep(_RETRY_SECONDS)
    return ""


def _attempt(http: httpx.Client, manifest: Manifest, base: str, check: SmokeCheck) -> str:
    import httpx

    headers = {"X-Request-Id": f"smoke-{time.monotonic_ns()}"}
    if check.secret:
        headers["Authorization"] = f"Bearer {secrets.value(manifest, check.secret)}"
    try:
        if check.kind == "mcp":
            return _mcp(http, base + check.path, headers)
        answer = http.request(check.method, base + check.path, headers=headers, json=check.body)
    except (httpx.HTTPError, ValueError) as error:
        return f"{check.method} {base}{check.path}: {type(error).__name__}: {error}"
    return _judge(check, answer)


def _judge(check: SmokeCheck, answer: httpx.Response) -> str:
    shown = answer.text[:200].replace("\n", " ")
    if answer.status_code != check.status:
        return f"{check.path}: expected status {check.status}, got {answer.status_code}: {shown}"
    if check.contains and check.contains not in answer.text:
        return f"{check.path}: {check.contains!r} is not in the answer: {shown}"
    if check.json:
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            return f"{check.path}: expected a JSON object, got: {shown}"
        wrong = {key: found.get(key) for key, value in check.json.items() if found.get(key) != value}
        if wrong:
            return f"{check.path}: expected {check.json}, got {wrong}"
    return ""


def _mcp(http: httpx.Client, url: str, headers: dict[str, str]) -> str:
    """Initialize an MCP session over streamable HTTP and list its tools (2025-11-25: lifecycle, tools)."""
    headers = headers | {"Accept": "application/json, text/event-stream"}
    client = {"name": "smoke", "version": "1"}
    parameters = {"protocolVersion": MCP_PROTOCOL, "capabilities": {}, "clientInfo": client}
    first = http.post(url, headers=headers, json=_call(1, "initialize", parameters))
    if first.status_code != 200:
        return f"{url}: initialize: status {first.status_code}: {first.text[:200]}"
    agreed = _object(_payload(first).get("result"))
    if "serverInfo" not in agreed or not agreed.get("protocolVersion"):
        return f"{url}: initialize: no serverInfo with a protocolVersion in {first.text[:200]}"
    headers["MCP-Protocol-Version"] = str(agreed["protocolVersion"])
    if session := first.headers.get("mcp-session-id"):
        headers["Mcp-Session-Id"] = session
    http.post(url, headers=headers, json={"jsonrpc": "2.0", "method": "notifications/initialized"})
    listed = http.post(url, headers=headers, json=_call(2, "tools/list", {}))
    if listed.status_code != 200 or not _object(_payload(listed).get("result")).get("tools"):
        return f"{url}: tools/list: status {listed.status_code}: {listed.text[:200]}"
    return ""


def _call(number: int, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}


def _payload(answer: httpx.Response) -> dict[str, Any]:
    """The JSON-RPC message of a plain JSON answer or of the first data event of an SSE one; empty when it has none."""
    text = answer.text
    if "text/event-stream" in answer.headers.get("content-type", ""):
        text = next((line[5:] for line in text.splitlines() if line.startswith("data:") and line[5:].strip()), "")
    try:
        return _object(json.loads(text))
    except ValueError:
        return {}


def _object(value: Any) -> dict[str, Any]:
    """A JSON object as it is, any other value as an empty one."""
    return value if isinstance(value, dict) else {}


def junit(results: Sequence[Result], path: Path) -> None:
    """Write the results as JUnit XML: one suite, a case for each check, its container as the class name."""
    failures = sum(not one.passed for one in results)
    suite = ET.Element("testsuite", name="smoke", tests=str(len(results)), failures=str(failures), errors="0")
    for one in results:
        case = ET.SubElement(suite, "testcase", classname=one.container, name=one.check, time=f"{one.seconds:.3f}")
        if not one.passed:
            ET.SubElement(case, "failure", message=one.reason).text = one.reason
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
