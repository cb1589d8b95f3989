"""`agents/` of the rough tree: two graphs as langgraph.json names them, two roles, and requirements of its own."""

from __future__ import annotations

import json

# Pinned to what langgraph-api's own lock can't have.
CONFLICTS = {"structlog": "24.4.0", "httpx": "0.27.2", "orjson": "3.10.18"}
# Of these, any version that the lock has will do: where the service's pins win, nothing else is installed.
AGREEING = ("tenacity>=8", "PyYAML>=6", "pydantic>=2,<3")

_LEDGER = '''"""Keeps a ledger: it notes beside itself when it was loaded."""
from pathlib import Path
from typing import TypedDict

import structlog
from langgraph.graph import END, START, StateGraph

LOADED = Path(__file__).with_name("loaded.log")
with LOADED.open("a", encoding="utf-8") as log:
    log.write("loaded\\n")
structlog.get_logger().info("ledger loaded")


class Ledger(TypedDict, total=False):
    entry: str
    entries: list[str]


def enter(state: Ledger) -> Ledger:
    return {"entries": [*state.get("entries", []), state.get("entry", "")]}


builder = StateGraph(Ledger)
builder.add_node("enter", enter)
builder.add_edge(START, "enter")
builder.add_edge("enter", END)
graph = builder.compile()
'''

_WAITING = '''"""Waits: its node blocks the loop that it runs in."""
import time
from typing import TypedDict

import httpx
import yaml
from langgraph.graph import END, START, StateGraph

SECONDS = yaml.safe_load("seconds: 3")["seconds"]
TIMEOUT = httpx.Timeout(SECONDS)


class Waiting(TypedDict, total=False):
    seconds: float
    waited: float


async def wait(state: Waiting) -> Waiting:
    seconds = state.get("seconds", SECONDS)
    time.sleep(seconds)
    return {"waited": seconds}


def make_graph():
    builder = StateGraph(Waiting)
    builder.add_node("wait", wait)
    builder.add_edge(START, "wait")
    builder.add_edge("wait", END)
    return builder.compile()
'''
_ROLES = '''# The AutoGen side of the house
[roles.tree_keeper]
description = "Knows how many trees there are."
system_message = """You keep the trees. Say how many there are."""
tools = ["orchard_tools:count_trees"]

[roles.pruner]
description = "Says what to cut."
system_message = "You prune. Be short."
'''

_TOOLS = '''"""Tools of the roles."""
import re


def count_trees(task: str) -> str:
    """Count the trees that a text names."""
    return f"{len(re.findall(r'tree', task, re.I))} trees"
'''
ROLES = ("tree_keeper", "pruner")
GRAPHS = {"ledger": "./ledger/graph.py:graph", "waiting": "./waiting/graph.py:make_graph"}


def files() -> dict[str, str]:
    """The files below the tree's folder, by their path."""
    requirements = [
        "# What the graphs need",
        *(f"{name}=={version}" for name, version in CONFLICTS.items()),
        *AGREEING,
    ]
    configuration = {"dependencies": ["."], "graphs": GRAPHS, "env": ".env", "python_version": "3.12"}
    return {
        "agents/requirements.txt": "\n".join(requirements) + "\n",
        "agents/langgraph.json": json.dumps(configuration, indent=2) + "\n",
        "agents/roles.toml": _ROLES,
        "agents/orchard_tools.py": _TOOLS,
        "agents/README.md": "# Agents\n\nRun `langgraph dev`.\n",
        "agents/ledger/__init__.py": "",
        "agents/ledger/graph.py": _LEDGER,
        "agents/waiting/__init__.py": "",
        "agents/waiting/graph.py": _WAITING,
        "agents/waiting/__pycache__/graph.cpython-312.pyc": "not bytecode\n",
    }
