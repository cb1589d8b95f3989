"""Graphs as plug-ins: declared in a file, loaded each on its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from langgraph_harness import PLUGINS, SOURCES, StartServer, state_of

pytestmark = pytest.mark.anyio

GRAPH = (PLUGINS / "gate_graph.py").read_text()


async def test_a_graph_is_a_file_and_a_line(start: StartServer, tmp_path: Path) -> None:
    """A new graph needs no change of the server; every kind of failure is told, and none stops the others."""
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "mine.py").write_text(GRAPH)
    (folder / "leaves.py").write_text("raise SystemExit('not today')")
    (folder / "wrong.py").write_text("def build(")
    (folder / "agents.toml").write_text(
        "[graphs]\nmine='mine:build'\nleaves='leaves:build'\nwrong='wrong:build'\nodd='mine:Gate'\nshort='mine'\n"
    )

    server = start(folder)
    async with server.client() as client, server.http() as http:
        found = (await http.get("/assistants")).json()["assistants"]
        asked = state_of(await client.runs.wait(None, "mine", input={"subject": "s"}))

    told = {item["graph_id"]: item.get("reason", "") for item in found}
    assert asked["__interrupt__"][0]["value"]["question"] == "go on?"
    expected = {"leaves": "SystemExit: not today", "wrong": "SyntaxError", "odd": "TypeError", "short": "'module:attri"}
    assert told.pop("mine") == ""
    assert [name for name, reason in expected.items() if reason not in told.pop(name)] == []
    assert told == {}


async def test_langgraph_json_declares_graphs_too(start: StartServer, tmp_path: Path) -> None:
    """A folder made for the official CLI is served as it is."""
    folder = tmp_path / "agents"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "mine.py").write_text(GRAPH)
    (folder / "langgraph.json").write_text('{"dependencies": ["."], "graphs": {"official": "./src/mine.py:build"}}')

    server = start(folder)
    async with server.client() as client:
        assert [item["graph_id"] for item in await client.assistants.search()] == ["official"]


async def test_without_a_graph_the_service_lives_and_is_not_ready(start: StartServer, tmp_path: Path) -> None:
    """A declaration that is missing or broken leaves a service that answers, says why, and takes no work."""
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "agents.toml").write_text("[graphs")

    server = start(folder)
    async with httpx.AsyncClient(base_url=server.url) as anyone:
        health, ready = await anyone.get("/health"), await anyone.get("/ready")

    assert (health.status_code, ready.status_code) == (200, 503)
    assert list(health.json()["graphs"]) == ["agents.toml"]


def test_the_check_names_each_graph(tmp_path: Path) -> None:
    """`python -m langgraph_service --check` loads the graphs as the service would; it fails when none loads."""

    def checked(folder: Path) -> tuple[int, str]:
        environment = {"LANGGRAPH_AGENTS": str(folder), "PYTHONPATH": os.pathsep.join(SOURCES)}
        command = [sys.executable, "-m", "langgraph_service", "--check"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout

    code, told = checked(PLUGINS)
    nothing, why = checked(tmp_path)

    assert (code, nothing) == (0, 1)
    assert '"loaded": ["chat", "gate", "nested", "probe"], "failed": ["broken", "missing"]' in told
    assert "no agents.toml in" in why
