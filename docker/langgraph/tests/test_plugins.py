"""Graphs as plug-ins: declared in a file, loaded each on its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from langgraph_harness import PLUGINS, SOURCES, StartServer, state_of
from langgraph_sdk.errors import UnprocessableEntityError

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


async def test_s4_without_a_declaration_the_service_answers_and_says_why(start: StartServer, tmp_path: Path) -> None:
    """A declaration that is missing or broken leaves a service that answers, is unhealthy, and takes no work."""
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "agents.toml").write_text("[graphs")

    server = start(folder)
    async with httpx.AsyncClient(base_url=server.url) as anyone:
        health, ready = await anyone.get("/health"), await anyone.get("/ready")

    assert (health.status_code, ready.status_code) == (503, 503)
    assert "agents.toml" in health.json()["reason"]
    assert list(health.json()["graphs"]) == ["agents.toml"]


def _folder(tmp_path: Path, **graphs: str) -> Path:
    folder = tmp_path / "agents"
    folder.mkdir()
    for name, text in graphs.items():
        (folder / f"{name}.py").write_text(text)
    lines = "".join(f'{name} = "{name}:build"\n' for name in graphs)
    (folder / "agents.toml").write_text(f"[graphs]\n{lines}")
    return folder


async def test_s4_a_graph_that_does_not_load_is_named(start: StartServer, tmp_path: Path) -> None:
    """One declared graph that fails makes /health 503 with its name and reason; the others run, and it is refused."""
    folder = _folder(tmp_path, mine=GRAPH, lacks="import a_module_that_is_not_installed")

    server = start(folder, UC_CRITICAL="mine,absent,gate*")
    async with server.client() as client, server.http() as http:
        health, ready = await http.get("/health"), await http.get("/ready")
        asked = state_of(await client.runs.wait(None, "mine", input={"subject": "s"}))
        with pytest.raises(UnprocessableEntityError, match="failed to load: ModuleNotFoundError"):
            await client.runs.create(None, "lacks", input={})

    entries = {entry["name"]: entry for entry in health.json()["inventory"]}
    assert (health.status_code, ready.status_code) == (503, 200)
    assert "graph 'lacks' did not load: ModuleNotFoundError" in health.json()["reason"]
    assert {name: entry["state"] for name, entry in entries.items()} == {
        "mine": "ready",
        "lacks": "failed",
        "absent": "failed",
    }
    assert entries["absent"]["reason"] == "not in the tree"
    assert "__interrupt__" in asked


async def test_s4_a_graph_that_logs_into_its_working_folder_loads(start: StartServer, tmp_path: Path) -> None:
    """A relative path means a folder beside the state, which the service's user can write to."""
    writes = "import logging\nlogging.getLogger('mine').addHandler(logging.FileHandler('mine.log'))\n"

    server = start(_folder(tmp_path, mine=writes + GRAPH))
    async with server.http() as http:
        health = await http.get("/health")

    assert health.status_code == 200
    assert (server.folder / "data" / "work" / "mine.log").is_file()


def _read_only(folder: Path, command: list[str]) -> list[str]:
    """The command, for which a folder is read-only as in a container; skips where this user may not arrange that."""
    script = f'mount --bind "{folder}" "{folder}" && mount -o remount,ro,bind "{folder}" && exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", script, "sh"]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount")
    return [*prefix, *command]


def test_s4_a_graph_that_writes_beside_itself_loads_from_a_copy(tmp_path: Path) -> None:
    """What a read-only place refuses, a copy allows: that graph alone is loaded from one, and is named."""
    beside = "import pathlib\n(pathlib.Path(__file__).parent / 'beside.txt').write_text('x')\nimport helper\n"
    folder = _folder(tmp_path, first=GRAPH, beside=beside + GRAPH, last=GRAPH)
    (folder / "helper.py").write_text("import pathlib\n(pathlib.Path(__file__).parent / 'more.txt').write_text('x')\n")
    program = (
        "import json, sys; from pathlib import Path; from langgraph_service import inventory, plugins\n"
        "graphs = plugins.load(Path(sys.argv[1])); places = [sys.modules[name].__file__ for name in graphs.loaded]\n"
        "print(json.dumps([inventory.inventory(graphs), places]), file=sys.stderr)"
    )
    command = _read_only(folder, [sys.executable, "-c", program, str(folder)])
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(SOURCES)}

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)

    entries, places = json.loads(done.stderr.splitlines()[-1])
    assert [(entry["name"], entry["state"], "note" in entry) for entry in entries] == [
        ("first", "ready", False),
        ("beside", "ready", True),
        ("last", "ready", False),
    ]
    assert [Path(place).is_relative_to(folder) for place in places[1:]] == [False, True]
    assert not (folder / "beside.txt").exists()


def test_the_check_names_each_graph(tmp_path: Path) -> None:
    """`python -m langgraph_service --check` loads the graphs as the service would; it fails when one does not load."""

    def checked(folder: Path) -> tuple[int, str]:
        data = str(tmp_path / "data" / "langgraph.db")
        environment = {
            "LANGGRAPH_AGENTS": str(folder),
            "LANGGRAPH_DB_PATH": data,
            "PYTHONPATH": os.pathsep.join(SOURCES),
        }
        command = [sys.executable, "-m", "langgraph_service", "--check"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout

    code, told = checked(PLUGINS)
    nothing, why = checked(tmp_path)

    assert (code, nothing) == (0, 0)
    assert '"loaded": ["bare", "blocking", "chat", "context", "gate", "nested", "odd", "panel", "probe"]' in told
    assert "no agents.toml in" in why
