"""The owner's agents: a file in the agents folder, who joins by it, what is refused, and what a role does without a model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from groupchat_harness import COMPILE_ERRORS, Provider, Server, StartServer
from groupchat_service.role_file import MOST, load
from sse_reader import all_events

ROLES = """\
[roles.repo_analyst]
description = "Knows where each asset is used."
system_message = '''
You are the repository analyst.
[roles.nobody]
'''
tools = ["read_event", "owner_tools:count_words", "owner_tools:needs_more"]
model = "gpt-5-nano"

[roles.historian]
description = "Remembers earlier incidents."
system_message = "You are the historian."
"""
TOOLS = '''
def count_words(text: str) -> str:
    """Count the words of a text."""
    return f"{len(text.split())} words"


def needs_more(asset: str, depth: int) -> str:
    """What a model alone can call."""
    return "never without a model"
'''


def agents(folder: Path, roles: str = ROLES, tools: str = TOOLS) -> Path:
    """An agents folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "roles.toml").write_text(roles)
    (folder / "owner_tools.py").write_text(tools)
    return folder


def test_s7_a_declared_role_joins_the_team(start_server: StartServer, tmp_path: Path) -> None:
    """It is listed, it speaks in the default team, and the decision quotes it; its tools run on what the task holds."""
    server = start_server(UC_AGENTS=str(agents(tmp_path / "agents")))
    listed = server.client.get("/agents").json()
    assert listed["default"] == ["analyst", "operator", "reviewer", "repo_analyst", "historian"]
    tools = {agent["name"]: agent["tools"] for agent in listed["agents"]}
    assert tools["repo_analyst"] == ["read_event", "count_words", "needs_more"]
    view = server.chat()
    said = {one["source"]: one["content"] for one in view["messages"] if one["type"] == "text"}
    assert f"count_words: {len(COMPILE_ERRORS.split())} words" in said["repo_analyst"]
    assert "never without a model" not in said["repo_analyst"]
    assert said["historian"] == "Nothing to add: this role needs a model."
    assert view["stop_reason"] == "approved"
    assert "repo_analyst: read_event: " in view["result"]
    alone = server.client.post("/agent/message", json={"agent": "historian", "content": "x"}).json()
    assert alone["content"] == said["historian"]


def test_s7_a_role_is_played_by_its_own_model(start_server: StartServer, tmp_path: Path, provider: Provider) -> None:
    """With a key the provider gets the role's words, its tools and its model; the others keep the service's."""
    folder = agents(tmp_path / "agents")
    server = start_server(UC_AGENTS=str(folder), OPENAI_BASE_URL=f"{provider.url}/v1", UC_MODEL="gpt-5-mini")
    server.set_key("openai", "key-1")
    server.chat(agents=["repo_analyst"])
    asked = {call["model"]: call for call in provider.calls()}
    assert set(asked) == {"gpt-5-mini", "gpt-5-nano"}
    assert "You are the repository analyst." in asked["gpt-5-nano"]["system"]
    assert asked["gpt-5-nano"]["tools"] == ["read_event", "count_words", "needs_more"]
    assert "- repo_analyst: Knows where" in asked["gpt-5-mini"]["system"]


def test_s7_a_refused_role_is_named_and_the_others_join(start_server: StartServer, tmp_path: Path) -> None:
    """/health is 503 and names role, file, line and reason; the service and the other roles work."""
    wrong = ROLES.replace("owner_tools:needs_more", "owner_tools:nothing_like_it")
    server = start_server(UC_AGENTS=str(agents(tmp_path / "agents", wrong)))
    health = server.client.get("/health")
    assert health.status_code == 503
    entries = {entry["name"]: entry for entry in health.json()["inventory"]}
    assert (entries["historian"]["state"], entries["repo_analyst"]["state"]) == ("ready", "failed")
    assert entries["repo_analyst"]["reason"].startswith("roles.toml:7: roles.repo_analyst.tools: owner_tools:nothing")
    assert "role repo_analyst: roles.toml:7" in health.json()["reason"]
    assert server.chat(agents=["analyst", "historian"])["stop_reason"] == "approved"
    refused = server.client.post("/groupchat", json={"task": "x", "agents": ["repo_analyst"]})
    assert (refused.status_code, "roles.toml:7" in refused.text) == (422, True)


