"""The tasks on the running stack: a second quickstart, smoke with its journey, every command of the README."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import httpx
import pytest

from build.config.manifest import Manifest
from build.engine import client as docker
from build.gates.smoke import checks, journey
from build.images import store
from build.stack import compose, status
from tests.stack.live import Live, inv
from tests.support.project import REPOSITORY
from tests.support.readme import DEPLOYING, PROVING, readme_commands

pytestmark = pytest.mark.timeout(900)


def test_a_second_quickstart_builds_nothing(running: Manifest) -> None:
    """A second quickstart builds nothing, and reports image, digest, URL, scan and smoke of each service."""
    before = {name: image.digest for name, image in store.recorded(running).items()}

    ran = inv("quickstart", "--json")

    assert ran.code == (0 if set(before) == set(running.services) else 13), ran.text
    result = ran.result
    assert {name: image["digest"] for name, image in result["images"].items()} == before
    assert set(result["scan"]) == set(result["smoke"]) == set(before)
    assert set(result["smoke"].values()) == {"passed"}
    assert set(result["urls"]) == set(running.services)


def test_smoke_and_journey_pass(running: Manifest) -> None:
    """Every check of the manifest passes, and so does the journey across the services."""
    ran = inv("smoke", "--json")

    assert ran.code == 0, ran.text
    results = ran.result
    assert [result for result in results if result["reason"]] == []
    if set(journey.NEEDS) <= set(store.recorded(running)):
        taken = [result["check"] for result in results if result["service"] == journey.SERVICE]
        assert taken == [check for check, _ in journey.STEPS]


def test_the_journey_leaves_nothing_behind(live: Live) -> None:
    """After the journey the watched tree is unchanged, and none of its threads waits for a human."""
    watched = live.manifest.source("watched")
    assert watched
    before = sorted(watched.rglob("*"))
    waiting = _waiting(live)

    results = journey.run(live.manifest)

    assert [result.reason for result in results if result.reason] == []
    assert sorted(watched.rglob("*")) == before
    assert _waiting(live) == waiting


def _waiting(live: Live) -> set[str]:
    """Return the interrupted threads."""
    threads = live.call("langgraph-api", "POST", "/threads/search", {"status": "interrupted", "limit": 1000}).json()
    return {thread["thread_id"] for thread in threads}


def test_a_failed_journey_says_where_it_stopped(live: Live) -> None:
    """With AutoGen stopped, the first step fails with its reason, and the others are reported as not reached."""
    docker.cli("stop", f"{live.manifest.project.name}-autogen-groupchat-1")

    first, *others = journey.run(live.manifest)

    assert "autogen-groupchat" in first.reason
    assert {result.reason for result in others} == {"not reached: 'a changed file is triaged' failed"}


def test_mcp_smoke_refuses_a_wrong_token(running: Manifest) -> None:
    """The MCP check can fail: a wrong token is refused."""
    port = running.containers()["mcp-docs"][1].published
    with httpx.Client(timeout=10, trust_env=False) as http:
        reason = checks._mcp(http, f"http://127.0.0.1:{port}/mcp", {"Authorization": "Bearer wrong"})

    assert "status 401" in reason


def test_the_release_in_force_is_read_from_the_container_and_changes_without_a_restart(live: Live) -> None:
    """What was built here is no release; another release of the same images starts no container anew."""
    images = {name: image.reference for name, image in store.recorded(live.manifest).items()}
    before = live.lives()

    def read() -> dict[str, Any]:
        request = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "release:///current"}}
        (content,) = live.call("mcp-docs", "POST", "/mcp", request).json()["result"]["contents"]
        release: dict[str, Any] = json.loads(content["text"])
        return release

    built = read()
    compose.announce(live.manifest, images, dict.fromkeys(images, "1.4.0"))
    released = read()
    compose.announce(live.manifest, images, {})

    assert built["version"] is None
    assert {name: service["image"] for name, service in built["services"].items()} == images
    assert released["version"] == "1.4.0"
    assert live.lives() == before


def test_u13_every_command_of_the_readme_runs(running: Manifest) -> None:
    """Each command in the README's daily list ends as it should on a running stack.

    quickstart started the stack; `./inv test` and nox run this test; releases and deploys have their own tests.
    """
    elsewhere = {"./inv quickstart", "./inv test", "./inv test smoke", "./inv test lint types unit repository"}
    others = ("./inv release ", *DEPLOYING, *PROVING)
    commands = [one for one in readme_commands() if one not in elsewhere and not one.startswith(others)]
    assert len(commands) >= 8

    for command in commands:
        done = subprocess.run(command.split(), cwd=REPOSITORY, capture_output=True, text=True, check=False)
        # The doctor may fail for what this machine lacks, and build and scan may refuse; there must be no tracebacks.
        allowed = {"./inv doctor": {0, 1}, "./inv build": {0, 13}}.get(command, {0})
        assert done.returncode in allowed, f"{command}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, command

    assert status.containers(running) == [], "the last of them about the stack is down"
