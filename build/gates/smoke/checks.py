"""Concurrent requests to the running stack, each with a deadline, and their results as JUnit XML."""

from __future__ import annotations

import functools
import json
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from build.config.manifest import Manifest, SmokeCheck
from build.gates.smoke import inventory
from build.parallel import together

if TYPE_CHECKING:
    import httpx

MCP_PROTOCOL = "2025-11-25"
HEALTH = "/health"
_RETRY_SECONDS = 0.05
_ATTEMPT_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckResult:
    """The outcome of a check: `reason` is empty when it passed, `seconds` is the time until the deciding response.

    `note` is what there is to know of one that passed. A check that does not apply has no reason, and a note why.
    """

    container: str
    service: str
    check: str
    reason: str
    seconds: float
    note: str = ""
    applies: bool = True

    @property
    def passed(self) -> bool:
        """Whether the response was what the manifest expects, or the check does not apply."""
        return not self.reason


def loopback_client(seconds: float) -> httpx.Client:
    """An HTTP client for this machine: without proxies, and without certificates, whose loading outlasts a request."""
    import ssl

    import httpx

    return httpx.Client(timeout=seconds, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def run(
    manifest: Manifest,
    services: Sequence[str],
    addresses: Mapping[str, str],
    secret: Callable[[str], str],
    *,
    journeys: Sequence[Callable[[Manifest], list[CheckResult]]] = (),
) -> list[CheckResult]:
    """Run the smoke checks of the containers of `services` and the journeys concurrently; return all results.

    `addresses` maps each running container to its URL; another one fails its checks immediately. `secret` returns the
    value of a secret by its name. An interrupt cancels the checks.
    """
    jobs: list[Callable[[], list[CheckResult]]] = []
    with loopback_client(_ATTEMPT_SECONDS) as http:
        for container, (service, _) in manifest.containers().items():
            for check in manifest.services[service].smoke if service in services else ():
                jobs.append(_job(http, secret, container, service, addresses.get(container, ""), check))
        # The last job runs in this thread, where an interrupt arrives: a journey has to clean up after itself.
        jobs += [functools.partial(journey, manifest) for journey in journeys]
        return [result for results in together(jobs) for result in results]


def _job(
    http: httpx.Client, secret: Callable[[str], str], container: str, service: str, base: str, check: SmokeCheck
) -> Callable[[], list[CheckResult]]:
    def job() -> list[CheckResult]:
        started = time.monotonic()
        outcome = Outcome("the container is not running")
        if base:
            outcome = until_deadline(lambda: _attempt(http, secret, base, check), check.deadline_seconds)
        seconds = time.monotonic() - started
        return [
            CheckResult(
                container=container, service=service, check=check.name, reason=outcome.reason, seconds=seconds,
                note=outcome.note, applies=outcome.applies,
            )
        ]  # fmt: skip

    return job


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: the reason of a failure, or what there is to know of one that did not fail."""

    reason: str = ""
    note: str = ""
    applies: bool = True


def until_deadline(attempt: Callable[[], Outcome], seconds: float) -> Outcome:
    """Repeat `attempt` until it has no reason (passed) or the deadline has passed; return the last outcome."""
    deadline = time.monotonic() + seconds
    while (outcome := attempt()).reason and time.monotonic() <= deadline:
        time.sleep(_RETRY_SECONDS)
    return outcome


def _attempt(http: httpx.Client, secret: Callable[[str], str], base: str, check: SmokeCheck) -> Outcome:
    import httpx

    headers = {"X-Request-Id": f"smoke-{time.monotonic_ns()}"}
    if check.secret:
        headers["Authorization"] = f"Bearer {secret(check.secret)}"
    try:
        if check.needs and (lacking := inventory.lacking(declared(http, base + HEALTH), check.needs)):
            return Outcome(note=not_declared(lacking), applies=False)
        if check.kind == "mcp":
            return Outcome(_mcp(http, base + check.path, headers))
        if check.kind == "inventory":
            listed = declared(http, base + check.path)
            reason = inventory.problem(listed)
            return Outcome(reason, "" if reason else inventory.note(listed))
        response = http.request(check.method, base + check.path, headers=headers, json=check.body)
    except inventory.NoInventory as error:
        return Outcome(str(error))
    except (httpx.HTTPError, ValueError) as error:
        return Outcome(f"{check.method} {base}{check.path}: {type(error).__name__}: {error}")
    return Outcome(_judge(check, response))


def declared(http: httpx.Client, url: str) -> list[inventory.Entry]:
    """The inventory of a health report, which a service sends with 200 and with 503.

    Raises NoInventory for another answer, httpx.HTTPError without one.
    """
    response = http.get(url)
    try:
        return inventory.entries(response.json() if response.status_code in {200, 503} else None)
    except (ValueError, inventory.NoInventory) as error:
        shown = response.text[:200].replace("\n", " ")
        raise inventory.NoInventory(f"{url}: {error}; status {response.status_code}: {shown}") from None


def not_declared(needs: Sequence[str]) -> str:
    """Why a check does not apply: what it needs and the stack's sources do not declare."""
    words = [need.replace(":", " ", 1) for need in needs]
    return f"not checked: the sources have no {', no '.join(words)}"


def _judge(check: SmokeCheck, response: httpx.Response) -> str:
    shown = response.text[:200].replace("\n", " ")
    if response.status_code != check.status:
        return f"{check.path}: expected status {check.status}, got {response.status_code}: {shown}"
    if check.contains and check.contains not in response.text:
        return f"{check.path}: {check.contains!r} is not in the answer: {shown}"
    if check.json:
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            return f"{check.path}: expected a JSON object, got: {shown}"
        wrong = {key: document.get(key) for key, value in check.json.items() if document.get(key) != value}
        if wrong:
            return f"{check.path}: expected {check.json}, got {wrong}"
    return ""


def _mcp(http: httpx.Client, url: str, headers: dict[str, str]) -> str:
    """Initialize an MCP session over streamable HTTP and list its tools (2025-11-25: lifecycle, tools)."""
    headers = headers | {"Accept": "application/json, text/event-stream"}
    client = {"name": "smoke", "version": "1"}
    parameters = {"protocolVersion": MCP_PROTOCOL, "capabilities": {}, "clientInfo": client}
    initialized = http.post(url, headers=headers, json=_call(1, "initialize", parameters))
    if initialized.status_code != 200:
        return f"{url}: initialize: status {initialized.status_code}: {initialized.text[:200]}"
    negotiated = _object(_payload(initialized).get("result"))
    if "serverInfo" not in negotiated or not negotiated.get("protocolVersion"):
        return f"{url}: initialize: no serverInfo with a protocolVersion in {initialized.text[:200]}"
    headers["MCP-Protocol-Version"] = str(negotiated["protocolVersion"])
    if session := initialized.headers.get("mcp-session-id"):
        headers["Mcp-Session-Id"] = session
    http.post(url, headers=headers, json={"jsonrpc": "2.0", "method": "notifications/initialized"})
    listed = http.post(url, headers=headers, json=_call(2, "tools/list", {}))
    if listed.status_code != 200 or not _object(_payload(listed).get("result")).get("tools"):
        return f"{url}: tools/list: status {listed.status_code}: {listed.text[:200]}"
    return ""


def _call(number: int, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}


def _payload(response: httpx.Response) -> dict[str, Any]:
    """The JSON-RPC message of a JSON response, or of the first data event of an SSE one; empty if there is none."""
    text = response.text
    if "text/event-stream" in response.headers.get("content-type", ""):
        text = next((line[5:] for line in text.splitlines() if line.startswith("data:") and line[5:].strip()), "")
    try:
        return _object(json.loads(text))
    except ValueError:
        return {}


def _object(value: Any) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def junit(results: Sequence[CheckResult], path: Path) -> None:
    """Write the results as JUnit XML: one suite, one case per check with its container as the class name."""
    failures = sum(not result.passed for result in results)
    suite = ET.Element("testsuite", name="smoke", tests=str(len(results)), failures=str(failures), errors="0")
    for result in results:
        seconds = f"{result.seconds:.3f}"
        case = ET.SubElement(suite, "testcase", classname=result.container, name=result.check, time=seconds)
        if not result.passed:
            ET.SubElement(case, "failure", message=result.reason).text = result.reason
        elif not result.applies:
            ET.SubElement(case, "skipped", message=result.note)
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