def test_s7_a_folder_without_roles_changes_nothing(start_server: StartServer, tmp_path: Path) -> None:
    """The team is the service's own, and the inventory lists its roles and tools as ready."""
    server = start_server(UC_AGENTS=str(tmp_path))
    assert server.client.get("/agents").json()["default"] == ["analyst", "operator", "reviewer"]
    health = server.client.get("/health").json()
    listed = [(entry["kind"], entry["name"], entry["state"], entry["critical"]) for entry in health["inventory"]]
    roles = ("supervisor", "analyst", "operator", "reviewer")
    tools = ("read_event", "propose_action", "check_proposal")
    assert listed == [("role", name, "ready", True) for name in roles] + [("tool", t, "ready", True) for t in tools]


WRONG: dict[str, tuple[str, str]] = {
    "no TOML": ("[roles.a\n", "roles.toml: Expected ']'"),
    "another table": ("[roles]\n\n[rolls.a]\n", "roles.toml:3: unknown table 'rolls'"),
    "no table": ("roles = 1\n", "roles.toml:1: roles: expected tables"),
    "a role that is no table": ("[roles]\na = 1\n", "roles.toml:2: roles.a: expected a table"),
    "a name with a space": ('\n[roles."a b"]\n', "roles.toml:2: roles.a b: a name has letters"),
    "a name of the service's": ("[roles.analyst]\n", "roles.toml:1: roles.analyst: the service has an agent"),
    "no description": ('[roles.a]\nsystem_message = "x"\n', "roles.toml:1: roles.a: description is missing"),
    "an empty text": (
        '[roles.a]\ndescription = " "\nsystem_message = "x"\n',
        "roles.toml:2: roles.a.description: expected a text",
    ),
    "an unknown key": (
        '[roles.a]\ndescription = "x"\nsystem_mesage = "x"\n',
        "roles.toml:3: roles.a.system_mesage: unknown key; perhaps system_message",
    ),
    "inline": ('[roles]\na = { description = "x" }\n', "roles.toml:2: roles.a: system_message is missing"),
    "an unknown default": ('[team]\ndefault = ["x"]\n', "roles.toml:2: team.default: unknown agents: 'x'"),
    "an empty default": ('[team]\ndefault = ["human"]\n', "roles.toml:2: team.default: a team needs"),
}
GOOD = '[roles.a]\ndescription = "x"\nsystem_message = "y"\n'


@pytest.mark.parametrize(("text", "reason"), WRONG.values(), ids=WRONG)
def test_s7_what_is_wrong_is_refused_with_its_line(tmp_path: Path, text: str, reason: str) -> None:
    """The reason has the file, the line and the key."""
    roster = load(agents(tmp_path, text))
    assert [found for found in roster.failed.values() if found.startswith(reason)], roster.failed
    assert not roster.declared


BAD_TOOLS: dict[str, tuple[str, str]] = {
    "not a list": ('"read_event"', "expected a list"),
    "no entry point": ('["read_events"]', "expected 'module:function', or one of the service's own: read_event"),
    "a module that is not there": ('["nowhere:x"]', "there is no nowhere.py"),
    "an installed package's name": ('["json:loads"]', "is the name of an installed package"),
    "a class": ('["owner_tools:Thing"]', "expected a function"),
    "twice": ('["read_event", "read_event"]', "two tools are called 'read_event'"),
    "a failing import": ('["broken:x"]', "ModuleNotFoundError: No module named 'not_installed_here'"),
    "an import that ends the process": ('["leaves:x"]', "SystemExit: 3"),
}


@pytest.mark.parametrize(("tools", "reason"), BAD_TOOLS.values(), ids=BAD_TOOLS)
def test_s7_a_tool_that_cannot_be_used_refuses_its_role(tmp_path: Path, tools: str, reason: str) -> None:
    """What the owner's code does at its import stops nothing but its role; the service's own modules come first."""
    folder = agents(tmp_path, f"{GOOD}tools = {tools}\n", "class Thing: ...\n")
    (folder / "json.py").write_text("raise AssertionError('imported')\n")
    (folder / "broken.py").write_text("import not_installed_here\n")
    (folder / "leaves.py").write_text("raise SystemExit(3)\n")
    before = set(sys.modules), list(sys.path)
    try:
        assert reason in load(folder).failed["a"]
    finally:
        for name in set(sys.modules) - before[0]:
            del sys.modules[name]
        sys.path[:] = before[1]


def test_s7_a_team_has_a_most(tmp_path: Path) -> None:
    """More roles than a request may name are refused one by one."""
    text = "".join(GOOD.replace("roles.a", f"roles.a{number}") for number in range(MOST + 1))
    roster = load(agents(tmp_path, text))
    assert len(roster.declared) == MOST
    assert f"more than {MOST} roles" in roster.failed[f"a{MOST}"]


def test_s7_the_default_team_can_be_named(start_server: StartServer, tmp_path: Path) -> None:
    """`[team] default` takes the place of the service's own workers, in its order."""
    text = f'{ROLES}\n[team]\ndefault = ["historian", "analyst"]\n'
    server = start_server(UC_AGENTS=str(agents(tmp_path / "agents", text)))
    assert server.chat()["agents"] == ["historian", "analyst"]


def test_s7_a_chat_of_a_role_that_is_gone_fails_by_name(start_server: StartServer, tmp_path: Path) -> None:
    """After a change of the roles an old chat can be read, and a follow-up fails with the missing name."""
    folder = agents(tmp_path / "agents")
    first = start_server(UC_AGENTS=str(folder))
    chat = str(first.chat(agents=["historian"])["session_id"])
    first.stop()
    (folder / "roles.toml").unlink()
    server = start_server(UC_AGENTS=str(folder))
    again = server.client.post(f"/groupchat/{chat}/messages", json={"content": "more", "wait": True}).json()
    assert (again["status"], again["error"]) == ("failed", "agent 'historian' is not declared any more")
    assert all_events(server.client, chat)[-1].event == "failed"


UNFIT: dict[str, str] = {
    "a parameter without a type": "def tool(x) -> str:\n    'Doc.'\n    return x\n",
    "a type that is not there": "def tool(x: 'Nowhere') -> str:\n    'Doc.'\n    return x\n",
    "a type without a schema": "import socket\ndef tool(x: socket.socket) -> str:\n    'Doc.'\n    return x\n",
}


@pytest.mark.parametrize("tools", UNFIT.values(), ids=UNFIT)
def test_s7_the_check_shows_what_a_build_would_ship(tmp_path: Path, tools: str) -> None:
    """`--check` prints each role with its reason and ends with 1 when one is refused; nothing listens."""
    folder = agents(tmp_path, f'{GOOD}tools = ["owner_tools:tool"]\n\n{GOOD.replace("roles.a", "roles.b")}', tools)
    env = {"PYTHONPATH": ":".join(sys.path), "UC_AGENTS": str(folder), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-m", "groupchat_service", "--check"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    lines: list[Any] = done.stdout.splitlines()
    assert lines[0] == "role b: ready, 0 tools"
    assert lines[1].startswith("role a: refused: roles.toml:4: roles.a.tools: ")
    assert "Traceback" not in done.stdout + done.stderr


def test_s7_the_shipped_folder_declares_no_wrong_role(server: Server) -> None:
    """The sample's folder loads as it is."""
    assert load(Path(__file__).resolve().parents[3] / "agents").failed == {}
